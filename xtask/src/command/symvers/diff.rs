//! `symvers diff`: which importers an update breaks.

use std::{path::PathBuf, process::ExitCode};

use serde::Serialize;

use crate::{printer, problem::Result, tree::abi_files::read_symvers};
use stack::symvers_diff::{Change, CrcComparison, compare};

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
    breaking: usize,
    changes: Vec<ChangeForm<'a>>,
}

#[derive(Serialize)]
struct ChangeForm<'a> {
    #[serde(flatten)]
    change: &'a Change,
    breaking: bool,
    text: String,
}

impl<'a> DiffForm<'a> {
    fn new(changes: &'a [Change], crcs: CrcComparison, breaking: usize) -> Self {
        let form = |change: &'a Change| ChangeForm {
            change,
            breaking: change.breaking(),
            text: change.to_string(),
        };
        Self {
            format: "symvers-diff/2",
            crcs_compared: crcs == CrcComparison::Compare,
            breaking,
            changes: changes.iter().map(form).collect(),
        }
    }
}

impl Diff {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (old, new) = (read_symvers(&self.old)?, read_symvers(&self.new)?);
        let crcs = CrcComparison::between(&old, &new);
        let changes = compare(&old, &new, crcs);
        let breaking = changes.iter().filter(|change| change.breaking()).count();
        if self.json {
            printer::json(&DiffForm::new(&changes, crcs, breaking))?;
        } else {
            print_text(&changes, crcs, breaking);
        }
        Ok(ExitCode::from(u8::from(breaking > 0)))
    }
}

fn print_text(changes: &[Change], crcs: CrcComparison, breaking: usize) {
    for change in changes {
        let mark = if change.breaking() { "breaks" } else { "      " };
        outln!("{mark}  {change}");
    }
    if crcs == CrcComparison::Ignore {
        outln!("CRCs not compared: one side was built without MODVERSIONS");
    }
    let changes = match changes.len() {
        1 => "1 change".into(),
        many => format!("{many} changes"),
    };
    outln!("{changes}, {breaking} breaking");
}
