//! Debian's source of a kernel, unpacked.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        progress::{Step, say},
        root::Root,
    },
    kernel::{
        archive::{Archive, Candidate},
        names,
    },
    problem::Result,
};

/// Bytes that the unpacked source and its archive need.
const SPACE: u64 = 3 << 30;

/// The source that a stock kernel was built from. Nobody removes it before this is dropped.
#[derive(Clone, Debug)]
pub struct Source {
    /// The entry's name in the cache.
    pub entry: String,
    /// The folder in it that holds the source: `linux-source-7.3`.
    pub folder: String,
    /// That folder on the host.
    pub path: PathBuf,
    /// Whether it was fetched for this use alone.
    fetched: bool,
    _used: Arc<File>,
}

impl Source {
    /// The source of what the archive offers, fetched and unpacked if it is absent.
    ///
    /// # Errors
    /// The archive has it no more, or there is no space.
    pub fn obtain(cache: &Cache, root: &Root, candidate: &Candidate) -> Result<Self> {
        let folder = candidate.source_package();
        let entry = Self::entry(candidate);
        let mut fetched = false;
        loop {
            let whole = cache.entry(&entry, Partial::Discard, |aside| {
                fetched = true;
                fetch(cache, root, candidate, aside)
            })?;
            // Another run may have removed it just now.
            let used = File::open(&whole)
                .and_then(|used| Ok(flock(&used, FlockOperation::LockShared).map(|()| used)?));
            if let (Ok(used), true) = (used, whole.exists()) {
                let path = whole.join(&folder);
                return Ok(Self { entry, folder, path, fetched, _used: Arc::new(used) });
            }
        }
    }

    /// Removes what was fetched for this use alone, unless a kernel that is built on it, or another
    /// run, has come to need it.
    ///
    /// # Errors
    /// The file system does not let us.
    pub(super) fn release(self, cache: &Cache) -> Result<()> {
        let Self { entry, folder, fetched, _used, .. } = self;
        let Ok(whole) = File::open(cache.path(&entry)) else { return Ok(()) };
        drop(_used);
        let alone = flock(&whole, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !fetched || !alone || is_built_on(cache, &entry) {
            return Ok(());
        }
        say(&format!("    {folder} is removed: no kernel is built on it"));
        cache.remove_entry(&entry)
    }

    /// Where it is seen in the private root.
    pub fn inside(&self) -> PathBuf {
        Path::new("/usr/src").join(&self.folder)
    }

    fn entry(candidate: &Candidate) -> String {
        format!("sources/{}_{}", candidate.source_package(), candidate.version)
    }
}

/// Whether a kernel of the cache, prepared or not yet, is built on this source.
fn is_built_on(cache: &Cache, entry: &str) -> bool {
    let kernels = names(&cache.path("kernels")).unwrap_or_default();
    kernels.iter().any(|kernel| needs(cache, &format!("kernels/{kernel}"), entry))
}

/// Whether every build for this kernel needs this source, both named by their entries: the script
/// that enters the kernel then shows the source.
pub(super) fn needs(cache: &Cache, kernel: &str, source: &str) -> bool {
    let script = fs::read_to_string(cache.path(kernel).join("enter"));
    script.is_ok_and(|script| script.contains(&format!("/{source}/")))
}

fn fetch(cache: &Cache, root: &Root, candidate: &Candidate, aside: &Path) -> Result<()> {
    cache::need_space(aside, SPACE)?;
    let package = candidate.source_package();
    let log = cache.log(&package)?;
    let step = Step::begin(format!("{package} {}", candidate.version), "170 MB, then about 15 s");
    let wanted = [format!("{package}={}", candidate.version)];
    Archive::open(cache, root, root.suite.kernels)?.unpack(&step, &log, &wanted, aside)?;
    let tar = aside.join("usr/src").join(format!("{package}.tar.xz"));
    let run = root.sandbox().bind(aside).chdir(aside).run("tar");
    // The threads of xz help where the archive was written in blocks; elsewhere they cost nothing.
    let run = run.args(["--no-same-owner", "-I", "xz -T0", "-xf"]).arg(&tar);
    run.deadline(std::time::Duration::from_secs(600)).logged(&log, &step)?;
    cache::remove_dir(&aside.join("usr"))?;
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_stays_while_something_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let entry = "sources/linux-source-7.3_1";
        let source = |fetched| {
            fs::create_dir_all(cache.path(entry)).unwrap();
            let used = File::open(cache.path(entry)).unwrap();
            flock(&used, FlockOperation::LockShared).unwrap();
            let (entry, folder, path) = (entry.into(), "x".into(), "x".into());
            Source { entry, folder, path, fetched, _used: Arc::new(used) }
        };
        let there = || cache.path(entry).exists();
        source(false).release(&cache).unwrap();
        assert!(there(), "it was there before");
        let other = source(true);
        source(true).release(&cache).unwrap();
        assert!(there(), "another run uses it");
        drop(other);
        let script = cache.path("kernels/lab.partial/enter");
        fs::create_dir_all(script.parent().unwrap()).unwrap();
        fs::write(&script, format!("--ro-bind $here/../../{entry}/x /usr/src/x")).unwrap();
        source(true).release(&cache).unwrap();
        assert!(there(), "a kernel is built on it");
        fs::remove_file(script).unwrap();
        source(true).release(&cache).unwrap();
        assert!(!there());
    }
}
