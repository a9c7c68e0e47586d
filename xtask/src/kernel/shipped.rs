//! The modules that Debian ships for a kernel, and their facts beside kmod's.

use std::{fs, path::Path};

use crate::{
    host::{cache::Cache, root::Root},
    kernel::{Kernel, KernelName, archive::Refresh},
    problem::{OrProblem, Result},
    tree::kmod::{self, Comparison, InstalledTree, Kmod},
};

/// The installed tree of the modules that Debian built for a kernel.
///
/// # Errors
/// The kernel is none of Debian's, or the archive does not offer its modules any more.
pub fn modules(cache: &Cache, kernel: &Kernel) -> Result<InstalledTree> {
    InstalledTree::new(&kernel.shipped_modules(cache)?)
}

/// Holds every fact of a kernel's shipped modules against kmod's and against the kernel's own
/// Module.symvers; the release, and what was compared. depmod writes into `scratch`.
///
/// # Errors
/// The kernel or its modules cannot be prepared, or a tool of kmod fails.
pub fn compare_with_kmod(
    cache: &Cache,
    root: &Root,
    name: &KernelName,
    host_kmod: bool,
    scratch: &Path,
) -> Result<(String, Vec<Comparison>)> {
    fs::create_dir_all(scratch).or_host(|| format!("cannot make {}", scratch.display()))?;
    let kernel = Kernel::obtain(cache, name, Refresh::Daily)?;
    let tree = modules(cache, &kernel)?;
    let kmod = kmod_of(root, host_kmod, scratch);
    let compared = kmod::compare(&tree, &kernel.tree.join("Module.symvers"), &kmod, scratch)?;
    Ok((tree.release, compared))
}

/// The host's kmod, or the private root's, which may write into `scratch`.
pub fn kmod_of(root: &Root, host: bool, scratch: &Path) -> Kmod {
    if host { Kmod::Host } else { Kmod::Private(root.sandbox().bind(scratch)) }
}
