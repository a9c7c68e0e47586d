//! The folder of one run.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd, unix::net::UnixListener},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};
use tempfile::TempDir;

use crate::{
    guest::qemu,
    host::cache::Cache,
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// The folder of one run: the sockets, the initramfs, the console.
#[derive(Debug)]
pub(super) struct RunDir {
    folder: TempDir,
    /// Where QEMU brings the agent's channel.
    pub(super) agent: UnixListener,
    /// Where QEMU brings its own.
    pub(super) control: UnixListener,
    _lock: File,
}

impl RunDir {
    /// A new folder in the cache, with the sockets. Those that were left by runs that were killed
    /// are removed.
    pub(super) fn new(cache: &Cache) -> Result<Self> {
        let all = cache.room("run")?;
        let what = || format!("{} cannot be written", all.shown());
        // Nobody removes the new folder between its making and its lock.
        let held = File::open(&all).or_host(what)?;
        flock(&held, FlockOperation::LockExclusive).or_host(what)?;
        for old in fs::read_dir(&all).or_host(what)?.flatten() {
            // Each is locked by its run.
            let lock = File::open(old.path());
            if lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
            {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let folder = tempfile::Builder::new().prefix("").tempdir_in(&all).or_host(what)?;
        let lock = File::open(folder.path()).or_host(what)?;
        flock(&lock, FlockOperation::LockExclusive).or_host(what)?;
        drop(held);
        // 108 bytes are all that the address of a socket may have: named by way of the open
        // folder, it is short whatever the cache is called.
        let near = PathBuf::from(format!("/proc/self/fd/{}", lock.as_raw_fd()));
        let listen = |name| {
            let listener = UnixListener::bind(near.join(name)).or_host(what)?;
            listener.set_nonblocking(true).or_host(what)?;
            Ok(listener)
        };
        let (agent, control) = (listen(qemu::AGENT)?, listen(qemu::CONTROL)?);
        for pipe in [qemu::TERMINAL_IN, qemu::TERMINAL_OUT] {
            let path = folder.path().join(pipe);
            let made = mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
            made.or_host(what)?;
        }
        Ok(Self { folder, agent, control, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_killed_runs_are_removed_and_those_of_living_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(&folder.path().join("a name that is long enough ".repeat(8)));
        let left = cache.path("run/left");
        fs::create_dir_all(&left).unwrap();
        let first = RunDir::new(&cache).unwrap();
        let second = RunDir::new(&cache).unwrap();
        assert!(!left.exists() && first.path().exists() && second.path().exists());
    }
}
