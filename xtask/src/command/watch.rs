//! `watch`: on every save, build, load and say.

use std::process::ExitCode;

use crate::{
    build::changes::Changes,
    command::{KernelArg, StackArg},
    guest::round::Round,
    host::{cache::Cache, process::interrupted, run},
    problem::Result,
};

/// On every save of a stack's sources: build, load it in a guest, run a command, say how it went
///
/// One line for each round, with what was built and how long each part took; what goes wrong is
/// shown in full, and the next save is waited for. Ctrl-C ends it.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    #[command(flatten)]
    stack: StackArg,
    /// Run one round and end, with its status
    #[arg(long)]
    once: bool,
    /// A line for the guest's shell, which must end with status 0 [default: load all modules and
    /// take them out again]
    #[arg(last = true, value_name = "CMD")]
    command: Option<String>,
}

impl Args {
    /// Watches until it is interrupted.
    ///
    /// # Errors
    /// The kernel cannot be prepared, or the sources cannot be watched; with `--once`, the round's.
    pub fn run(self) -> Result<ExitCode> {
        let cache = Cache::open()?;
        let kernel = self.kernel.obtain(&cache)?;
        let stack = self.stack.chosen()?;
        // Each round is one line.
        run::echo_off();
        Changes::play(&stack, || {
            match Round::run(&cache, &kernel, &stack, self.command.as_deref()) {
                Ok(round) => outln!("ok     {round}"),
                Err(problem) if self.once || interrupted().is_some() => return Err(problem),
                Err(problem) => outln!("wrong  {problem}"),
            }
            Ok(self.once.then_some(()))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
