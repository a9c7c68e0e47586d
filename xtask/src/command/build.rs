//! `build`: the modules.

use std::process::ExitCode;

use crate::{
    command::KernelArg,
    host::cache::Cache,
    kernel::{
        Kernel,
        archive::Follow,
        kbuild::{Goal, Workshop},
    },
    problem::Result,
};

/// Build the modules for a kernel, in target/build
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    /// Build each module alone, as two packages would
    #[arg(long)]
    split: bool,
    /// Build the modules of tests/modules as well
    #[arg(long, conflicts_with = "split")]
    tests: bool,
}

impl Args {
    /// Builds them with Kbuild's own output on the terminal.
    ///
    /// # Errors
    /// The kernel cannot be prepared, or a module does not build.
    pub fn run(self) -> Result<ExitCode> {
        let kernel = Kernel::obtain(&Cache::open()?, &self.kernel.name, Follow::Daily)?;
        let goal = match (self.split, self.tests) {
            (true, _) => Goal::Split,
            (_, true) => Goal::Tests,
            _ => Goal::Modules,
        };
        let workshop = Workshop::open(&kernel, goal)?;
        for module in workshop.build(goal)? {
            outln!("{}", module.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}
