//! Files that the host sends, one after the other.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The file whose contents arrive.
#[derive(Default)]
pub(crate) struct Files {
    open: Option<(File, PathBuf)>,
}

impl Files {
    /// Makes a file and the folders above it, as an initramfs would hold them.
    pub(crate) fn create(&mut self, path: &str, executable: bool) -> Result<(), String> {
        self.close()?;
        let path = Path::new("/").join(path);
        let make = || -> io::Result<File> {
            if let Some(folder) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
            }
            let mode = if executable { 0o755 } else { 0o644 };
            File::options().write(true).create_new(true).mode(mode).open(&path)
        };
        let file = make().map_err(|error| failed(&path, &error))?;
        self.open = Some((file, path));
        Ok(())
    }

    /// More of its contents.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (file, path) = self.open.as_mut().ok_or("bytes came that belong to no file")?;
        file.write_all(bytes).map_err(|error| failed(path, &error))
    }

    /// It is complete. It has the date of an initramfs's files: the same in every run.
    pub(crate) fn close(&mut self) -> Result<(), String> {
        let Some((file, path)) = self.open.take() else { return Ok(()) };
        file.set_modified(SystemTime::UNIX_EPOCH).map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be written in the guest: {error}", path.display())
}
