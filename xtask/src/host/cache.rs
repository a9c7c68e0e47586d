//! The cache: an entry is complete or absent, also after an interruption and with several runners.

use std::{
    env, fs,
    fs::File,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::{
    host::open,
    host::{file_system::make_folder, progress::say},
    problem::{OrProblem, Problem, Result},
};

/// `$XDG_CACHE_HOME/symstack`.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// What an interrupted build leaves for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// It is removed, and the build begins again.
    Discard,
    /// The build goes on where it was, as `make` can.
    Resume,
}

impl Cache {
    /// Opens the cache, making it if need be.
    ///
    /// # Errors
    /// Neither `XDG_CACHE_HOME` nor `HOME` names a folder that can be written.
    pub fn open() -> Result<Self> {
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let base = env::var_os("XDG_CACHE_HOME").filter(|base| !base.is_empty());
        let base = base.map(PathBuf::from).or_else(home);
        let base = base.filter(|base| base.is_absolute()).ok_or_else(|| {
            let problem = Problem::host("neither XDG_CACHE_HOME nor HOME names a folder");
            problem.hint("set XDG_CACHE_HOME to an absolute path with 8 GB of space")
        })?;
        let folder = base.join("symstack");
        make_folder(&folder)?;
        Ok(Self { folder })
    }

    /// A cache in any folder, for tests.
    #[cfg(test)]
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.into() }
    }

    /// The path of something in the cache.
    pub fn path(&self, within: impl AsRef<Path>) -> PathBuf {
        self.folder.join(within)
    }

    /// A folder in the cache, made if need be.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self, within: &str) -> Result<PathBuf> {
        let folder = self.path(within);
        make_folder(&folder)?;
        Ok(folder)
    }

    /// The file that takes the output of a long work.
    ///
    /// # Errors
    /// The folder of logs cannot be made.
    pub fn log(&self, name: &str) -> Result<PathBuf> {
        let log = self.folder("logs")?.join(format!("{name}.log"));
        // Each work begins its log anew.
        let _ = fs::remove_file(&log);
        Ok(log)
    }

    /// The folder of an entry, built by `build` when it is absent.
    ///
    /// `build` works in a folder beside it, which takes the entry's name only when all is done, so
    /// an entry is complete or absent. A second runner waits for the first.
    ///
    /// # Errors
    /// Those of `build`, and those of the file system.
    pub fn entry(
        &self,
        name: &str,
        leftover: Partial,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        self.entry_with_lock(name, leftover, |partial, _| build(partial))
    }

    /// The same; `build` also gets the entry's lock, for commands that outlive us when we are
    /// killed. Those in a sandbox do not.
    ///
    /// # Errors
    /// Those of [`Cache::entry`].
    pub fn entry_with_lock(
        &self,
        name: &str,
        leftover: Partial,
        build: impl FnOnce(&Path, &Lock) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.path(name);
        if entry.exists() {
            return Ok(entry);
        }
        let lock = self.lock(name)?;
        if entry.exists() {
            return Ok(entry);
        }
        let partial = with_suffix(&entry, "partial");
        if leftover == Partial::Discard {
            remove_dir(&partial)?;
        }
        make_folder(&partial)?;
        build(&partial, &lock)?;
        fs::rename(&partial, &entry)
            .or_host(|| format!("{} cannot be completed", entry.display()))?;
        Ok(entry)
    }

    /// Removes an entry, or what an interrupted build left of one: it is absent at once, and its
    /// space is free soon.
    ///
    /// # Errors
    /// Another symstack builds it, or the file system does not let us.
    pub fn remove_entry(&self, name: &str) -> Result<()> {
        let entry = self.path(name);
        let base = LEFT.iter().find_map(|left| name.strip_suffix(left)).unwrap_or(name);
        let lock = Lock::try_beside(&self.path(base))?;
        let _lock =
            lock.ok_or_else(|| Problem::host(format!("another symstack works on {base}")))?;
        let gone = with_suffix(&entry, "gone");
        remove_dir(&gone)?;
        match fs::rename(&entry, &gone) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            renamed => {
                renamed.or_host(|| format!("{} cannot be removed", entry.display()))?;
                remove_dir(&gone)
            }
        }
    }

    /// Takes the named lock, waiting for it.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn lock(&self, name: &str) -> Result<Lock> {
        Lock::beside(&self.path(name))
    }
}

/// A lock that is held until all clones of it are dropped and all commands that hold it have ended.
#[derive(Clone, Debug)]
pub struct Lock(Arc<File>);

/// The suffixes of folders that are no entries yet, or no longer.
pub const LEFT: [&str; 2] = [".partial", ".gone"];

impl Lock {
    /// Takes the lock of a file or folder, waiting for it.
    ///
    /// # Errors
    /// The lock's file, which lies beside it, cannot be made.
    pub fn beside(place: &Path) -> Result<Self> {
        let (file, path) = Self::file(place)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            say(&format!("another symstack works on {}: waiting for it", place.display()));
            let locked = flock(&file, FlockOperation::LockExclusive);
            locked.or_host(|| format!("{}", path.display()))?;
        }
        Ok(Lock(Arc::new(file)))
    }

    /// Takes it if nobody has it.
    ///
    /// # Errors
    /// As [`Lock::beside`].
    pub fn try_beside(place: &Path) -> Result<Option<Self>> {
        let (file, _) = Self::file(place)?;
        let taken = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok(taken.then(|| Lock(Arc::new(file))))
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
        Ok((file.or_host(|| format!("{} cannot be opened", path.display()))?, path))
    }

    /// The lock's file as a command's standard input. It is the one way to hand on the lock that no
    /// other command inherits.
    pub(super) fn stdin(&self) -> Result<Stdio> {
        let file = self.0.try_clone().or_host(|| "a lock cannot be handed on".into())?;
        Ok(file.into())
    }
}

/// A folder beside `path` with a suffix to its name.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Removes a folder and all in it, if it is there.
///
/// # Errors
/// Something in it cannot be removed.
pub fn remove_dir(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).or_host(|| format!("{} cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Eight hexadecimal digits that stand for all that made something.
pub fn key(parts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_ref());
        // So that ("ab", "c") and ("a", "bc") differ.
        hash.update([0]);
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file so that it is there with all of its contents or not at all.
///
/// # Errors
/// Those of the file system.
pub fn write_atomic(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    write_with_mode(path, contents, 0o666)
}

/// Writes a shell script that can be run, unless it is there already.
///
/// # Errors
/// Those of the file system.
pub fn write_script(path: &Path, text: &str) -> Result<()> {
    if open::read_text(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    write_with_mode(path, text, 0o777)
}

/// The same with a mode, to which the umask applies as always.
///
/// # Errors
/// Those of the file system.
pub fn write_with_mode(path: &Path, contents: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    let what = || format!("{} cannot be written", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // A name of its own: several processes, and several threads of one, may write the same file.
    let mut partial = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .suffix(".partial")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .or_host(what)?;
    partial.write_all(contents.as_ref()).or_host(what)?;
    partial.persist(path).map(drop).or_host(what)
}

/// Checks that the file system of `folder` has so many bytes free for us.
///
/// # Errors
/// It has fewer.
pub fn need_space(folder: &Path, bytes: u64) -> Result<()> {
    let stat = rustix::fs::statvfs(folder).or_host(|| format!("{}", folder.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free >= bytes {
        return Ok(());
    }
    let (place, has, needs) = (folder.display(), free >> 20, bytes >> 20);
    let problem = Problem::host(format!("{place} has {has} MiB free, {needs} MiB are needed"));
    Err(problem.hint("free some space, or set XDG_CACHE_HOME to a folder that has it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_complete_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let failed = cache.entry("a/b", Partial::Discard, |partial| {
            fs::write(partial.join("half"), "x").unwrap();
            Err(Problem::host("interrupted"))
        });
        assert!(failed.is_err() && !cache.path("a/b").exists());

        let entry = cache.entry("a/b", Partial::Discard, |partial| {
            assert!(!partial.join("half").exists(), "the leftovers are gone");
            fs::write(partial.join("whole"), "x").or_host(String::new)
        });
        assert!(entry.unwrap().join("whole").exists());
    }

    #[test]
    fn what_make_left_is_kept_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let _ = cache.entry("k", Partial::Resume, |partial| {
            fs::write(partial.join("half"), "x").unwrap();
            Err(Problem::host("interrupted"))
        });
        let entry = cache.entry("k", Partial::Resume, |_| Ok(())).unwrap();
        assert!(entry.join("half").exists());
    }

    #[test]
    fn what_is_removed_is_absent_and_what_is_built_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let fill = |partial: &Path| fs::write(partial.join("x"), "x").or_host(String::new);
        let entry = cache.entry("a/b", Partial::Discard, fill).unwrap();
        let lock = cache.lock("a/b").unwrap();
        assert!(cache.remove_entry("a/b").is_err() && entry.exists());
        drop(lock);
        fs::create_dir(cache.path("a/b.partial")).unwrap();
        fs::create_dir(cache.path("a/c.gone")).unwrap();
        for name in ["a/b", "a/b.partial", "a/c.gone", "a/absent"] {
            cache.remove_entry(name).unwrap();
        }
        let left = fs::read_dir(cache.path("a")).unwrap().flatten();
        let folders = left.filter(|entry| entry.path().is_dir()).count();
        assert!(!entry.exists() && folders == 0);
    }

    #[test]
    fn two_at_once_build_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let built = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let entry = cache.entry("slow", Partial::Discard, |_| {
                        std::thread::sleep(std::time::Duration::from_millis(50));
                        built.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        Ok(())
                    });
                    entry.unwrap();
                });
            }
        });
        assert_eq!(built.into_inner(), 1);
    }

    #[test]
    fn keys_tell_their_parts_apart() {
        assert_ne!(key(["ab", "c"]), key(["a", "bc"]));
        assert_eq!(key(["x"]).len(), 8);
    }
}
