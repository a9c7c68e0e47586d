//! A terminal of a sandbox's own: what is typed on the caller's goes there, and what it shows comes
//! back, so that nothing in the sandbox has the caller's terminal open.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write, stdin, stdout},
    process::{Command, Stdio},
    thread::{self, JoinHandle},
};

use rustix::{
    fd::{AsFd, OwnedFd},
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize},
};
use signal_hook::{consts::SIGWINCH, iterator::Signals};

/// The caller's terminal, joined to a new one. It is put back when this is dropped.
pub(super) struct Terminal {
    before: Termios,
    output: Option<JoinHandle<()>>,
}

impl Terminal {
    /// `true` if the caller has one, on which a command both reads and writes.
    pub(super) fn is_there() -> bool {
        stdin().is_terminal() && stdout().is_terminal()
    }

    /// Makes a terminal like the caller's, gives it to a command, and starts that.
    ///
    /// # Errors
    /// None can be made, or the command cannot be started.
    pub(super) fn join<T>(
        command: &mut Command,
        start: impl FnOnce(&mut Command) -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        let before = tcgetattr(stdin())?;
        tcsetattr(&theirs, OptionalActions::Now, &before)?;
        fit(&ours);
        let end = || theirs.try_clone().map(Stdio::from);
        let started = start(command.stdin(end()?).stdout(end()?).stderr(end()?))?;
        // While the command holds its end open, ours has no end.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        drop(theirs);
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        let mut terminal = Self { before, output: None };
        let (keys, size) = (File::from(ours.try_clone()?), ours.try_clone()?);
        let mut resized = Signals::new([SIGWINCH])?;
        thread::spawn(move || pass(stdin(), keys));
        thread::spawn(move || resized.forever().for_each(|_| fit(&size)));
        terminal.output = Some(thread::spawn(move || pass(File::from(ours), stdout())));
        Ok((terminal, started))
    }

    /// Shows the last words of a command that has ended.
    pub(super) fn leave(mut self) {
        let _ = self.output.take().map(JoinHandle::join);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Gives a terminal the size of the caller's.
fn fit(terminal: &OwnedFd) {
    if let Ok(size) = tcgetwinsize(stdin()) {
        let _ = tcsetwinsize(terminal.as_fd(), size);
    }
}

/// Passes on what is read, as it comes, until either side has ended.
fn pass(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}
