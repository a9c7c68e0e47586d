//! The ABI of the stack: as it is built for a kernel, and as it is blessed.

use std::path::PathBuf;

use crate::{
    build::{BuildDir, MakeTarget, project},
    host::{cache::Cache, progress::say},
    kernel::{Kernel, KernelName, archive::Refresh},
    problem::{Problem, Result},
    tree::abi_files::{merge_symtypes, read_symvers},
};
use stack::symtypes::Symtypes;
use stack::symvers::Symvers;

/// The blessed ABI of the stack.
pub fn blessed_symvers() -> PathBuf {
    project().join("Module.symvers.expected")
}

/// The texts that its CRCs are of.
pub fn blessed_symtypes() -> PathBuf {
    project().join("Module.symtypes.expected")
}

/// The stack, built for a kernel, with its exports and their types.
pub struct BuiltAbi {
    /// The kernel.
    pub kernel: Kernel,
    /// Where it was built.
    pub folder: PathBuf,
    /// Its Module.symvers.
    pub symvers: PathBuf,
    /// Its exports, in a form that can be compared.
    pub exported: Symvers,
    /// The type texts that its CRCs are of; empty on a kernel without MODVERSIONS.
    pub symtypes: Symtypes,
    /// The modules.
    pub modules: Vec<PathBuf>,
}

impl BuiltAbi {
    /// Builds the stack.
    ///
    /// # Errors
    /// The kernel cannot be prepared, the stack does not build, or its CRCs have no texts.
    pub fn build(name: &KernelName) -> Result<Self> {
        let kernel = Kernel::obtain(&Cache::open()?, name, Refresh::Daily)?;
        let build_dir = BuildDir::open(&kernel, MakeTarget::Modules)?;
        say(&format!("building the stack for {kernel}"));
        let modules = build_dir.build_quiet(MakeTarget::Modules)?;
        let (folder, symvers) = (build_dir.folder.clone(), build_dir.symvers());
        let exported = read_symvers(&symvers)?.normalized().without_crates();
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
