//! `symvers check` and `symvers bless`: the stack's exports against the blessed ones.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    command::{KernelArg, symvers::read},
    host::{
        cache::{Cache, write_whole},
        progress::say,
    },
    kernel::{
        Kernel, Name,
        archive::Follow,
        kbuild::{Goal, Workshop, project},
    },
    problem::{Problem, Result},
    stack::{
        compare::{Crcs, compare},
        symvers::Symvers,
    },
};

/// Compare what the stack exports with Module.symvers.expected
///
/// Exit status 1 for any difference. CRCs are compared where the kernel has them: on lab.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    kernel: KernelArg,
}

/// Write what the stack exports to Module.symvers.expected
#[derive(Debug, clap::Args)]
pub(super) struct Bless {
    /// A kernel with MODVERSIONS, whose CRCs are blessed with the rest
    #[arg(long = "kernel", value_name = "K", default_value = "lab")]
    kernel: Name,
}

/// The blessed ABI of the stack.
fn blessed() -> PathBuf {
    project().join("Module.symvers.expected")
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (kernel, exported) = exported(&self.kernel.name)?;
        let expected = read(&blessed())?;
        let crcs = Crcs::of(&expected, &exported);
        let changes = compare(&expected, &exported, crcs);
        for change in &changes {
            outln!("{change}");
        }
        let count = exported.entries().len();
        let with = match crcs {
            Crcs::Compare => "with their CRCs",
            Crcs::Ignore => "without CRCs, which a kernel without MODVERSIONS has not",
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
        let (kernel, exported) = exported(&self.kernel)?;
        if !exported.has_crcs() {
            let fact = format!("{kernel} has no MODVERSIONS, so there are no CRCs to bless");
            return Err(Problem::usage(fact).hint("cargo xtask symvers bless --kernel lab"));
        }
        write_whole(&blessed(), exported.to_text().as_bytes())?;
        let count = exported.entries().len();
        outln!("Module.symvers.expected: {count} symbols, as {kernel} has them; git diff shows it");
        Ok(ExitCode::SUCCESS)
    }
}

/// What the stack exports when it is built for a kernel.
fn exported(name: &Name) -> Result<(Kernel, Symvers)> {
    let kernel = Kernel::obtain(&Cache::open()?, name, Follow::Daily)?;
    let workshop = Workshop::open(&kernel, Goal::Modules)?;
    say(&format!("building the stack for {kernel}"));
    workshop.build_unseen(Goal::Modules)?;
    let symvers = read(&workshop.symvers())?.normalised();
    Ok((kernel, symvers))
}
