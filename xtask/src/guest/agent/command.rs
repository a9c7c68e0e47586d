//! One command line: started, its output passed on as it comes, its end told.

use std::{
    env,
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Agent, LOOK, WORK,
    protocol::{ALIVE_MS, Event, PAYLOAD_MAX},
};

/// Where commands are looked for.
const PATH: &str = "/usr/sbin:/usr/bin";
/// The guest's terminal.
const TERMINAL: &str = "/dev/hvc0";
/// The file that an interactive shell reads first, and its contents.
const RC: &str = include_str!("shell.rc");
const RC_FILE: &str = "/run/shell.rc";
/// The longest time that the rest of a command's output may take after its end.
const REST: Duration = Duration::from_millis(500);
/// The number of pieces of output that may wait: a command that writes faster than the host reads
/// is held.
const WAITING_MAX: usize = 16;

/// The words of the threads around a command.
enum ChildEvent {
    Output { error: bool, bytes: Vec<u8> },
    Closed,
    Exit(ExitStatus),
}

/// `/bin/sh -c` with the environment of every command.
pub(crate) fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).env_clear();
    command.env("PATH", PATH).env("HOME", WORK).env("LC_ALL", "C");
    command.env("TERM", env::var("TERM").unwrap_or_else(|_| "linux".into()));
    command.stdin(Stdio::null());
    command
}

impl Agent {
    /// Runs a command line, and sends its output and its end.
    pub(crate) fn run(&mut self, split_stderr: bool, line: &str) -> io::Result<()> {
        self.begin()?;
        // Merged by the shell, so that both arrive in the order in which they were written. What
        // it says of a line that it cannot parse comes over the other pipe, hence both are read.
        let script = if split_stderr { line.to_owned() } else { format!("exec 2>&1; {line}") };
        self.start(split_stderr, shell(&script))
    }

    /// Runs a program whose arguments no shell reads, and sends its output and its end.
    pub(crate) fn tool(&mut self, words: &[String]) -> io::Result<()> {
        self.begin()?;
        let mut command = shell("exec \"$@\" 2>&1");
        command.arg("sh").args(words);
        self.start(false, command)
    }

    /// Sends what a file holds.
    pub(crate) fn read(&mut self, path: &str) -> io::Result<()> {
        self.begin()?;
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.send(&Event::Failed(format!("{path}: {error}"))),
        };
        // With its mark a piece of the half size fits in a frame.
        for bytes in bytes.chunks(PAYLOAD_MAX / 2) {
            self.send(&Event::Output { error: false, bytes: bytes.into() })?;
        }
        self.kernel()?;
        self.send(&Event::Ended { status: 0, open: false })
    }

    fn start(&mut self, split_stderr: bool, mut command: Command) -> io::Result<()> {
        match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Ok(child) => self.follow(split_stderr, child),
            Err(error) => self.send(&Event::Failed(format!("/bin/sh cannot be started: {error}"))),
        }
    }

    fn follow(&mut self, split_stderr: bool, child: Child) -> io::Result<()> {
        let (events, mut open) = watch(child);
        let mut status = None;
        let mut alive = Instant::now();
        let mut ended = Instant::now();
        while open > 0 || status.is_none() {
            match next(&events)? {
                Some(ChildEvent::Output { error, bytes }) => {
                    self.send(&Event::Output { error: split_stderr && error, bytes })?;
                }
                Some(ChildEvent::Closed) => open -= 1,
                Some(ChildEvent::Exit(exit)) => (status, ended) = (Some(exit), Instant::now()),
                None => (),
            }
            self.kernel()?;
            // A process that it left in the background may write for ever, and is not waited for.
            if status.is_some() && ended.elapsed() > REST {
                break;
            }
            if alive.elapsed() > Duration::from_millis(ALIVE_MS) {
                alive = Instant::now();
                self.send(&Event::Alive)?;
            }
        }
        self.kernel()?;
        let status = status.map_or(u8::MAX, code);
        self.send(&Event::Ended { status, open: open > 0 })
    }

    /// A shell on the guest's own terminal, until it ends. What the kernel logs is written to the
    /// same terminal, and the shell asks before each prompt whether all of it is there.
    pub(crate) fn shell(&mut self, rows: u16, columns: u16) -> io::Result<()> {
        self.begin()?;
        fs::write(RC_FILE, RC)?;
        let script = format!(
            "exec 8<&0 9>&1 <>{TERMINAL} >&0 2>&1; stty rows {rows} cols {columns}; \
             exec setsid -c bash --rcfile {RC_FILE} -i"
        );
        let mut command = shell(&script);
        command.env("SHELL", "/usr/bin/bash").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut answers = child.stdin.take();
        self.terminal = Some(File::options().write(true).open(TERMINAL)?);
        let (events, _) = watch(child);
        let status = loop {
            let event = next(&events)?;
            self.kernel()?;
            match event {
                Some(ChildEvent::Output { bytes, .. }) => {
                    // A shell that has ended since reads no answer.
                    let _ = answers.as_mut().map(|answers| answers.write_all(&bytes));
                }
                Some(ChildEvent::Exit(status)) => break status,
                Some(ChildEvent::Closed) | None => (),
            }
        };
        self.terminal = None;
        self.send(&Event::Ended { status: code(status), open: false })
    }

    /// Tells what the kernel logged until now, and that a command starts.
    fn begin(&mut self) -> io::Result<()> {
        self.commands += 1;
        let whole = self.files.close();
        self.unless(whole)?;
        self.kernel()?;
        self.send(&Event::Started)
    }
}

/// Starts the threads around a command: what they tell, and how many of its pipes are open.
fn watch(mut child: Child) -> (Receiver<ChildEvent>, usize) {
    let (sender, events) = sync_channel(WAITING_MAX);
    let pipes = [
        child.stdout.take().map(|pipe| listen(pipe, false, sender.clone())),
        child.stderr.take().map(|pipe| listen(pipe, true, sender.clone())),
    ];
    thread::spawn(move || {
        if let Ok(status) = child.wait() {
            // The receiver is gone only when the command is long over.
            let _ = sender.send(ChildEvent::Exit(status));
        }
    });
    (events, pipes.iter().flatten().count())
}

fn next(events: &Receiver<ChildEvent>) -> io::Result<Option<ChildEvent>> {
    match events.recv_timeout(LOOK) {
        Ok(event) => Ok(Some(event)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => {
            Err(io::Error::new(ErrorKind::BrokenPipe, "a command was lost"))
        }
    }
}

/// Reads one of a command's pipes until it is closed.
fn listen(mut pipe: impl Read + Send + 'static, error: bool, to: SyncSender<ChildEvent>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            let bytes = buffer[..length].to_vec();
            // The output of a background process after its command's end is not passed on. The pipe
            // is emptied all the same, so that the process is not held.
            let _ = to.send(ChildEvent::Output { error, bytes });
        }
        let _ = to.send(ChildEvent::Closed);
    });
}

/// The exit status as a shell counts it.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map(|signal| signal + 128);
    status.code().or_else(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_counts_from_128() {
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
    }
}
