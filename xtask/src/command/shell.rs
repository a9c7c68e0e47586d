//! `shell`: the guest, interactively.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    command::{KernelArg, guest_with_stack},
    guest::{Accel, Guest},
    problem::Result,
};

/// A shell in the guest, with the stack installed and the given files beside it.
///
/// The kernel's messages appear in it as on a real console. `exit` or Ctrl-D ends the guest.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    /// Files to put into its working directory.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    with: Vec<PathBuf>,
    /// What runs the guest: auto, kvm or tcg.
    #[arg(long, default_value = "auto")]
    accel: Accel,
}

impl Args {
    /// Runs it until its user leaves.
    ///
    /// # Errors
    /// Those of [`Guest::shell`].
    pub fn run(self) -> Result<ExitCode> {
        let guest = guest_with_stack(&self.kernel.name)?;
        let guest = self.with.iter().fold(guest.accel(self.accel), Guest::file);
        guest.shell(&["/usr/sbin/depmod -a"])?;
        Ok(ExitCode::SUCCESS)
    }
}
