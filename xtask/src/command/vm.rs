//! `vm`: one command in the guest.

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use ko::text::Text;

use crate::{
    command::GuestArgs,
    guest::{Command, protocol::Event},
    problem::Result,
};

/// Run one command in the guest, with a stack installed and the given files beside it.
///
/// Its output and exit status are passed through. When the kernel complains meanwhile (a WARNING,
/// an oops, a panic), or the guest does not end as agreed, this fails whatever the command said.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    guest: GuestArgs,
    /// How long the command may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,
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
    /// A file cannot be read, or the guest proves nothing: see [`crate::guest::Guest::start`] and
    /// [`crate::guest::Session::finish`].
    pub fn run(self) -> Result<ExitCode> {
        let line = match self.command.as_slice() {
            [line] => line.clone(),
            words => shell_words::join(words),
        };
        let guest = self.guest.guest()?.deadline(Duration::from_secs(self.deadline));
        let guest = if self.boot { guest.fresh_boot() } else { guest };
        let mut session = guest.start()?;
        session.exec_well("/usr/sbin/depmod -a")?;
        let step = session.exec_with(Command::new(line).split_stderr(), &mut |event| {
            if let Event::Output { error, bytes } = event {
                if *error { pass_on(stderr(), bytes) } else { pass_on(stdout(), bytes) }
            }
        })?;
        session.finish()?;
        Ok(ExitCode::from(step.status))
    }
}

/// Writes what the guest's command wrote. A terminal is shown what would command it.
fn pass_on(mut to: impl Write + IsTerminal, bytes: &[u8]) {
    let shown = to.is_terminal().then(|| Text(bytes).to_string());
    // When nobody reads any further, nobody wants the rest.
    let _ = to.write_all(shown.as_deref().map_or(bytes, str::as_bytes));
    let _ = to.flush();
}
