//! The suite's own kernel: older, without Rust, with MODVERSIONS by genksyms and the export tables
//! of before 7.1. C modules build for it with Debian's headers as they are.

use std::fs;

use crate::{
    host::{cache, progress::Step},
    kernel::{archive::Archive, preparation::Preparation, write_enter},
    problem::{OrProblem, Result},
};

/// Part of the cache's key: raised when the kernel is prepared in another way.
pub(super) const RECIPE: &str = "1";
/// Bytes that it needs, its modules among them.
const SPACE: u64 = 1 << 30;

/// Unpacks it.
///
/// # Errors
/// The archive does not offer it any more, or it cannot be unpacked.
pub(super) fn prepare(prep: &Preparation) -> Result<()> {
    let Preparation { cache, root, candidate, aside } = *prep;
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
