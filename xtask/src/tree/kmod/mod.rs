//! kmod's own tools over an installed tree, and every fact of ours held against theirs.
//!
//! Three judges: `modinfo` for what a module says of itself, `depmod` for `modules.dep`, and the
//! kernel's own Module.symvers for exports and imports.

mod depmod;
mod modinfo;
mod symvers;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    host::{root::Root, run::Run, sandbox::Sandbox},
    printer::Shown as _,
    problem::{Problem, Result},
    tree::walk,
};
use stack::module_file::ModuleFile;

/// depmod over the largest tree takes under ten seconds, or some minutes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(600);

/// The kmod of a private root.
#[derive(Clone, Debug)]
pub struct Kmod(Sandbox);

impl Kmod {
    /// The kmod of this root, which may write into `scratch`.
    pub fn of(root: &Root, scratch: &Path) -> Self {
        Self(root.sandbox().bind(scratch))
    }

    /// A tool of kmod that reads `tree`.
    pub fn tool(&self, name: &str, tree: &InstalledTree) -> Run {
        let run = self.0.clone().read_only(&tree.base, &tree.base).run(name);
        run.deadline(DEADLINE).quiet()
    }

    /// `depmod` over a tree: with `-n`, or into a directory.
    pub fn depmod(&self, tree: &InstalledTree, out: Option<&Path>) -> Run {
        let depmod = self.tool("depmod", tree);
        let depmod = match out {
            None => depmod.arg("-n"),
            Some(dir) => depmod.arg("-o").arg(dir),
        };
        depmod.arg("-b").arg(&tree.base).arg(&tree.release)
    }
}

/// An installed tree, `BASE/lib/modules/RELEASE`.
#[derive(Clone, Debug)]
pub struct InstalledTree {
    /// The whole path.
    pub dir: PathBuf,
    /// The base for depmod's `-b`.
    pub base: PathBuf,
    /// The kernel's release.
    pub release: String,
}

impl InstalledTree {
    /// The tree at a path that ends in `lib/modules/RELEASE`.
    ///
    /// # Errors
    /// The path ends otherwise.
    pub fn new(dir: &Path) -> Result<Self> {
        let refuse =
            || Problem::host(format!("{} does not end in lib/modules/RELEASE", dir.shown()));
        let release = dir.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?.to_owned();
        let lib = dir.parent().filter(|parent| parent.ends_with("lib/modules"));
        let base = lib.and_then(|lib| lib.parent()?.parent()).ok_or_else(refuse)?.to_owned();
        Ok(Self { dir: dir.to_owned(), base, release })
    }

    /// Its modules, chosen and ordered as depmod does.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn files(&self) -> Result<Vec<ModuleFile>> {
        walk::modules(&self.dir)
    }
}

/// A comparison and its outcome.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// The number of things that were compared: with none, nothing is shown to be right.
    pub compared: usize,
    /// The things that the number counts, and what they were held beside.
    pub what: String,
    /// A sentence for each difference.
    pub differences: Vec<String>,
}

impl Comparison {
    /// `true` if something was compared, and all of it was the same.
    pub fn holds(&self) -> bool {
        self.compared > 0 && self.differences.is_empty()
    }
}

/// Holds every fact of a tree against kmod's and the kernel's own Module.symvers. depmod writes
/// into `scratch`.
///
/// # Errors
/// The tree or `symvers` cannot be read, or a tool fails.
pub fn compare(
    tree: &InstalledTree,
    symvers: &Path,
    kmod: &Kmod,
    scratch: &Path,
) -> Result<Vec<Comparison>> {
    let files = tree.files()?;
    let mut all = vec![modinfo::compare(tree, &files, kmod)?];
    all.extend(depmod::compare(tree, &files, kmod, scratch)?);
    all.extend(symvers::compare(&files, symvers)?);
    Ok(all)
}
