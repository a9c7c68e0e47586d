//! Saved states: machines that have booted, put away to be restored instead of booted again.
//!
//! A state is a folder of the cache. Its name stands for everything that made the machine what it
//! is, and a digest for the bytes, because a machine that was restored from damaged memory could
//! say anything.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        file_system::write_file,
        manifest::checksum,
        open,
    },
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// The machine's memory, full of holes: what it never wrote takes no space.
pub(super) const MEMORY: &str = "memory";
/// The state of the devices that QEMU saved.
pub(super) const DEVICES: &str = "devices";
/// The agent's words until then.
pub(super) const TRANSCRIPT: &str = "transcript";
/// A line for each of the three: its name, its length, its checksum.
const DIGEST: &str = "digest";
/// One line for [`list`].
const ABOUT: &str = "about";
/// The folder of all states in the cache.
const FOLDER: &str = "guest/states";
/// The number of states that are kept, and of their bytes.
const KEPT: usize = 12;
const KEPT_BYTES: u64 = 3 << 30;

/// A state that is complete. Nobody removes it before this is dropped.
#[derive(Debug)]
pub(super) struct SavedState {
    name: String,
    folder: PathBuf,
    used: File,
}

/// A state, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The kernel and the guest that it is a state of.
    pub about: String,
    /// Its size on the disk.
    pub bytes: u64,
    /// When it was last restored.
    pub used: SystemTime,
    folder: PathBuf,
}

impl SavedState {
    /// The state with this key, made first if it is absent. `make` writes memory and devices into
    /// a folder, and returns the agent's transcript.
    ///
    /// # Errors
    /// Those of `make`, and those of the file system.
    pub(super) fn obtain(
        cache: &Cache,
        key: &str,
        about: &str,
        mut make: impl FnMut(&Path) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let name = format!("{FOLDER}/{key}");
        loop {
            let folder = cache.entry(&name, Partial::Discard, |aside| {
                let transcript = make(aside)?;
                write_file(&aside.join(TRANSCRIPT), transcript)?;
                write_file(&aside.join(ABOUT), about)?;
                let digest = digest(aside).or_host(|| format!("{}", aside.shown()))?;
                write_file(&aside.join(DIGEST), digest)
            })?;
            // Another run may have removed it before it is held.
            if let Some(used) = hold(&folder)? {
                // The state that was used longest ago is forgotten first; if the time cannot be
                // set, this one goes earlier.
                let _ = used.set_modified(SystemTime::now());
                prune(cache);
                return Ok(Self { name, folder, used });
            }
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Compares it with its digest.
    ///
    /// # Errors
    /// It is not, in a few words.
    pub(super) fn check(folder: &Path) -> Result<(), String> {
        let saved = open::read_text(folder.join(DIGEST)).map_err(|error| error.to_string())?;
        let now = digest(folder).map_err(|error| error.to_string())?;
        let differs = saved.lines().zip(now.lines()).find(|(saved, now)| saved != now);
        match differs {
            None if saved.lines().count() == now.lines().count() => Ok(()),
            None => Err("its digest is cut short".into()),
            Some((saved, _)) => {
                let name = saved.split(' ').next().unwrap_or_default();
                Err(format!("its {name} is not what was saved"))
            }
        }
    }

    /// Removes it. Machines that were restored from it keep what they mapped.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn discard(self, cache: &Cache) -> Result<()> {
        let _lock = cache.lock(&self.name)?;
        // Another run may have made it again meanwhile.
        if inode(self.used.metadata()) == inode(self.folder.join(DIGEST).metadata()) {
            cache::remove_at_once(&self.folder)?;
        }
        Ok(())
    }
}

/// The states in the cache, the one that was used last first.
pub fn list(cache: &Cache) -> Vec<Listed> {
    let Ok(entries) = fs::read_dir(cache.path(FOLDER)) else { return Vec::new() };
    let folders = entries.flatten().map(|entry| entry.path());
    let mut states: Vec<Listed> = folders
        .filter_map(|folder| {
            let about = open::read_text(folder.join(ABOUT)).ok()?;
            let used = folder.join(DIGEST).metadata().and_then(|digest| digest.modified()).ok()?;
            let sizes = [MEMORY, DEVICES].map(|name| folder.join(name).metadata());
            let bytes = sizes.iter().flatten().map(|file| file.blocks() * 512).sum();
            Some(Listed { about, bytes, used, folder })
        })
        .collect();
    states.sort_by_key(|state| std::cmp::Reverse(state.used));
    states
}

/// Returns what tells a file from one that took its name.
fn inode(file: io::Result<fs::Metadata>) -> Option<u64> {
    file.ok().map(|file| file.ino())
}

/// Holds a state against its removal; none when it is removed already.
fn hold(folder: &Path) -> Result<Option<File>> {
    let (path, what) = (folder.join(DIGEST), || format!("{} cannot be opened", folder.shown()));
    let before = inode(folder.metadata());
    // The cache may be read-only.
    let used = match File::open(&path) {
        // It may have been removed, and even made again, since we looked.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && (before.is_none() || inode(folder.metadata()) != before) =>
        {
            return Ok(None);
        }
        used => used.or_host(what)?,
    };
    flock(&used, FlockOperation::LockShared).or_host(what)?;
    Ok((inode(used.metadata()) == inode(path.metadata())).then_some(used))
}

/// Removes the states that were not used for the longest time, while there are too many.
fn prune(cache: &Cache) {
    let mut bytes = 0;
    for (index, state) in list(cache).iter().enumerate() {
        bytes += state.bytes;
        if index < KEPT && bytes <= KEPT_BYTES {
            continue;
        }
        // One that is used is left for the next time.
        let Ok(digest) = File::open(state.folder.join(DIGEST)) else { continue };
        if flock(&digest, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let name = state.folder.file_name().unwrap_or_default().to_string_lossy();
            let _ = cache.remove_entry(&format!("{FOLDER}/{name}"));
        }
    }
}

/// A line for each file of a state.
fn digest(folder: &Path) -> io::Result<String> {
    let mut lines = String::new();
    for name in [MEMORY, DEVICES, TRANSCRIPT] {
        let (length, sum) = checksum(&folder.join(name))?;
        lines.push_str(&format!("{name} {length} {sum:08x}\n"));
    }
    Ok(lines)
}

/// Returns the text that stands for a file in a key without its contents being read.
///
/// # Errors
/// It is not there.
pub(super) fn stamp(path: &Path) -> io::Result<String> {
    let file = path.metadata()?;
    Ok(format!("{} {} {} {}", file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        (folder, cache)
    }

    fn make(folder: &Path) -> Result<Vec<u8>> {
        let memory = File::create(folder.join(MEMORY)).unwrap();
        memory.set_len(64 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&memory, b"word", 40 << 20).unwrap();
        fs::write(folder.join(DEVICES), "devices").unwrap();
        Ok(b"hello".into())
    }

    #[test]
    fn one_byte_anywhere_is_noticed() {
        let (_folder, cache) = cache();
        let state = SavedState::obtain(&cache, "k", "a", make).unwrap();
        assert_eq!(SavedState::check(state.folder()), Ok(()));
        for (name, at) in [(MEMORY, 0), (MEMORY, (40 << 20) + 3), (DEVICES, 6), (TRANSCRIPT, 0)] {
            let path = state.folder().join(name);
            let file = File::options().read(true).write(true).open(&path).unwrap();
            let mut byte = [0];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, at).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[byte[0] ^ 4], at).unwrap();
            let said = SavedState::check(state.folder()).unwrap_err();
            assert_eq!(said, format!("its {name} is not what was saved"));
            std::os::unix::fs::FileExt::write_all_at(&file, &byte, at).unwrap();
            assert_eq!(SavedState::check(state.folder()), Ok(()));
        }
        let memory = File::options().write(true).open(state.folder().join(MEMORY)).unwrap();
        memory.set_len(63 << 20).unwrap();
        assert!(SavedState::check(state.folder()).is_err(), "cut short");
    }

    #[test]
    fn a_state_that_is_removed_before_it_is_held_is_made_again() {
        let (_folder, cache) = cache();
        let state = SavedState::obtain(&cache, "k", "a", make).unwrap();
        let folder = state.folder().to_owned();
        assert!(hold(&folder).unwrap().is_some());
        let digest = folder.join(DIGEST);
        File::open(&digest).unwrap().set_permissions(PermissionsExt::from_mode(0o444)).unwrap();
        assert!(hold(&folder).unwrap().is_some(), "read-only");
        state.discard(&cache).unwrap();
        assert!(hold(&folder).unwrap().is_none());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..8 {
                        let state = SavedState::obtain(&cache, "k", "a", make).unwrap();
                        state.discard(&cache).unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn too_many_go_and_one_that_is_used_stays() {
        let (_folder, cache) = cache();
        let first = SavedState::obtain(&cache, "0", "a", make).unwrap();
        let old = SystemTime::UNIX_EPOCH;
        first.used.set_modified(old).unwrap();
        for number in 1..=KEPT + 1 {
            drop(SavedState::obtain(&cache, &number.to_string(), "b", make).unwrap());
        }
        assert!(first.folder().exists());
        drop(first);
        fs::create_dir(cache.path("guest/states/2.partial")).unwrap();
        drop(SavedState::obtain(&cache, "1", "b", make).unwrap());
        assert!(!cache.path("guest/states/2.partial").exists());
        let left = list(&cache);
        assert_eq!(left.len(), KEPT);
        assert!(left.iter().all(|state| state.about == "b" && state.bytes < 1 << 20));
    }
}
