//! The vermagic of a kernel, from whatever of it there is.

use std::path::Path;

use ko::vermagic::KernelVermagic;

use crate::{
    host::{cache::Cache, open},
    kernel::{Kernel, KernelName, archive::Refresh, config},
    printer::Shown as _,
    problem::{Problem, Result},
    tree::{section_reader::ModuleBuffer, walk},
};

/// The vermagic of a kernel by its name. A folder need not be a tree that modules build for.
///
/// # Errors
/// The kernel cannot be prepared, or its tree does not say what decides.
pub fn of_kernel(name: &KernelName) -> Result<KernelVermagic> {
    match name {
        KernelName::Folder(folder) => of_tree(folder),
        name => of_tree(&Kernel::obtain(&Cache::open()?, name, Refresh::Daily)?.tree),
    }
}

/// The vermagic of a prepared tree, or of an installed one (`lib/modules/RELEASE`): there by its
/// header package, or else by a module that was built with the kernel.
///
/// # Errors
/// A folder that is neither.
pub fn of_tree(folder: &Path) -> Result<KernelVermagic> {
    if let Some((tree, release)) = config::prepared_tree(folder) {
        return of_prepared(&tree, &release);
    }
    let modules = walk::modules(folder)?;
    // Modules of other makers lie in updates/ or extra/.
    let own = modules.iter().find(|file| file.path.starts_with("kernel/"));
    let own = own.ok_or_else(|| {
        Problem::usage(format!("{} is no kernel tree", folder.shown()))
            .hint("name a prepared tree or lib/modules/RELEASE, or use --intree FILE.ko")
    })?;
    of_intree(&own.full)
}

/// The vermagic of a kernel as a module says that was built with it.
///
/// # Errors
/// The file is no module, or one of another maker.
pub fn of_intree(file: &Path) -> Result<KernelVermagic> {
    let mut buffer = ModuleBuffer::default();
    let module = buffer.module(file)?;
    let intree = module.modinfo.get("intree").is_some();
    module.vermagic().filter(|_| intree).map(KernelVermagic::of_intree).ok_or_else(|| {
        Problem::usage(format!("{} was not built with a kernel", file.shown()))
            .hint("name a module that has intree=Y, or a kernel tree")
    })
}

fn of_prepared(tree: &Path, release: &str) -> Result<KernelVermagic> {
    let config = config::read(&tree.join(".config"))?;
    let randstruct = open::read_text(tree.join("include/generated/randstruct_hash.h")).ok();
    KernelVermagic::derive(release, &config, randstruct.as_deref())
        .map_err(|error| Problem::usage(format!("{}: {error}", tree.shown())))
}
