//! `shell`: the guest, interactively.

use std::path::PathBuf;

use clap::Args;

use crate::{
    guest::{Accel, Guest},
    problem::Result,
};

/// A shell in the guest, with the stack installed and the given files beside it.
///
/// The kernel's messages appear in it as on a real console. `exit` or Ctrl-D ends the guest.
#[derive(Args, Clone, Debug)]
pub struct Shell {
    /// The kernel to boot.
    #[arg(long, value_name = "K", default_value = "stock")]
    pub kernel: String,
    /// Files to put into its working directory.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub with: Vec<PathBuf>,
    /// What runs the guest: auto, kvm or tcg.
    #[arg(long, default_value = "auto")]
    pub accel: Accel,
}

impl Shell {
    /// Runs it in `guest`, which has the kernel and the modules.
    ///
    /// # Errors
    /// Those of [`Guest::shell`].
    pub fn run(self, guest: Guest) -> Result<()> {
        let guest = self.with.iter().fold(guest.accel(self.accel), Guest::file);
        guest.shell(&["/usr/sbin/depmod -a"])
    }
}
