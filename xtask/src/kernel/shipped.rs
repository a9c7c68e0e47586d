//! The modules that Debian ships for a kernel, and their facts beside kmod's.

use std::path::Path;

use crate::{
    host::{cache::Cache, file_system::make_folder, root::Root},
    kernel::{Kernel, KernelName, archive::Refresh},
    problem::Result,
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
    scratch: &Path,
) -> Result<(String, Vec<Comparison>)> {
    make_folder(scratch)?;
    let kernel = Kernel::obtain(cache, name, Refresh::Daily)?;
    let tree = modules(cache, &kernel)?;
    let (kmod, symvers) = (Kmod::of(root, scratch), kernel.tree.join("Module.symvers"));
    let compared = kmod::compare(&tree, &symvers, &kmod, scratch)?;
    Ok((tree.release, compared))
}
