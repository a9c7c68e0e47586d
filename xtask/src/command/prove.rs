//! `prove`: a stack on kernels: does it build, would it load, does it load, does it go?

use std::{path::PathBuf, process::ExitCode, time::Duration};

use crate::{
    command::StackArg,
    host::{cache::Cache, file_system::write_given, run},
    kernel::KernelName,
    printer,
    problem::{Kind, Result},
    proof::{
        self, StackProof, Wanted,
        expectations::{Expectations, FILE},
        grid, json, junit, ktap, web_page,
    },
};

/// Prove a stack on kernels: it builds, would load, loads, runs, goes, and the kernel keeps quiet
///
/// One table, kernels across and modules down, with the reason for all that is not green. What
/// `check` predicts is held against what happens. Exit status 1 when something does not hold.
/// A `symstack.toml` beside the stack's Kbuild may say what it expects: README.md shows every key.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArg,
    /// A kernel; may be given several times [default: those that the stack expects, or stock]
    #[arg(long = "kernel", value_name = "K", help = kernels_help())]
    kernels: Vec<KernelName>,
    /// All kernels that are prepared; those that the stack cannot be for are skipped
    #[arg(long, conflicts_with = "kernels")]
    all: bool,
    /// A line for the guest's shell, run when all modules are loaded; it must end with status 0
    #[arg(long = "run", value_name = "CMD")]
    command: Option<String>,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
    /// Write the answers as JUnit's XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the answers as KTAP, the kernel's form of test results
    #[arg(long, value_name = "FILE")]
    ktap: Option<PathBuf>,
    /// Write one self-contained page: the table, the picture of the stack, every transcript
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Exit with status 1, too, when a module finds no device of its kind in the guest
    #[arg(long)]
    strict: bool,
    /// The longest time that each command in the guest may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// There is no such stack, or no kernel; a report cannot be written.
    pub fn run(self) -> Result<ExitCode> {
        let cache = Cache::open()?;
        let wanted = self.wanted(&cache)?;
        run::echo_off();
        let proof = proof::prove(&cache, &wanted)?;
        self.write_files(&proof)?;
        if self.json {
            printer::json(&json::form(&proof))?;
        } else {
            printer::text(&grid::text(&proof));
            outln!("\n{}", summary(&proof, wanted.expectations.stated));
        }
        let strict = (self.strict && proof.lacks_device()).then_some(Kind::DoesNotHold);
        Ok(ExitCode::from(proof.kind().or(strict).map_or(0, |kind| kind.status())))
    }

    fn write_files(&self, proof: &StackProof) -> Result<()> {
        if let Some(file) = &self.junit {
            write_given(file, junit::xml(proof)?)?;
        }
        if let Some(file) = &self.ktap {
            write_given(file, ktap::text(proof))?;
        }
        match &self.report {
            Some(file) => web_page::write(proof, "A stack, proven", file),
            None => Ok(()),
        }
    }

    fn wanted(&self, cache: &Cache) -> Result<Wanted> {
        let stack = self.stack.chosen()?;
        let expectations = Expectations::of(&stack)?;
        let kernels = match (self.all, self.kernels.as_slice(), expectations.kernels()) {
            (true, ..) => proof::prepared(cache),
            (false, [], expected) if expected.is_empty() => vec![KernelName::STOCK],
            (false, [], expected) => expected,
            (false, named, _) => named.to_vec(),
        };
        Ok(Wanted {
            stack,
            kernels,
            skip_others: self.all,
            command: self.command.clone().or_else(|| expectations.run().map(str::to_owned)),
            deadline: Duration::from_secs(self.deadline),
            expectations,
        })
    }
}

fn kernels_help() -> String {
    format!(
        "{}; may be given several times [default: those that the stack expects, or stock]",
        KernelName::choices()
    )
}

/// Returns the outcome in one line. What the stack itself expects is part of it.
fn summary(proof: &StackProof, expects: bool) -> String {
    let count = |word: &str| proof.kernels.iter().filter(|kernel| kernel.word() == word).count();
    let (all, holds, skipped) = (proof.kernels.len(), count("holds"), count("skipped"));
    let (lacking, not_for) = (count("no device here"), count("not for this kernel"));
    let seconds: f64 = proof.kernels.iter().map(|kernel| kernel.time.as_secs_f64()).sum();
    let apart = |count: usize, what: &str| match count {
        0 => String::new(),
        count => format!(", {count} {what}"),
    };
    let expects = if expects { format!(", by what its {FILE} expects") } else { String::new() };
    let (skipped, lacking) = (apart(skipped, "skipped"), apart(lacking, "without its device"));
    let not_for = apart(not_for, "that it is not for");
    let rest = format!("{skipped}{not_for}{lacking}{expects}; {seconds:.1} s");
    let by_dkms = if proof.by_dkms { ", built by dkms as its dkms.conf says," } else { "" };
    format!("{}{by_dkms} holds on {holds} of {all} kernels{rest}", proof.stack)
}
