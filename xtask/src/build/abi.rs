//! The ABI of a stack: as it is built for a kernel, and as it is blessed.

use std::path::PathBuf;

use crate::{
    build::{BuiltStack, Stack},
    host::{cache::Cache, progress::say},
    kernel::{Kernel, KernelName},
    printer::Shown as _,
    problem::{Problem, Result},
    tree::abi_files::{merge_symtypes, read_symvers},
};
use stack::symtypes::Symtypes;
use stack::symvers::Symvers;

/// The file in a stack that keeps its blessed ABI.
pub const BLESSED_SYMVERS: &str = "Module.symvers.expected";
/// The file in a stack that keeps the type texts that its CRCs are of.
pub const BLESSED_SYMTYPES: &str = "Module.symtypes.expected";

/// A stack, built for a kernel, with its exports and their types.
pub struct BuiltAbi {
    /// The kernel.
    pub kernel: Kernel,
    /// The folder of what was built.
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
    /// Builds a stack.
    ///
    /// # Errors
    /// The kernel cannot be prepared, the stack does not build, or its CRCs have no texts.
    pub fn build(name: &KernelName, stack: &Stack) -> Result<Self> {
        say(&format!("building {stack} for {name}"));
        let BuiltStack { kernel, build_dir, modules } =
            BuiltStack::obtain(&Cache::open()?, name, stack)?;
        let (folder, symvers) = (build_dir.products(), build_dir.symvers());
        let exported = read_symvers(&symvers)?.normalized().without_crates();
        let mut symtypes = Symtypes::default();
        merge_symtypes(&folder, &mut symtypes)?;
        // genksyms, of kernels without Rust, hashes texts of another form, which is not read here.
        let texts = kernel.config()?.has("GENDWARFKSYMS");
        let mut entries = exported.entries().iter().filter(|entry| texts && entry.crc != 0);
        if let Some(entry) = entries.find(|entry| symtypes.crc(&entry.symbol) != Some(entry.crc)) {
            let place = build_dir.tree();
            let place = place.shown();
            let fact = format!("{place}: no type text has the CRC of {}", entry.symbol);
            return Err(Problem::host(fact).hint(format!("build it anew: rm -r {place}")));
        }
        Ok(Self { kernel, folder, symvers, exported, symtypes, modules })
    }
}
