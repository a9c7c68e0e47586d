//! `symvers diff`: what an update does to those who import.

use std::{path::PathBuf, process::ExitCode};

use serde::Serialize;

use super::read;
use crate::problem::Result;
use stack::symvers_diff::{Change, CrcComparison, compare};

/// What an update does to those who import: each difference, and whether it breaks them
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

/// The form of `symvers diff --json`.
#[derive(Debug, Serialize)]
struct DiffJson<'a> {
    format: &'static str,
    crcs_compared: bool,
    breaking: usize,
    changes: Vec<JudgedChange<'a>>,
}

#[derive(Debug, Serialize)]
struct JudgedChange<'a> {
    #[serde(flatten)]
    change: &'a Change,
    breaking: bool,
    text: String,
}

impl Diff {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        let crcs = CrcComparison::between(&old, &new);
        let changes = compare(&old, &new, crcs);
        let breaking = changes.iter().filter(|change| change.breaking()).count();
        if self.json {
            print_json(&changes, crcs, breaking)?;
        } else {
            print_text(&changes, crcs, breaking);
        }
        Ok(ExitCode::from(u8::from(breaking > 0)))
    }
}

fn print_json(changes: &[Change], crcs: CrcComparison, breaking: usize) -> Result<()> {
    let judged = |change| JudgedChange {
        breaking: Change::breaking(change),
        text: change.to_string(),
        change,
    };
    crate::command::print_json(&DiffJson {
        format: "symvers-diff/1",
        crcs_compared: crcs == CrcComparison::Compare,
        breaking,
        changes: changes.iter().map(judged).collect(),
    })
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
