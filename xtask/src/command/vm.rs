//! `vm`: one command in the guest.

use std::{
    io::{Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use crate::{
    command::{KernelArg, guest_with_stack},
    guest::{Accel, Command, Guest, report::Update},
    problem::{Problem, Result},
};

/// Run one command in the guest, with the stack installed and the given files beside it.
///
/// Its output and exit status are passed through. When the kernel complains meanwhile (a WARNING,
/// an oops, a panic), or the guest does not end as agreed, this fails whatever the command said.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    /// Files to put beside the command, in its working directory.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    with: Vec<PathBuf>,
    /// How long the command may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,
    /// What runs the guest: auto, kvm or tcg.
    #[arg(long, default_value = "auto")]
    accel: Accel,
    /// Boot the guest, instead of restoring a state that was saved when it had booted.
    #[arg(long)]
    boot: bool,
    /// The command: one word is a line for the guest's shell, several are taken as they are.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Args {
    /// Runs it, and passes its status on.
    ///
    /// # Errors
    /// A file cannot be read, or the guest proves nothing: see [`Guest::start`] and
    /// [`crate::guest::Session::finish`].
    pub fn run(self) -> Result<ExitCode> {
        let guest = guest_with_stack(&self.kernel.name)?;
        let line = match self.command.as_slice() {
            [line] => line.clone(),
            words => shell_words::join(words),
        };
        let guest = guest.accel(self.accel).deadline(Duration::from_secs(self.deadline));
        let guest = if self.boot { guest.fresh_boot() } else { guest };
        let guest = self.with.iter().fold(guest, Guest::file);
        let mut session = guest.start()?;
        let depmod = session.exec("/usr/sbin/depmod -a")?;
        if depmod.status != 0 {
            let said = depmod.text();
            return Err(Problem::does_not_hold(format!("depmod failed in the guest: {said}")));
        }
        let step = session.exec_with(Command::new(line).split_stderr(), &mut |news| {
            if let Update::Output { error, bytes } = news {
                // Whoever reads no further does not want the rest.
                let _ = if *error { stderr().write_all(bytes) } else { stdout().write_all(bytes) };
                let _ = stdout().flush();
            }
        })?;
        session.finish()?;
        Ok(ExitCode::from(step.status))
    }
}
