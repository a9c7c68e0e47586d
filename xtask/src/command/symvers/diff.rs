//! `symvers diff`: which importers an update breaks.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Serialize;

use super::counted;
use crate::{
    printer::{self, Shown as _},
    problem::Result,
    tree::abi_files::read_symvers,
};
use stack::{
    symvers::Symvers,
    symvers_diff::{Change, CrcComparison, compare},
};

/// Show each difference between two Module.symvers, and whether it breaks importers
///
/// Exit status 1 when something breaks. CRCs are compared only if both files hold any.
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// The Module.symvers that modules were built against
    old: PathBuf,
    /// The Module.symvers they are to run against
    new: PathBuf,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
}

/// The documented form of `symvers diff --json`.
#[derive(Serialize)]
struct DiffForm<'a> {
    format: &'static str,
    crcs_compared: bool,
    exported_twice: Vec<ExportedTwice<'a>>,
    breaking: usize,
    changes: Vec<ChangeForm<'a>>,
}

/// A symbol that several modules of a file export.
#[derive(Serialize)]
struct ExportedTwice<'a> {
    file: String,
    symbol: &'a str,
    modules: Vec<&'a str>,
}

#[derive(Serialize)]
struct ChangeForm<'a> {
    #[serde(flatten)]
    change: &'a Change,
    breaking: bool,
    text: String,
}

impl Diff {
    pub(super) fn run(self) -> Result<ExitCode> {
        let sides = [&self.old, &self.new];
        let (old, new) = (read_symvers(&self.old)?, read_symvers(&self.new)?);
        let crcs = CrcComparison::between(&old, &new);
        let changes = compare(&old, &new, crcs);
        let breaking = changes.iter().filter(|change| change.breaking()).count();
        let both = sides.into_iter().zip([&old, &new]);
        let exported_twice: Vec<ExportedTwice<'_>> =
            both.clone().flat_map(|(file, symvers)| twice(file, symvers)).collect();
        if self.json {
            printer::json(&DiffForm {
                format: "symvers-diff/3",
                crcs_compared: crcs == CrcComparison::Compare,
                exported_twice,
                breaking,
                changes: changes.iter().map(form).collect(),
            })?;
        } else {
            let without = both.filter(|(_, symvers)| !symvers.has_crcs());
            let without: Vec<String> =
                without.map(|(file, symvers)| lacks(file, symvers)).collect();
            print_text(&changes, &exported_twice, &without, breaking);
        }
        Ok(ExitCode::from(u8::from(breaking > 0)))
    }
}

fn form(change: &Change) -> ChangeForm<'_> {
    ChangeForm { change, breaking: change.breaking(), text: change.to_string() }
}

fn twice<'a>(file: &Path, symvers: &'a Symvers) -> Vec<ExportedTwice<'a>> {
    let one = |(symbol, modules)| ExportedTwice { file: file.shown().to_string(), symbol, modules };
    symvers.exported_twice().into_iter().map(one).collect()
}

/// The fact that a file without CRCs lacks.
fn lacks(file: &Path, symvers: &Symvers) -> String {
    let what = if symvers.entries().is_empty() { "lists no symbol" } else { "has no CRC" };
    format!("{} {what}", file.shown())
}

fn print_text(
    changes: &[Change],
    exported_twice: &[ExportedTwice<'_>],
    without_crcs: &[String],
    breaking: usize,
) {
    for change in changes {
        let mark = if change.breaking() { "breaks" } else { "      " };
        outln!("{mark}  {change}");
    }
    for ExportedTwice { file, symbol, modules } in exported_twice {
        let modules = modules.join(" and ");
        outln!("{symbol} is exported by {modules} in {file}: only one of them can be loaded");
    }
    if !without_crcs.is_empty() {
        outln!("CRCs not compared: {}", without_crcs.join(", "));
    }
    outln!("{}, {breaking} breaking", counted(changes.len()));
}
