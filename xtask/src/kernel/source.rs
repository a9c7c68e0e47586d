//! Debian's source of a kernel, unpacked.

use std::path::{Path, PathBuf};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        progress::Step,
        root::Root,
    },
    kernel::archive::{Archive, Candidate},
    problem::Result,
};

/// Bytes that the unpacked source and its archive need.
const SPACE: u64 = 3 << 30;

/// The source that a stock kernel was built from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The entry's name in the cache.
    pub entry: String,
    /// The folder in it that holds the source: `linux-source-7.3`.
    pub folder: String,
    /// That folder on the host.
    pub path: PathBuf,
}

impl Source {
    /// The source of what the archive offers, fetched and unpacked if it is absent.
    ///
    /// # Errors
    /// The archive has it no more, or there is no space.
    pub fn obtain(cache: &Cache, root: &Root, candidate: &Candidate) -> Result<Self> {
        let folder = candidate.source_package();
        let entry = Self::entry(candidate);
        let build = |aside: &Path| fetch(cache, root, candidate, aside);
        let path = cache.entry(&entry, Partial::Discard, build)?.join(&folder);
        Ok(Self { entry, folder, path })
    }

    /// Where it is seen in the private root.
    pub fn inside(&self) -> PathBuf {
        Path::new("/usr/src").join(&self.folder)
    }

    fn entry(candidate: &Candidate) -> String {
        format!("sources/{}_{}", candidate.source_package(), candidate.version)
    }
}

fn fetch(cache: &Cache, root: &Root, candidate: &Candidate, aside: &Path) -> Result<()> {
    cache::need_space(aside, SPACE)?;
    let package = candidate.source_package();
    let log = cache.log(&package)?;
    let step = Step::begin(format!("{package} {}", candidate.version), "170 MB, then about 15 s");
    let wanted = [format!("{package}={}", candidate.version)];
    Archive::open(cache, root)?.unpack(&step, &log, &wanted, aside)?;
    let tar = aside.join("usr/src").join(format!("{package}.tar.xz"));
    let run = root.sandbox().bind(aside).chdir(aside).run("tar");
    // The threads of xz help where the archive was written in blocks; elsewhere they cost nothing.
    let run = run.args(["--no-same-owner", "-I", "xz -T0", "-xf"]).arg(&tar);
    run.deadline(std::time::Duration::from_secs(600)).logged(&log, &step)?;
    cache::remove_dir(&aside.join("usr"))?;
    step.done();
    Ok(())
}
