//! `symvers`: what a Module.symvers says, and what a change of it does to importers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use serde::Serialize;

use crate::{
    command::expected,
    problem::{OrProblem, Problem, Result},
    stack::{
        compare::{Change, Crcs, compare},
        symvers::Symvers,
    },
};

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
    Diff(Diff),
}

/// What an update does to those who import: each difference, and whether it breaks them
///
/// Exit status 1 when something breaks. CRCs are compared only if both files hold any.
#[derive(Debug, clap::Args)]
struct Diff {
    /// The Module.symvers that modules were built against
    old: PathBuf,
    /// The Module.symvers they are to run against
    new: PathBuf,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
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
    fn run(self) -> Result<ExitCode> {
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        let crcs = Crcs::of(&old, &new);
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

fn print_json(changes: &[Change], crcs: Crcs, breaking: usize) -> Result<()> {
    let judged = |change| JudgedChange {
        breaking: Change::breaking(change),
        text: change.to_string(),
        change,
    };
    super::print_json(&DiffJson {
        format: "symvers-diff/1",
        crcs_compared: crcs == Crcs::Compare,
        breaking,
        changes: changes.iter().map(judged).collect(),
    })
}

fn print_text(changes: &[Change], crcs: Crcs, breaking: usize) {
    for change in changes {
        let mark = if change.breaking() { "breaks" } else { "      " };
        outln!("{mark}  {change}");
    }
    if crcs == Crcs::Ignore {
        outln!("CRCs not compared: one side was built without MODVERSIONS");
    }
    outln!("{} changes, {breaking} of them breaking", changes.len());
}
