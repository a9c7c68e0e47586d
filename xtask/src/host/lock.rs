//! Locks: a file beside what is locked, which every symstack holds while it works there.

use std::{
    fs,
    fs::File,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::SystemTime,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    host::{
        file_system::{has_extension, make_folder},
        progress::say,
    },
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// A lock that is held until all clones of it are dropped and all commands that hold it have ended.
#[derive(Clone, Debug)]
pub struct Lock(Arc<File>);

impl Lock {
    /// Takes the lock of a file or folder, waiting for it.
    ///
    /// # Errors
    /// The lock's file, which lies beside it, cannot be made.
    pub fn beside(place: &Path) -> Result<Self> {
        loop {
            let (file, path) = Self::file(place)?;
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                say(&format!("another symstack works on {}: waiting for it", place.shown()));
                let locked = flock(&file, FlockOperation::LockExclusive);
                locked.or_host(|| format!("{}", path.shown()))?;
            }
            if let Some(lock) = Self::of(file, &path) {
                return Ok(lock);
            }
        }
    }

    /// Takes it if nobody has it.
    ///
    /// # Errors
    /// As [`Lock::beside`].
    pub fn try_beside(place: &Path) -> Result<Option<Self>> {
        let (file, path) = Self::file(place)?;
        let taken = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok(taken.then(|| Self::of(file, &path)).flatten())
    }

    /// The lock of a file that is locked, unless its name is another file's by now: whoever removes
    /// a lock's file holds it. The file's time is that of its last use.
    fn of(file: File, path: &Path) -> Option<Self> {
        let inode = |file: fs::Metadata| (file.dev(), file.ino());
        let same = file.metadata().ok().map(inode) == path.metadata().ok().map(inode);
        let _ = file.set_modified(SystemTime::now());
        same.then(|| Self(Arc::new(file)))
    }

    /// Removes the file of a lock that is held.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(self, place: &Path) -> Result<()> {
        let path = with_suffix(place, "lock");
        fs::remove_file(&path).or_host(|| format!("{} cannot be removed", path.shown()))
    }

    /// The lock's file, open, and its path.
    fn file(place: &Path) -> Result<(File, PathBuf)> {
        let path = with_suffix(place, "lock");
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let mut options = File::options();
        let file =
            options.create(true).truncate(false).read(true).write(true).mode(0o644).open(&path);
        Ok((file.or_host(|| format!("{} cannot be opened", path.shown()))?, path))
    }

    /// The lock's file as a command's standard input. It is the one way to hand on the lock that no
    /// other command inherits.
    pub(super) fn stdin(&self) -> Result<Stdio> {
        let file = self.0.try_clone().or_host(|| "a lock cannot be handed on".into())?;
        Ok(file.into())
    }
}

/// The places in a folder that have a lock.
pub(super) fn locks_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let locks = files.filter(|path| has_extension(path, "lock"));
    locks.map(|path| path.with_extension(""))
}

/// A folder beside `path` with a suffix to its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}
