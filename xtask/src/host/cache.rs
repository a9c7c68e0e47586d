//! The cache: an entry is complete or absent, also after an interruption and with several runners.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{Access, access},
    process::geteuid,
};
use sha2::{Digest, Sha256};

use crate::{
    host::{
        beneath::remove_folder,
        file_system::age,
        lock::{locks_in, with_suffix},
        manifest, open, ownership,
    },
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

pub use crate::host::lock::Lock;

/// `$XDG_CACHE_HOME/symstack`.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// The fate of what an interrupted build leaves.
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
    /// Neither `XDG_CACHE_HOME` nor `HOME` names a folder that can be written; or another user may
    /// write there, or owns it.
    pub fn open() -> Result<Self> {
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let base = env::var_os("XDG_CACHE_HOME").filter(|base| !base.is_empty());
        let base = base.map(PathBuf::from).or_else(home);
        let base = base.filter(|base| base.is_absolute()).ok_or_else(|| {
            let problem = Problem::host("neither XDG_CACHE_HOME nor HOME names a folder");
            problem.hint("set XDG_CACHE_HOME to an absolute path with 8 GB of space")
        })?;
        let folder = base.join("symstack");
        make_own_folder(&folder)?;
        Ok(Self { folder: ownership::require(&folder)? })
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
        make_own_folder(&folder)?;
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

    /// A folder for what can be made again, and is: in the cache where that has room and can be
    /// written, and else where temporary files are.
    ///
    /// # Errors
    /// It cannot be made, or is not ours.
    pub fn room(&self, within: &str) -> Result<PathBuf> {
        let Some(aside) = self.aside() else { return self.folder(within) };
        Cache { folder: aside }.folder(within)
    }

    /// The folder that stands in for the cache where nothing can be written there.
    fn aside(&self) -> Option<PathBuf> {
        let has_room = |folder: &Path| {
            let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail * disk.f_frsize);
            access(folder, Access::WRITE_OK).is_ok() && free.is_ok_and(|free| free >= ROOM)
        };
        if has_room(&self.folder) {
            return None;
        }
        // The leftovers of runs that were killed may be all that fills it.
        SWEPT.into_iter().for_each(|folder| self.sweep(folder));
        if has_room(&self.folder) {
            return None;
        }
        let key = key([self.folder.as_os_str().as_encoded_bytes()]);
        let places = [env::temp_dir(), "/dev/shm".into()].into_iter().filter(|it| has_room(it));
        let mut places =
            places.map(|place| place.join(format!("symstack-{}-{key}", geteuid().as_raw())));
        places.find(|place| make_own_folder(place).and_then(|()| ownership::require(place)).is_ok())
    }

    /// The folder of an entry, built by `build` when it is absent.
    ///
    /// `build` works in a folder beside it, which takes the entry's name only when all is done, so
    /// an entry is complete or absent. A second runner waits for the first.
    ///
    /// # Errors
    /// Those of `build`, and those of the file system; or others may write in the entry.
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
        if let Some(entry) = self.present(name)? {
            return Ok(entry);
        }
        // The parts of guests are small, and are made within seconds.
        let aside = if name.starts_with("guest/") { self.aside() } else { None };
        let cache = aside.map_or_else(|| self.clone(), |folder| Cache { folder });
        let lock = cache.lock(name)?;
        if let Some(entry) = cache.present(name)? {
            return Ok(entry);
        }
        let entry = cache.path(name);
        let partial = with_suffix(&entry, "partial");
        if leftover == Partial::Discard {
            remove_dir(&partial)?;
            SWEPT.into_iter().for_each(|folder| cache.sweep(folder));
        }
        make_own_folder(&partial)?;
        let what = || format!("{} cannot be completed", entry.shown());
        let built = build(&partial, &lock).and_then(|()| {
            manifest::write(&partial).or_host(what)?;
            fs::rename(&partial, &entry).or_host(what)
        });
        if built.is_err() && leftover == Partial::Discard {
            // It would keep a full disk full.
            let _ = remove_dir(&partial);
        }
        built?;
        manifest::used(&entry);
        Ok(entry)
    }

    /// The folder of an entry if it is there.
    ///
    /// # Errors
    /// Others may write in it.
    pub fn present(&self, name: &str) -> Result<Option<PathBuf>> {
        let entry = self.path(name);
        if !entry.exists() {
            return Ok(None);
        }
        ownership::require(&entry)?;
        let script = entry.join("enter");
        if script.exists() {
            ownership::require(&script)?;
        }
        match entry.join(manifest::MANIFEST).metadata().map(|file| file.len()) {
            // As a machine leaves it that lost its power.
            Ok(0) => return Err(manifest::damaged(&entry, ".manifest is empty")),
            Ok(_) => {}
            // An older version made it. It is taken for whole, once.
            Err(_) => drop(manifest::write(&entry)),
        }
        manifest::used(&entry);
        Ok(Some(entry))
    }

    /// Checks a file of an entry before the most is made of it. A file from elsewhere is its
    /// owner's.
    ///
    /// # Errors
    /// It is not what was written.
    pub fn require_whole(&self, file: &Path) -> Result<()> {
        let Ok(within) = file.strip_prefix(&self.folder) else { return Ok(()) };
        let entries = within.ancestors().map(|above| self.folder.join(above)).skip(1);
        let mut entries = entries.filter(|entry| entry.join(manifest::MANIFEST).exists());
        let Some(entry) = entries.next() else { return Ok(()) };
        let file = file.strip_prefix(&entry).unwrap_or(file);
        manifest::damage_to(&entry, file).map_or(Ok(()), |why| Err(manifest::damaged(&entry, &why)))
    }

    /// Removes what runs that were killed left in a folder.
    fn sweep(&self, folder: &str) {
        for left in fs::read_dir(self.path(folder)).into_iter().flatten().flatten() {
            let (path, name) = (left.path(), left.file_name());
            let name = name.to_string_lossy();
            let Some(base) = LEFT.iter().find_map(|end| name.strip_suffix(end)) else { continue };
            if !path.is_dir() {
                // A file that was to be written at once.
                if age(&path).is_some_and(|age| age > FILE_LEFT) {
                    let _ = fs::remove_file(&path);
                }
                continue;
            }
            // The lock is free when nobody makes the entry any more, and is held meanwhile.
            if let Ok(Some(_lock)) = Lock::try_beside(&path.with_file_name(base)) {
                let _ = remove_dir(&path);
            }
        }
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
        let busy = || Problem::host(format!("another symstack works on {base}"));
        let _lock = lock.ok_or_else(busy)?;
        // A stack is locked for each kernel.
        let _locks = locks_in(&entry)
            .map(|place| Lock::try_beside(&place)?.ok_or_else(busy))
            .collect::<Result<Vec<_>>>()?;
        remove_at_once(&entry)
    }

    /// Removes the locks of what is gone. One that is held stays.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn remove_idle_locks(&self) -> Result<()> {
        for place in LOCKED.iter().flat_map(|folder| locks_in(&self.path(folder))) {
            if place.exists() || with_suffix(&place, "partial").exists() {
                continue;
            }
            Lock::try_beside(&place)?.map(|lock| lock.remove(&place)).transpose()?;
        }
        Ok(())
    }

    /// Takes the named lock, waiting for it.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn lock(&self, name: &str) -> Result<Lock> {
        Lock::beside(&self.path(name))
    }
}

/// The suffixes of folders that are no entries yet, or no longer.
pub const LEFT: [&str; 2] = [".partial", ".gone"];
/// The folders whose entries begin again after an interruption.
const SWEPT: [&str; 3] = ["guest", "guest/states", "roots"];
/// The folders that have locks.
const LOCKED: [&str; 8] =
    ["apt", "guest", "guest/states", "kernels", "lessons", "roots", "sources", "stacks"];
/// The age of a file that was to be written at once, and that nobody writes any more.
const FILE_LEFT: Duration = Duration::from_secs(60 * 60);
/// Bytes that must be free for a run: the largest file system of a guest, and its console.
const ROOM: u64 = 128 << 20;

/// Removes a folder and all in it, if it is there.
///
/// # Errors
/// Something in it cannot be removed.
pub fn remove_dir(folder: &Path) -> Result<()> {
    remove_folder(folder).or_host(|| format!("{} cannot be removed", folder.shown()))
}

/// Removes an entry whose lock is held, if it is there: nobody finds half of it.
pub(crate) fn remove_at_once(entry: &Path) -> Result<()> {
    let gone = with_suffix(entry, "gone");
    remove_dir(&gone)?;
    match fs::rename(entry, &gone) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        renamed => {
            renamed.or_host(|| format!("{} cannot be removed", entry.shown()))?;
            remove_dir(&gone)
        }
    }
}

/// Eight hexadecimal digits that stand for all that made something.
pub fn key(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
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

/// Writes a file unless it has these contents already: then nothing need be free.
///
/// # Errors
/// Those of the file system.
pub fn write_other(path: &Path, text: &str) -> Result<()> {
    if open::read_text(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    write_atomic(path, text)
}

/// Writes a shell script that only we can change, unless it is there already.
///
/// # Errors
/// Those of the file system.
pub fn write_script(path: &Path, text: &str) -> Result<()> {
    let own = path.metadata().is_ok_and(|file| ownership::is_own(&file));
    if own && open::read_text(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    write_with_mode(path, text, 0o755)
}

/// Makes a folder of the cache, and those above it, that others cannot write.
fn make_own_folder(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.or_host(|| format!("{} cannot be made", folder.shown()))
}

/// The same with a mode, to which the umask applies as always.
///
/// # Errors
/// Those of the file system.
pub fn write_with_mode(path: &Path, contents: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    let what = || format!("{} cannot be written", path.shown());
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
    let stat = rustix::fs::statvfs(folder).or_host(|| format!("{}", folder.shown()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free >= bytes {
        return Ok(());
    }
    let (place, has, needs) = (folder.shown(), free >> 20, bytes >> 20);
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
    fn leavings_of_make_are_kept_when_asked() {
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
    fn a_removed_entry_is_absent_and_one_that_is_built_is_not_removed() {
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
    fn a_failed_entry_leaves_nothing_and_a_killed_one_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        fs::create_dir_all(cache.path("guest/states/killed.partial")).unwrap();
        fs::create_dir_all(cache.path("guest/states/live.partial")).unwrap();
        let _live = cache.lock("guest/states/live").unwrap();
        let failed = cache.entry("guest/a", Partial::Discard, |_| Err(Problem::host("disk full")));
        assert!(failed.is_err() && !cache.path("guest/a.partial").exists());
        assert!(!cache.path("guest/states/killed.partial").exists());
        assert!(cache.path("guest/states/live.partial").exists());
    }

    #[test]
    fn a_lock_whose_file_is_removed_meanwhile_is_taken_anew() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let first = cache.lock("guest/a").unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| cache.lock("guest/a").unwrap());
            std::thread::sleep(Duration::from_millis(50));
            first.remove(&cache.path("guest/a")).unwrap();
            let held = waits.join().unwrap();
            assert!(Lock::try_beside(&cache.path("guest/a")).unwrap().is_none());
            cache.remove_idle_locks().unwrap();
            assert!(cache.path("guest/a.lock").exists(), "one that is held stays");
            drop(held);
        });
        cache.remove_idle_locks().unwrap();
        assert!(!cache.path("guest/a.lock").exists());
    }

    #[test]
    fn a_damaged_entry_is_named_with_what_makes_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let fill = |partial: &Path| fs::write(partial.join("x"), "x").or_host(String::new);
        let file = cache.entry("kernels/a b", Partial::Resume, fill).unwrap().join("x");
        cache.require_whole(&file).unwrap();
        fs::write(&file, "y").unwrap();
        let problem = cache.require_whole(&file).unwrap_err();
        assert!(problem.fact.ends_with("kernels/a b, x is not what was written"), "{problem}");
        let again = problem.hint.unwrap();
        assert!(again.ends_with(&format!(": rm -r '{}/kernels/a b'", folder.path().display())));
        fs::write(file.with_file_name(manifest::MANIFEST), "").unwrap();
        let problem = cache.present("kernels/a b").unwrap_err();
        assert!(problem.fact.ends_with("kernels/a b, .manifest is empty"), "{problem}");
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
