//! `symvers check` and `symvers bless`: the stack's exports against the blessed ones.

use std::process::ExitCode;

use crate::{
    build::abi::{BuiltAbi, blessed_symtypes, blessed_symvers},
    command::KernelArg,
    host::cache::write_atomic,
    kernel::KernelName,
    problem::{Problem, Result},
    tree::abi_files::{read_symtypes, read_symvers},
};
use stack::symtypes::Symtypes;
use stack::symvers::Symvers;
use stack::symvers_diff::{Change, ChangeKind, CrcComparison, compare};

/// Compare what the stack exports with Module.symvers.expected
///
/// Exit status 1 for any difference. CRCs are compared where the kernel has them: on lab. There a
/// changed CRC is explained by what changed in the type.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    kernel: KernelArg,
}

/// Write what the stack exports to Module.symvers.expected, and its types beside it
#[derive(Debug, clap::Args)]
pub(super) struct Bless {
    /// A kernel with MODVERSIONS, whose CRCs are blessed with the rest
    #[arg(long = "kernel", value_name = "K", default_value = "lab")]
    kernel: KernelName,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode> {
        let built = BuiltAbi::build(&self.kernel.name)?;
        let expected = read_symvers(&blessed_symvers())?;
        let crcs = CrcComparison::between(&expected, &built.exported);
        let changes = compare(&expected, &built.exported, crcs);
        print(&changes, &read_symtypes(&blessed_symtypes())?, &built.symtypes);
        let (kernel, count) = (&built.kernel, built.exported.entries().len());
        let with = match crcs {
            CrcComparison::Compare => "with their CRCs",
            CrcComparison::Ignore => "without CRCs: a kernel without MODVERSIONS has none",
        };
        if changes.is_empty() {
            outln!("{kernel}: the stack's {count} symbols are as blessed ({with})");
            return Ok(ExitCode::SUCCESS);
        }
        let fact = format!("{kernel}: {} changes from Module.symvers.expected", changes.len());
        Err(Problem::does_not_hold(fact).hint("when they are meant: cargo xtask symvers bless"))
    }
}

impl Bless {
    pub(super) fn run(self) -> Result<ExitCode> {
        let BuiltAbi { kernel, exported, symtypes, .. } = BuiltAbi::build(&self.kernel)?;
        if !exported.has_crcs() {
            let fact = format!("{kernel} has no MODVERSIONS, so there are no CRCs to bless");
            return Err(Problem::usage(fact).hint("cargo xtask symvers bless --kernel lab"));
        }
        // What was blessed before only serves to say what is new: it may be damaged or gone.
        let was = read_symvers(&blessed_symvers()).unwrap_or_else(|_| Symvers::default());
        let was_types = read_symtypes(&blessed_symtypes()).unwrap_or_default();
        print(
            &compare(&was, &exported, CrcComparison::between(&was, &exported)),
            &was_types,
            &symtypes,
        );
        let symbols = exported.entries().iter().map(|entry| entry.symbol.as_str());
        let types = symtypes.restricted_to(symbols).to_text();
        write_atomic(&blessed_symvers(), exported.to_text().as_bytes())?;
        write_atomic(&blessed_symtypes(), types.as_bytes())?;
        let count = exported.entries().len();
        outln!("Module.symvers.expected: {count} symbols, as {kernel} has them; git diff shows it");
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints each change, and below a changed CRC what changed in the type.
fn print(changes: &[Change], was: &Symtypes, is: &Symtypes) {
    for change in changes {
        outln!("{change}");
        if matches!(change.what, ChangeKind::Crc { .. }) {
            was.changes(is, &change.symbol).iter().for_each(|sentence| outln!("    {sentence}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blessed_crcs_are_those_of_the_blessed_types() {
        let (symvers, types) = (
            read_symvers(&blessed_symvers()).unwrap(),
            read_symtypes(&blessed_symtypes()).unwrap(),
        );
        assert!(!symvers.entries().is_empty());
        for entry in symvers.entries() {
            assert_eq!(types.crc(&entry.symbol), Some(entry.crc), "{}", entry.symbol);
        }
    }
}
