//! Waits until the sources change.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::Errno,
};

use crate::{
    build::Stack,
    host::{process::interrupted, progress::say},
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// The interval at which it is looked if we were asked to end. A file system that tells of no
/// changes is looked at as often.
const LOOK: Duration = Duration::from_millis(500);
/// An editor writes several files one after the other: so long nothing must have changed.
const REST: Duration = Duration::from_millis(50);

/// The sources as they were when they were last looked at.
#[derive(Debug)]
pub struct Changes {
    stack: Stack,
    /// The files beside the stack that its sources name.
    beside: Vec<PathBuf>,
    seen: Vec<Stamp>,
}

type Stamp = (PathBuf, Option<(u64, SystemTime)>);

impl Changes {
    /// Plays a round now and after every save, until one has an answer; none when we were asked to
    /// end before.
    ///
    /// # Errors
    /// Those of a round; or the sources cannot be read.
    pub fn play<T>(
        stack: &Stack,
        mut round: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        loop {
            // Begun before the round: what is saved meanwhile gives the next one.
            let mut changes = Self::begin(stack)?;
            if let Some(answer) = round()? {
                return Ok(Some(answer));
            }
            say("waiting for the next save; Ctrl-C ends");
            if !changes.wait(|| interrupted().is_some())? {
                return Ok(None);
            }
        }
    }

    /// Begins with a stack's sources as they are now.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn begin(stack: &Stack) -> Result<Self> {
        let beside = stack.files_beside().unwrap_or_default();
        let mut changes = Self { stack: stack.clone(), beside, seen: Vec::new() };
        changes.seen = changes.look()?;
        Ok(changes)
    }

    /// Waits until something differs from the last time, and nothing changes any more; false when
    /// `end` says so before.
    ///
    /// # Errors
    /// The sources cannot be read.
    pub fn wait(&mut self, end: impl Fn() -> bool) -> Result<bool> {
        // Watched before they are looked at, so that no change falls between.
        let inotify = self.watch()?;
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        while !end() {
            let mut now = self.look()?;
            if now != self.seen {
                loop {
                    thread::sleep(REST);
                    let later = self.look()?;
                    if later == now {
                        break;
                    }
                    now = later;
                }
                self.seen = now;
                return Ok(true);
            }
            let limit = Timespec::try_from(LOOK).ok();
            let _ = poll(&mut [PollFd::new(&inotify, PollFlags::IN)], limit.as_ref());
            // The changes themselves are seen in the files.
            let mut reader = inotify::Reader::new(&inotify, &mut buffer);
            while reader.next().is_ok() {}
        }
        Ok(false)
    }

    fn watch(&self) -> Result<rustix::fd::OwnedFd> {
        let what = || "the sources cannot be watched".to_owned();
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let inotify = inotify.or_host(what)?;
        let parents = self.seen.iter().filter_map(|(file, _)| file.parent());
        let folders: BTreeSet<&Path> = parents.collect();
        let flags =
            WatchFlags::CLOSE_WRITE | WatchFlags::MOVE | WatchFlags::CREATE | WatchFlags::DELETE;
        for folder in folders {
            match inotify::add_watch(&inotify, folder, flags) {
                // It was moved away since: that is seen when the sources are looked at.
                Err(Errno::NOENT) => {}
                watched => {
                    watched.map(drop).or_host(|| format!("{} cannot be watched", folder.shown()))?
                }
            }
        }
        Ok(inotify)
    }

    fn look(&self) -> Result<Vec<Stamp>> {
        let stamp = |path: PathBuf| {
            let file = path.metadata().ok();
            let stamp = file.and_then(|file| Some((file.len(), file.modified().ok()?)));
            (path, stamp)
        };
        // A folder that was moved away may return.
        if !self.stack.path("").exists() {
            return Ok(Vec::new());
        }
        let sources = self.stack.sources()?;
        let paths = sources.paths().chain(self.beside.iter().cloned());
        Ok(paths.filter(|path| !is_editors(path)).map(stamp).collect())
    }
}

/// Returns `true` for a file that an editor writes beside the one that it edits.
fn is_editors(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || name.ends_with('~') || name == "4913"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Instant};

    #[test]
    fn a_folder_that_is_moved_away_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let (stack, away) = (folder.path().join("stack"), folder.path().join("away"));
        fs::create_dir_all(stack.join("d")).unwrap();
        fs::write(stack.join("Kbuild"), "").unwrap();
        fs::write(stack.join("d/a.c"), "").unwrap();
        let mut changes = Changes::begin(&Stack::in_folder(&stack).unwrap()).unwrap();
        fs::rename(&stack, &away).unwrap();
        assert!(changes.wait(|| false).unwrap());
        // It is waited for, as when it moved while nothing was built.
        assert!(!changes.wait(|| true).unwrap());
        fs::rename(&away, &stack).unwrap();
        assert!(changes.wait(|| false).unwrap());
    }

    #[test]
    fn a_save_is_seen_once_and_what_is_no_source_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        let source = folder.path().join("d/a.rs");
        fs::write(&source, "1").unwrap();
        fs::write(folder.path().join("Kbuild"), "").unwrap();
        let stack = Stack::in_folder(folder.path()).unwrap();
        let mut changes = Changes::begin(&stack).unwrap();
        let soon = |limit: Duration| {
            let begin = Instant::now();
            move || begin.elapsed() > limit
        };
        fs::write(folder.path().join("d/.a.rs.swp"), "1").unwrap();
        assert!(!changes.wait(soon(Duration::from_millis(10))).unwrap());
        let writer = thread::spawn(move || {
            for piece in 1..5 {
                fs::write(&source, "x".repeat(piece)).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
            fs::write(source.with_file_name("b.rs"), "new").unwrap();
        });
        assert!(changes.wait(soon(Duration::from_secs(60))).unwrap());
        writer.join().unwrap();
        // A slow machine may have seen the writer in the middle.
        while changes.wait(soon(Duration::from_millis(300))).unwrap() {}
        assert_eq!(changes.seen.len(), 3);
        assert!(!changes.wait(|| true).unwrap());
    }
}
