//! The one way to open a file that others made: a regular file or none, without a wait, within a
//! size that binds before the first byte is read.

use std::{
    fs::{self, File, FileType, Metadata},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    io::Errno,
};

/// The largest file that is read: a `vmlinux` with its debugging information has some 800 MB.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

/// The largest text: a `System.map` has 10 MB, the configuration of a kernel 0.3.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Opens a regular file. Nothing else is even opened: a pipe's writer would be woken, and some
/// devices act when they are.
///
/// # Errors
/// It cannot be opened, is no regular file, or is larger than `bytes_max`.
pub fn open(path: impl AsRef<Path>, bytes_max: u64) -> io::Result<(File, Metadata)> {
    let path = path.as_ref();
    require(&fs::metadata(path)?, bytes_max)?;
    // The file may be another by now: the flags keep the call from waiting, and it is asked again.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let metadata = file.metadata()?;
    require(&metadata, bytes_max)?;
    Ok((file, metadata))
}

/// Fails unless it is a regular file of at most this size.
///
/// # Errors
/// The text says what it is instead.
pub fn require(metadata: &Metadata, bytes_max: u64) -> io::Result<()> {
    if let Some(kind) = other_kind(metadata.file_type()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, kind));
    }
    if metadata.len() > bytes_max { Err(too_large(bytes_max)) } else { Ok(()) }
}

/// Returns the kind of a file that is no regular one.
pub fn other_kind(kind: FileType) -> Option<&'static str> {
    let kinds = [
        (kind.is_dir(), "it is a folder, not a file"),
        (kind.is_fifo(), "it is a pipe, not a file: save what comes out of it, and name that"),
        (kind.is_socket(), "it is a socket, not a file"),
        (kind.is_file(), ""),
    ];
    let (_, what) = kinds.into_iter().find(|(is, _)| *is).unwrap_or((true, "it is a device"));
    (!what.is_empty()).then_some(what)
}

fn too_large(bytes_max: u64) -> io::Error {
    let what = format!("it is larger than {} MiB", bytes_max >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, what)
}

/// Reads a file of at most [`FILE_BYTES_MAX`].
///
/// # Errors
/// As [`open`].
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_within(path, FILE_BYTES_MAX)
}

/// Reads a text of at most [`TEXT_BYTES_MAX`].
///
/// # Errors
/// As [`open`], or it is not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = read_within(path, TEXT_BYTES_MAX)?;
    let not_utf8 = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(bytes).map_err(not_utf8)
}

/// Reads a file of at most this size.
///
/// # Errors
/// As [`open`]. A file may grow while it is read, and those of /proc have no size before.
pub fn read_within(path: impl AsRef<Path>, bytes_max: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open(path, bytes_max)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(metadata.len()).unwrap_or(usize::MAX))?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(too_large(bytes_max)) } else { Ok(bytes) }
}

/// Writes a file. A pipe whose other end nobody has open is refused; else it would be waited for.
///
/// # Errors
/// It cannot be opened or written.
pub fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let mut file = File::options();
    let mut file =
        file.write(true).create(true).truncate(true).custom_flags(flags).open(path).map_err(
            |error| match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NXIO) => io::Error::new(error.kind(), "nobody reads this pipe"),
                _ => error,
            },
        )?;
    // A reader may be slower than we are.
    fcntl_setfl(&file, OFlags::empty())?;
    file.write_all(contents)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, time::Instant};

    use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        mknodat(CWD, path("pipe"), Kind::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(write(&path("pipe"), b"x").unwrap_err().to_string(), "nobody reads this pipe");
        let _socket = UnixListener::bind(path("socket")).unwrap();
        fs::write(path("file"), "text").unwrap();
        std::os::unix::fs::symlink("pipe", path("link")).unwrap();
        let begin = Instant::now();
        let said = |path: &Path| read(path).unwrap_err().to_string();
        for name in ["pipe", "link"] {
            assert!(said(&path(name)).starts_with("it is a pipe"), "{name}");
        }
        assert!(said(&path("socket")).starts_with("it is a socket"));
        assert!(said(folder.path()).starts_with("it is a folder"));
        assert_eq!(said(Path::new("/dev/zero")), "it is a device");
        assert_eq!(read_text(path("file")).unwrap(), "text");
        assert!(begin.elapsed().as_secs() < 5);
    }

    #[test]
    fn the_limit_binds_before_the_first_byte_and_where_a_file_states_no_size() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4 << 30).unwrap();
        for error in [
            read(file.path()).unwrap_err(),
            read_text(file.path()).unwrap_err(),
            read_within(Path::new("/proc/self/status"), 10).unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        assert!(read_text(Path::new("/proc/self/status")).unwrap().starts_with("Name:"));
    }
}
