//! The suite's own kernel: older, without Rust, with MODVERSIONS by genksyms and the export tables
//! of before 7.1. C modules build for it with Debian's headers as they are.

use std::{fs, path::Path};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        progress::Step,
        root::Root,
    },
    kernel::{
        Kernel, KernelName,
        archive::{Archive, Candidate, Refresh, cached},
        write_enter,
    },
    problem::{OrProblem, Result},
};

/// Part of the cache's key: raised when the kernel is prepared in another way.
const RECIPE: &str = "1";
/// Bytes that it needs, its modules among them.
const SPACE: u64 = 1 << 30;

/// The stable kernel, prepared if it is absent.
///
/// # Errors
/// The archive does not offer it, or it cannot be unpacked.
pub fn obtain(cache: &Cache, root: &Root, refresh: Refresh) -> Result<Kernel> {
    let refresh = if present(cache, root).is_some() { refresh } else { Refresh::Now };
    let candidate = Archive::open(cache, root)?.resolve(&KernelName::Stable, refresh)?;
    let folder = cache.entry(&entry(root, &candidate), Partial::Discard, |aside| {
        prepare(cache, root, &candidate, aside)
    })?;
    Ok(Kernel::installed(KernelName::Stable, &folder, &candidate.release))
}

/// The stable kernel if it is there.
pub fn present(cache: &Cache, root: &Root) -> Option<Kernel> {
    let candidate = cached(cache, &KernelName::Stable)?;
    let folder = cache.path(entry(root, &candidate));
    folder.exists().then(|| Kernel::installed(KernelName::Stable, &folder, &candidate.release))
}

fn entry(root: &Root, candidate: &Candidate) -> String {
    let key = cache::key([RECIPE, &candidate.version, &Root::name(root.suite)]);
    format!("kernels/stable-{}-{key}", candidate.release)
}

fn prepare(cache: &Cache, root: &Root, candidate: &Candidate, aside: &Path) -> Result<()> {
    cache::need_space(aside, SPACE)?;
    let release = &candidate.release;
    let log = cache.log(&format!("kernel-{release}"))?;
    let step = Step::begin(format!("Debian's kernel {release}"), "110 MB");
    let archive = Archive::open(cache, root)?;
    let packages = archive.kernel_packages(candidate, "linux-image")?;
    archive.unpack(&step, &log, &packages, aside)?;
    step.done();
    // Where newer packages have it, and where all that boots a kernel looks.
    let (from, to) =
        (format!("boot/vmlinuz-{release}"), format!("usr/lib/modules/{release}/vmlinuz"));
    let (from, to) = (aside.join(from), aside.join(to));
    fs::rename(&from, &to).or_host(|| format!("{} cannot be moved", from.display()))?;
    write_enter(root, aside, &[])
}
