//! `symvers diff`: which importers an update breaks.

use std::{path::PathBuf, process::ExitCode};

use super::form::DiffForm;
use crate::{command::print_json, problem::Result, tree::abi_files::read_symvers};
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

impl Diff {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (old, new) = (read_symvers(&self.old)?, read_symvers(&self.new)?);
        let crcs = CrcComparison::between(&old, &new);
        let changes = compare(&old, &new, crcs);
        let breaking = changes.iter().filter(|change| change.breaking()).count();
        if self.json {
            print_json(&DiffForm::new(&changes, crcs, breaking))?;
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
