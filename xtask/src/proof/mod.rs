//! A stack proven on kernels: built, judged before its load, loaded, run, unloaded, and what the
//! kernel complained about meanwhile.
//!
//! Every question that a proof asks is a [`Point`] with its answer; the table, the forms for
//! machines and the page show the same points. What was predicted is held against what happened
//! (`held.rs`): a difference is a fault of this program, and is never green.

mod build_words;
pub mod expectations;
pub mod grid;
mod held;
mod in_guest;
pub mod json;
pub mod junit;
pub mod ktap;
mod left_behind;
pub mod on_kernel;
pub mod point;
mod prediction;
pub mod story;
pub mod web_page;

use std::{path::PathBuf, time::Duration};

use ko::{license::License, text::Text};
use serde::Serialize;

use crate::{
    build::Stack,
    guest::report::CommandReport,
    host::{cache::Cache, process::interrupted, progress::say},
    kernel::{Kernel, KernelName, listing},
    problem::{Kind, Problem, Result},
};

use self::{
    expectations::Expectations,
    point::{Answered, Point},
};

/// A request for a proof.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The stack.
    pub stack: Stack,
    /// The kernels.
    pub kernels: Vec<KernelName>,
    /// The kernels are whatever is prepared: one that the stack is not for is skipped.
    pub skip_others: bool,
    /// A line for the guest's shell, run when all modules are loaded; it must end with status 0.
    pub command: Option<String>,
    /// The longest time that each command in the guest may take.
    pub deadline: Duration,
    /// The stack's own words about it.
    pub expectations: Expectations,
}

/// A stack on some kernels.
#[derive(Clone, Debug, Default)]
pub struct StackProof {
    /// Where the stack is.
    pub stack: String,
    /// `true` if dkms built it, as its dkms.conf says.
    pub by_dkms: bool,
    /// One for each kernel, in the order asked for.
    pub kernels: Vec<KernelProof>,
}

/// A stack on one kernel.
#[derive(Clone, Debug, Default)]
pub struct KernelProof {
    /// As its user names it.
    pub kernel: String,
    /// As it names itself; none when it could not be had.
    pub release: Option<String>,
    /// Every question with its answer, in order.
    pub points: Vec<Point>,
    /// The modules of the stack that were built, in the order in which they are loaded.
    pub modules: Vec<ModuleInStack>,
    /// Where it was built.
    pub build_folder: PathBuf,
    /// The words of Kbuild and the compilers, when it does not build.
    pub build_said: String,
    /// The steps in the guest.
    pub steps: Vec<ProofStep>,
    /// The lines of `/proc/kallsyms` about what the stack's modules export.
    pub kallsyms: Vec<String>,
    /// The stack as a picture, in SVG.
    pub picture: String,
    /// From the build to the guest's end.
    pub time: Duration,
}

/// A command that ran in the guest, and why.
#[derive(Clone, Debug, Default)]
pub struct ProofStep {
    /// Its purpose.
    pub what: String,
    /// The command, and all that came of it.
    pub report: CommandReport,
}

/// A module of a stack, and what it offers to the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModuleInStack {
    /// Its name.
    pub name: String,
    /// The names of the modules of the stack that it uses.
    pub uses: Vec<String>,
    /// Each symbol that it exports.
    pub exports: Vec<ExportInStack>,
}

/// A symbol that a module of the stack exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportInStack {
    /// The symbol, as `/proc/kallsyms` has it.
    pub symbol: String,
    /// The license that its users need.
    pub license: License,
    /// The names of the modules of the stack that use it.
    pub users: Vec<String>,
}

/// Proves a stack on each of its kernels, one after the other. Whatever one comes to, the others
/// still run.
///
/// # Errors
/// No kernel is named or prepared, or the user interrupts.
pub fn prove(cache: &Cache, wanted: &Wanted) -> Result<StackProof> {
    if wanted.kernels.is_empty() {
        return Err(Problem::host("no kernel is prepared").hint("cargo xtask setup"));
    }
    let mut proof = StackProof {
        stack: wanted.stack.to_string(),
        by_dkms: wanted.stack.is_for_dkms(),
        ..StackProof::default()
    };
    for name in &wanted.kernels {
        let one = on_kernel::prove(cache, name, wanted);
        if interrupted().is_some() {
            return Err(Problem::host("interrupted"));
        }
        let (word, seconds) = (one.word(), one.time.as_secs_f64());
        say(&format!("{name}: {word} ({seconds:.1} s)"));
        proof.kernels.push(one);
    }
    Ok(proof)
}

/// The kernels that have a name and are prepared, those of an older release as well.
pub fn prepared(cache: &Cache) -> Vec<KernelName> {
    let names = listing::prepared(cache).into_iter().map(|known| known.name);
    names.filter(|name| Kernel::present(cache, name).is_some()).collect()
}

/// Text as one line, without what would command its reader.
fn one_line(text: &str) -> String {
    Text(text.trim().as_bytes()).to_string().replace(['\n', '\t'], " ")
}

impl KernelProof {
    /// Kbuild before 6.13, and what is compiled with it, names files by their whole path.
    fn name_files_within_the_stack(&mut self) {
        let whole = format!("{}/", self.build_folder.to_string_lossy());
        for point in &mut self.points {
            if let Some(fault) = point.answer.fault_mut() {
                fault.reason = fault.reason.replace(&whole, "");
            }
        }
        self.build_said = self.build_said.replace(&whole, "");
    }

    /// Returns the outcome: for a reader, and for machines in a word of [`Answered::word`].
    fn words(&self) -> [&'static str; 2] {
        match self.kind() {
            Some(_) if self.differs() => ["OUR PREDICTION WAS WRONG", "differs"],
            Some(Kind::DoesNotHold | Kind::NotForKernel) => ["does not hold", "fails"],
            Some(Kind::Usage) => ["wrong request", "not-possible"],
            Some(Kind::Host) => ["not possible on this machine", "not-possible"],
            None if self.is_not_for_it() => ["not for this kernel", "not-for-kernel"],
            None if self.is_skipped() => ["skipped", "skipped"],
            None if self.lacks_device() => ["no device here", "no-device"],
            None => ["holds", "holds"],
        }
    }

    /// In one word what it came to.
    pub fn word(&self) -> &'static str {
        self.words()[0]
    }

    /// The same for machines.
    pub fn result(&self) -> &'static str {
        self.words()[1]
    }

    /// Returns the exit status of a proof that fails.
    pub fn kind(&self) -> Option<Kind> {
        let kinds = self.points.iter().filter_map(|point| point.answer.kind());
        kinds.min_by_key(|kind| kind.status())
    }

    /// `true` if the stack was not tried on it, for a reason that is no fault.
    pub fn is_skipped(&self) -> bool {
        self.kind().is_none() && !self.points.iter().any(|point| point.answer == Answered::Holds)
    }

    /// `true` if the stack says itself that it is not for this kernel.
    pub fn is_not_for_it(&self) -> bool {
        self.points.iter().any(|point| matches!(point.answer, Answered::NotForKernel(_)))
    }

    /// `true` if a module found no device of its kind in the guest, so that nothing is known of it.
    pub fn lacks_device(&self) -> bool {
        self.points.iter().any(|point| matches!(point.answer, Answered::NoDevice(_)))
    }

    /// `true` if something happened that had been predicted otherwise.
    pub fn differs(&self) -> bool {
        self.points.iter().any(|point| matches!(point.answer, Answered::Differs(_)))
    }
}

impl StackProof {
    /// `true` if a module found no device of its kind on one of the kernels.
    pub fn lacks_device(&self) -> bool {
        self.kernels.iter().any(KernelProof::lacks_device)
    }

    /// Returns the exit status of a proof that fails: what does not hold counts before what
    /// this machine could not do. A stack that was tried on no kernel does not hold.
    pub fn kind(&self) -> Option<Kind> {
        let kinds = self.kernels.iter().filter_map(KernelProof::kind);
        let none = self.kernels.iter().all(KernelProof::is_skipped);
        let kind = kinds.min_by_key(|kind| (*kind != Kind::DoesNotHold, *kind != Kind::Host));
        kind.or(none.then_some(Kind::DoesNotHold))
    }
}
