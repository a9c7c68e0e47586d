//! The stack as it is built for a kernel, and as it is blessed.

use std::path::PathBuf;

use super::{merge_symtypes, read};
use crate::{
    build::{BuildDir, MakeTarget, project},
    host::{cache::Cache, progress::say},
    kernel::{Kernel, KernelName, archive::Refresh},
    problem::{Problem, Result},
};
use stack::symtypes::Symtypes;
use stack::symvers::Symvers;

/// The blessed ABI of the stack.
pub(super) fn blessed_symvers() -> PathBuf {
    project().join("Module.symvers.expected")
}

/// The texts that its CRCs are of.
pub(super) fn blessed_symtypes() -> PathBuf {
    project().join("Module.symtypes.expected")
}

/// The stack, built for a kernel.
pub(super) struct Built {
    pub(super) kernel: Kernel,
    /// Where it was built.
    pub(super) folder: PathBuf,
    /// Its Module.symvers.
    pub(super) symvers: PathBuf,
    /// What that has, in a form that can be compared.
    pub(super) exported: Symvers,
    /// The type texts behind its CRCs; without any on a kernel that computes none.
    pub(super) symtypes: Symtypes,
    pub(super) modules: Vec<PathBuf>,
}

impl Built {
    /// Builds the stack.
    ///
    /// # Errors
    /// The kernel cannot be prepared, the stack does not build, or its CRCs have no texts.
    pub(super) fn new(name: &KernelName) -> Result<Self> {
        let kernel = Kernel::obtain(&Cache::open()?, name, Refresh::Daily)?;
        let build_dir = BuildDir::open(&kernel, MakeTarget::Modules)?;
        say(&format!("building the stack for {kernel}"));
        let modules = build_dir.build_quiet(MakeTarget::Modules)?;
        let (folder, symvers) = (build_dir.folder.clone(), build_dir.symvers());
        let exported = read(&symvers)?.normalized().without_crates();
        let mut symtypes = Symtypes::default();
        merge_symtypes(&folder, &mut symtypes)?;
        let mut entries = exported.entries().iter();
        if let Some(entry) =
            entries.find(|entry| entry.crc != 0 && symtypes.crc(&entry.symbol) != Some(entry.crc))
        {
            let fact =
                format!("{}: no type text has the CRC of {}", folder.display(), entry.symbol);
            return Err(
                Problem::host(fact).hint(format!("build it anew: rm -r {}", folder.display()))
            );
        }
        Ok(Self { kernel, folder, symvers, exported, symtypes, modules })
    }
}
