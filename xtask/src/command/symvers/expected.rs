//! `symvers check` and `symvers bless`: the stack's exports against the blessed ones.

use std::process::ExitCode;

use super::counted;
use crate::{
    build::{
        Stack,
        abi::{BLESSED_SYMTYPES, BLESSED_SYMVERS, BuiltAbi},
    },
    command::{KernelArg, StackArg},
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
    #[command(flatten)]
    stack: StackArg,
}

/// Write what the stack exports to Module.symvers.expected, and its types beside it
#[derive(Debug, clap::Args)]
pub(super) struct Bless {
    /// A kernel with MODVERSIONS, whose CRCs are blessed with the rest
    #[arg(long = "kernel", value_name = "K", default_value = "lab")]
    kernel: KernelName,
    #[command(flatten)]
    stack: StackArg,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode> {
        let stack = self.stack.chosen()?;
        let expected = blessed(&stack)?;
        let built = BuiltAbi::build(&self.kernel.name, &stack)?;
        let crcs = CrcComparison::between(&expected, &built.exported);
        let changes = compare(&expected, &built.exported, crcs);
        // A stack of C modules keeps no type texts.
        let types = read_symtypes(&stack.path(BLESSED_SYMTYPES)).unwrap_or_default();
        print(&changes, &types, &built.symtypes);
        let (kernel, count) = (&built.kernel, built.exported.entries().len());
        let with = match crcs {
            CrcComparison::Compare => "with their CRCs",
            CrcComparison::Ignore if built.exported.has_crcs() => {
                "without CRCs: Module.symvers.expected has none"
            }
            CrcComparison::Ignore => "without CRCs: a kernel without MODVERSIONS has none",
        };
        if changes.is_empty() {
            outln!("{kernel}: the stack's {count} symbols are as blessed ({with})");
            return Ok(ExitCode::SUCCESS);
        }
        let changes = counted(changes.len());
        let fact = format!("{kernel}: {changes} from Module.symvers.expected");
        Err(Problem::does_not_hold(fact).hint("when they are meant: cargo xtask symvers bless"))
    }
}

impl Bless {
    pub(super) fn run(self) -> Result<ExitCode> {
        let stack = self.stack.chosen()?;
        let BuiltAbi { kernel, exported, symtypes, .. } = BuiltAbi::build(&self.kernel, &stack)?;
        if exported.entries().is_empty() {
            let fact = format!("{stack} exports no symbol that can be blessed");
            return Err(Problem::usage(fact).hint("export one with EXPORT_SYMBOL_GPL"));
        }
        if !exported.has_crcs() {
            let fact = format!("{kernel} has no MODVERSIONS, so there are no CRCs to bless");
            return Err(Problem::usage(fact).hint("cargo xtask symvers bless --kernel lab"));
        }
        // The blessed file only serves to say what is new: it may be damaged or gone.
        let was = read_symvers(&stack.path(BLESSED_SYMVERS)).unwrap_or_default();
        let was_types = read_symtypes(&stack.path(BLESSED_SYMTYPES)).unwrap_or_default();
        print(
            &compare(&was, &exported, CrcComparison::between(&was, &exported)),
            &was_types,
            &symtypes,
        );
        let symbols = exported.entries().iter().map(|entry| entry.symbol.as_str());
        let types = symtypes.restricted_to(symbols).to_text();
        write_atomic(&stack.path(BLESSED_SYMVERS), exported.to_text())?;
        if !types.is_empty() {
            write_atomic(&stack.path(BLESSED_SYMTYPES), types)?;
        }
        let count = exported.entries().len();
        outln!("Module.symvers.expected: {count} symbols, as {kernel} has them; git diff shows it");
        Ok(ExitCode::SUCCESS)
    }
}

/// The blessed exports of a stack.
fn blessed(stack: &Stack) -> Result<Symvers> {
    let path = stack.path(BLESSED_SYMVERS);
    if !path.exists() {
        let fact = format!("{stack} keeps no {BLESSED_SYMVERS}");
        return Err(Problem::usage(fact).hint("write one: cargo xtask symvers bless --stack DIR"));
    }
    read_symvers(&path)
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
            blessed(&Stack::ours()).unwrap(),
            read_symtypes(&Stack::ours().path(BLESSED_SYMTYPES)).unwrap(),
        );
        assert!(!symvers.entries().is_empty());
        for entry in symvers.entries() {
            assert_eq!(types.crc(&entry.symbol), Some(entry.crc), "{}", entry.symbol);
        }
    }
}
