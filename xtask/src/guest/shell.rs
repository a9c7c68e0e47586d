//! The guest, interactively: a shell on the caller's own terminal.
//!
//! The guest's terminal is a pair of pipes, and the runner alone writes to the caller's. QEMU drops
//! what is not taken at once (hw/char/virtio-console.c:flush_buf, QEMU 10.0), so a thread of ours
//! always reads. A socket would not do: it is full after some 300 lines, however short. What the
//! kernel logs comes the same way, written by the agent before the prompt that follows: the order
//! is the guest's own.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write, stdin, stdout},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    pipe::fcntl_setpipe_size,
    process::{Signal, getpid, kill_process},
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};

use super::{Guest, protocol::Request, qemu};
use crate::problem::{OrProblem, Problem, Result};

/// A day: a user decides when it is over, yet nothing is without a limit.
const DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes that are read at once, and how many such pieces wait for a slow terminal: 16 MiB.
const PIECE: usize = 16 << 10;
const WAITING_MAX: usize = 1 << 10;
/// Bytes that the pipe holds while we do not get to read it.
const PIPE: usize = 1 << 20;

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
        let mut session = self.start_on(true)?;
        for command in before {
            session.exec_well(command)?;
        }
        // A terminal that a program makes may have no size.
        let size = tcgetwinsize(stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
        let terminal = Terminal::join(session.run_dir.path());
        let terminal = terminal.or_host(|| "the terminal cannot be used".into())?;
        let shell = Request::Shell { rows, columns };
        let asked = session.ask("the shell", &shell, DEADLINE, &mut |_| ());
        // QEMU ends either way, and with it what the terminal shows.
        let ended = asked.and(session.finish());
        terminal.leave();
        ended.map(drop)
    }
}

/// The caller's terminal, joined to the guest's. It is put back when this is dropped.
struct Terminal {
    before: Termios,
    output: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Every key goes to the guest from now on, Ctrl-C as well, and comes back from there.
    fn join(run_dir: &Path) -> io::Result<Self> {
        // QEMU has opened both.
        let from = File::open(run_dir.join(qemu::TERMINAL_OUT))?;
        let to = File::options().write(true).open(run_dir.join(qemu::TERMINAL_IN))?;
        // As much as the host allows; a smaller one does in quiet times.
        let _ = fcntl_setpipe_size(&from, PIPE);
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        let (sender, pieces) = sync_channel(WAITING_MAX);
        thread::spawn(move || read(from, &sender));
        thread::spawn(move || keys(to));
        let output = Some(thread::spawn(move || show(&pieces)));
        Ok(Self { before, output })
    }

    /// Shows the last words of a guest that has ended.
    fn leave(mut self) {
        let _ = self.output.take().map(JoinHandle::join);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
    }
}

/// Reads what the guest writes, until it has ended.
fn read(mut guest: File, pieces: &SyncSender<Vec<u8>>) {
    let mut buffer = [0; PIECE];
    while let Ok(length @ 1..) = guest.read(&mut buffer) {
        if pieces.send(buffer[..length].to_vec()).is_err() {
            return;
        }
    }
}

/// Shows it. A terminal that has gone takes nothing, which [`keys`] notices.
fn show(pieces: &Receiver<Vec<u8>>) {
    for piece in pieces {
        let mut terminal = stdout().lock();
        let _ = terminal.write_all(&piece).and_then(|()| terminal.flush());
    }
}

/// Passes keys on, until the guest has ended.
fn keys(mut guest: File) {
    let mut buffer = [0; 4096];
    loop {
        let terminal = stdin();
        let mut ready = [
            PollFd::new(&terminal, PollFlags::IN),
            // An end is always told.
            PollFd::new(&guest, PollFlags::empty()),
        ];
        let woken = poll(&mut ready, None);
        if !ready[1].revents().is_empty() {
            return;
        }
        if woken.is_err() {
            continue;
        }
        let Ok(length @ 1..) = rustix::io::read(&terminal, &mut buffer) else {
            // Whoever sat there has gone, and we may have been told to ignore that.
            let _ = kill_process(getpid(), Signal::TERM);
            return;
        };
        if guest.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
