//! `shell`: the guest, interactively.

use std::process::ExitCode;

use crate::{command::GuestArgs, problem::Result};

/// A shell in the guest, with a stack installed and the given files beside it.
///
/// The kernel's messages appear in it as on a real console. `exit` or Ctrl-D ends the guest.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    guest: GuestArgs,
}

impl Args {
    /// Runs it until its user leaves.
    ///
    /// # Errors
    /// Those of [`crate::guest::Guest::shell`].
    pub fn run(self) -> Result<ExitCode> {
        self.guest.guest()?.shell(&["/usr/sbin/depmod -a"])?;
        Ok(ExitCode::SUCCESS)
    }
}
