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
    printer,
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
    /// The longest time that the command may take.
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
        let (mut out, mut err) = (PassedOn::new(stdout()), PassedOn::new(stderr()));
        let step = session.exec_with(Command::new(line).split_stderr(), &mut |event| {
            if let Event::Output { error, bytes } = event {
                if *error { err.pass(bytes) } else { out.pass(bytes) }
            }
        })?;
        session.finish()?;
        out.end();
        Ok(ExitCode::from(step.status))
    }
}

/// One of our streams, which takes what the guest's command writes to its own. A terminal is shown
/// what would command it.
struct PassedOn<W> {
    to: W,
    /// The beginning of a character whose rest comes with the next bytes.
    begun: Vec<u8>,
    /// The reason for which it takes no more; the command runs on to its end.
    lost: std::io::Result<()>,
}

impl<W: Write + IsTerminal> PassedOn<W> {
    fn new(to: W) -> Self {
        Self { to, begun: Vec::new(), lost: Ok(()) }
    }

    fn pass(&mut self, bytes: &[u8]) {
        if self.lost.is_err() {
            return;
        }
        let written = if self.to.is_terminal() {
            self.begun.extend_from_slice(bytes);
            let last = self.begun.utf8_chunks().last();
            let begun = last.map_or(0, |chunk| chunk.invalid().len()).min(self.begun.len());
            let rest = self.begun.split_off(self.begun.len() - begun);
            let whole = std::mem::replace(&mut self.begun, rest);
            self.to.write_all(Text(&whole).to_string().as_bytes())
        } else {
            self.to.write_all(bytes)
        };
        self.lost = written.and_then(|()| self.to.flush());
    }

    /// Shows what no byte has completed, and ends the process if a byte was lost.
    fn end(mut self) {
        let rest = std::mem::take(&mut self.begun);
        if !rest.is_empty() && self.lost.is_ok() {
            self.lost = self.to.write_all(Text(&rest).to_string().as_bytes());
        }
        printer::or_lost(self.lost);
    }
}
