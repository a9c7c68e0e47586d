//! The guest, interactively: a shell on the caller's own terminal.

use std::{
    io::{IsTerminal, Write, stderr, stdin, stdout},
    time::Duration,
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::{Guest, protocol::Request, report::Update};
use crate::problem::{OrProblem, Problem, Result};

/// A day: a user decides when it is over, yet nothing is without a limit.
const DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

impl Guest {
    /// Boots it with a shell on the caller's terminal, until the shell ends. The kernel's
    /// messages appear there as well, as on a real console. Ctrl-C goes to the guest.
    ///
    /// `before` are commands that are run first, silently, for example `depmod -a`.
    ///
    /// # Errors
    /// Standard input is no terminal; those of [`Guest::start`]; what the verdicts on the guest
    /// say, for example that the kernel panicked.
    pub fn shell(&self, before: &[&str]) -> Result<()> {
        if !stdin().is_terminal() || !stdout().is_terminal() {
            let problem = Problem::usage("a shell in the guest needs a terminal");
            return Err(problem.hint("for one command there is: cargo xtask vm -- COMMAND"));
        }
        // Put back however this ends: QEMU cannot when it is killed.
        let _terminal = Terminal::save()?;
        let mut session = self.start_on(true, &|run, log| run.foreground(log.into()))?;
        for command in before {
            let step = session.exec(*command)?;
            if step.status != 0 {
                let said = step.text();
                return Err(Problem::does_not_hold(format!("`{command}` failed: {said}")));
            }
        }
        // A terminal that a program makes may have no size.
        let size = tcgetwinsize(stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
        let request = Request::Shell { rows, columns };
        session.ask("the shell", &request, DEADLINE, &mut |news| {
            if let Update::Kernel(message) = news {
                // The terminal is raw: a line needs its carriage return. In one piece, so that what
                // is typed meanwhile does not come between.
                let text = message.to_string().replace('\n', "\r\n");
                let _ = stderr().write_all(format!("\r{text}\r\n").as_bytes());
            }
        })?;
        session.finish().map(drop)
    }
}

/// The state of the caller's terminal, put back when this is dropped.
struct Terminal(Termios);

impl Terminal {
    fn save() -> Result<Self> {
        let state = tcgetattr(stdin()).map_err(Into::into);
        state.map(Self).or_host(|| "the terminal's state cannot be read".into())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.0);
    }
}
