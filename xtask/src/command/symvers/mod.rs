//! `symvers`: what a Module.symvers says, and what a change of it does to importers.

mod built;
mod diff;
mod expected;
mod explain;
mod form;

use std::{fs, path::Path, process::ExitCode};

use clap::Subcommand;

use crate::problem::{OrProblem, Problem, Result};
use stack::symtypes::Symtypes;
use stack::symvers::Symvers;

/// Read Module.symvers: what is exported, and what a change of it breaks
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(expected::Check),
    Bless(expected::Bless),
    Diff(diff::Diff),
    Explain(explain::Explain),
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A file that cannot be read, or that modpost would refuse.
    pub fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Check(check) => check.run(),
            Action::Bless(bless) => bless.run(),
            Action::Diff(diff) => diff.run(),
            Action::Explain(explain) => explain.run(),
        }
    }
}

/// Reads a Module.symvers.
///
/// # Errors
/// A file that cannot be read is the request's fault; one that modpost would refuse does not hold.
pub fn read(path: &Path) -> Result<Symvers> {
    let bytes = fs::read(path).or_usage(|| format!("cannot read {}", path.display()))?;
    Symvers::parse(bytes)
        .map_err(|error| Problem::does_not_hold(format!("{}: {error}", path.display())))
}

/// Reads a `.symtypes` file.
///
/// # Errors
/// A file that cannot be read, or that gendwarfksyms did not write.
fn read_symtypes(path: &Path) -> Result<Symtypes> {
    let text = fs::read_to_string(path).or_usage(|| format!("cannot read {}", path.display()))?;
    Symtypes::parse(&text)
        .map_err(|error| Problem::does_not_hold(format!("{}: {error}", path.display())))
}

/// Adds a file, or every `*.symtypes` below a directory.
fn merge_symtypes(path: &Path, into: &mut Symtypes) -> Result<()> {
    if !path.is_dir() {
        into.merge(read_symtypes(path)?);
        return Ok(());
    }
    let entries = fs::read_dir(path).or_usage(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let entry = entry.or_usage(|| format!("cannot read {}", path.display()))?;
        let (path, kind) = (entry.path(), entry.file_type());
        let is_dir = kind.is_ok_and(|kind| kind.is_dir());
        if is_dir || path.extension().is_some_and(|extension| extension == "symtypes") {
            merge_symtypes(&path, into)?;
        }
    }
    Ok(())
}
