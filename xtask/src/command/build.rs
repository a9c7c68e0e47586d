//! `build`: the modules.

use std::process::ExitCode;

use crate::{
    build::{BuildDir, MakeTarget},
    command::KernelArg,
    host::cache::Cache,
    kernel::{Kernel, archive::Refresh},
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
        let kernel = Kernel::obtain(&Cache::open()?, &self.kernel.name, Refresh::Daily)?;
        let target = match (self.split, self.tests) {
            (true, _) => MakeTarget::Split,
            (_, true) => MakeTarget::Tests,
            _ => MakeTarget::Modules,
        };
        let build_dir = BuildDir::open(&kernel, target)?;
        for module in build_dir.build(target)? {
            outln!("{}", module.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}
