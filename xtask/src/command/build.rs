//! `build`: the modules.

use std::process::ExitCode;

use crate::{
    build::{BuildDir, MakeTarget, Stack},
    command::{KernelArg, StackArg},
    host::cache::Cache,
    printer::Shown as _,
    problem::{Problem, Result},
};

/// Build the modules of a stack for a kernel; the stack's folder stays as it is
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    #[command(flatten)]
    stack: StackArg,
    /// Build each of our own modules alone, as two packages would
    #[arg(long, conflicts_with = "folder")]
    split: bool,
    /// Build the modules of tests/modules as well
    #[arg(long, conflicts_with_all = ["split", "folder"])]
    tests: bool,
}

impl Args {
    /// Builds them with Kbuild's own output on the terminal.
    ///
    /// # Errors
    /// The kernel cannot be prepared, or a module does not build.
    pub fn run(self) -> Result<ExitCode> {
        if (self.split || self.tests) && !self.stack.chosen().is_ok_and(|stack| stack.is_ours()) {
            let fact = "--split and --tests are about symstack's own modules";
            return Err(Problem::usage(fact).hint("run it in a checkout of symstack"));
        }
        let kernel = self.kernel.obtain(&Cache::open()?)?;
        let (target, stack) = match (self.split, self.tests) {
            (true, _) => (MakeTarget::Split, Stack::for_target(MakeTarget::Split)),
            (_, true) => (MakeTarget::Tests, Stack::for_target(MakeTarget::Tests)),
            _ => (MakeTarget::Modules, self.stack.chosen()?),
        };
        for module in BuildDir::open(&kernel, &stack)?.build(target)? {
            outln!("{}", module.shown());
        }
        Ok(ExitCode::SUCCESS)
    }
}
