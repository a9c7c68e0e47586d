//! The agent: the guest's `/init`, which runs what the host asks for and reports it.
//!
//! It is compiled by the private root's own compiler into one static file, so it uses the
//! standard library alone. When something goes wrong that it cannot report, it ends, and the
//! kernel then panics because its init is gone: the host sees that, and nothing looks green.

#[expect(dead_code, unreachable_pub, reason = "the same file is a module of the runner")]
#[path = "../protocol.rs"]
mod protocol;

use std::{
    env, fs,
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::unix::{
        fs::{FileExt, OpenOptionsExt},
        process::ExitStatusExt,
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use protocol::{Decoder, Event, Request};

/// `O_NONBLOCK` of x86-64 Linux, which the standard library does not name.
const NONBLOCK: i32 = 0o4000;
/// How often the kernel's messages are looked at while a command runs.
const LOOK: Duration = Duration::from_millis(20);
/// How long the rest of a command's output may take after its end.
const REST: Duration = Duration::from_millis(500);
/// How long the port may take to appear after the boot.
const PORT_WAIT: Duration = Duration::from_secs(10);
/// How long the kernel must have been silent before the last goodbye.
const SILENCE: Duration = Duration::from_millis(60);
/// After this time the goodbye is said, silent or not.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// The folder in which commands run.
const WORK: &str = "/work";
/// Where commands are looked for.
const PATH: &str = "/usr/sbin:/usr/bin";
/// The commands that must be kmod's own.
const KMOD: [&str; 6] = ["depmod", "insmod", "lsmod", "modinfo", "modprobe", "rmmod"];

fn main() -> io::Result<()> {
    if std::process::id() != 1 {
        eprintln!("guest-agent is the init of symstack's guest, it does nothing elsewhere");
        std::process::exit(2);
    }
    let mounted = Command::new("/usr/bin/busybox").args(["mount", "-a"]).status()?;
    // Once for all commands: to give each its own, the standard library needs the sockets of the
    // Unix domain, which a small kernel has not.
    env::set_current_dir(WORK)?;
    let mut agent = Agent::new(open_port()?)?;
    agent.kernel()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
    agent.send(&Event::Hello { release, tools: tools() })?;
    if !mounted.success() {
        agent.send(&Event::Failed("the file systems of /etc/fstab cannot be mounted".into()))?;
    }
    while let Some(request) = agent.request()? {
        match request {
            Request::Run { split_stderr, line } => agent.run(split_stderr, &line)?,
            Request::Shell { rows, columns } => agent.shell(rows, columns)?,
            Request::End => return agent.end(),
        }
    }
    power_off(1)
}

/// What each of kmod's commands says of its version, asked through the shell that runs the
/// host's commands: some shells prefer a tool of their own to the one that PATH names.
fn tools() -> String {
    let each = "for tool; do echo \"$tool\t$($tool --version 2>&1)\"; done";
    let output = match shell(each).arg("sh").args(KMOD).output() {
        Ok(output) => output.stdout,
        Err(error) => return error.to_string(),
    };
    // The second line of a version, which tells what was compiled in, has no tab.
    let said = String::from_utf8_lossy(&output);
    said.lines().filter(|line| line.contains('\t')).collect::<Vec<_>>().join("\n")
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).env_clear();
    command.env("PATH", PATH).env("HOME", WORK).env("LC_ALL", "C");
    command.env("TERM", env::var("TERM").unwrap_or_else(|_| "linux".into()));
    command.stdin(Stdio::null());
    command
}

/// The port of our name, which appears shortly after the boot.
fn open_port() -> io::Result<File> {
    let begin = Instant::now();
    loop {
        if let Some(port) = find_port() {
            match File::options().read(true).write(true).open(&port) {
                Ok(file) => return Ok(file),
                Err(error) if begin.elapsed() > PORT_WAIT => return Err(error),
                Err(_) => (),
            }
        }
        if begin.elapsed() > PORT_WAIT {
            let what = format!("no virtio port has the name {}", protocol::PORT);
            return Err(io::Error::new(ErrorKind::NotFound, what));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn find_port() -> Option<String> {
    fs::read_dir("/sys/class/virtio-ports").ok()?.flatten().find_map(|port| {
        let name = fs::read_to_string(port.path().join("name")).ok()?;
        let device = format!("/dev/{}", port.file_name().to_string_lossy());
        (name.trim() == protocol::PORT).then_some(device)
    })
}

/// Ends the machine through QEMU's debug-exit device: the host knows the value.
fn power_off(value: u8) -> io::Result<()> {
    let port = File::options().write(true).open("/dev/port")?;
    port.write_at(&[value], protocol::EXIT_PORT)?;
    // Not reached in a machine that has the device; the host's deadline ends another one.
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

/// The port, the kernel's log, and what was sent of it.
struct Agent {
    port: File,
    kmsg: File,
    decoder: Decoder,
    commands: u32,
    records: u32,
}

/// What the threads around a command tell.
enum ChildEvent {
    Output { error: bool, bytes: Vec<u8> },
    Closed,
    Exit(ExitStatus),
}

impl Agent {
    fn new(port: File) -> io::Result<Self> {
        let kmsg = File::options().read(true).custom_flags(NONBLOCK).open("/dev/kmsg")?;
        Ok(Self { port, kmsg, decoder: Decoder::default(), commands: 0, records: 0 })
    }

    fn send(&mut self, event: &Event) -> io::Result<()> {
        self.port.write_all(&event.encode()?)
    }

    /// The next request, or nothing when the host has gone.
    fn request(&mut self) -> io::Result<Option<Request>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.frame()? {
                return Ok(Some(Request::decode(&frame)?));
            }
            match self.port.read(&mut buffer)? {
                0 => return Ok(None),
                length => self.decoder.push(&buffer[..length]),
            }
        }
    }

    /// Sends all kernel messages that have been logged until now; true when there were any.
    fn kernel(&mut self) -> io::Result<bool> {
        let before = self.records;
        let mut frames = Vec::new();
        let mut buffer = [0; 16 << 10];
        loop {
            match self.kmsg.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    frames.extend(Event::Kernel(buffer[..length].to_vec()).encode()?);
                    self.records += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    frames.extend(Event::Lost.encode()?);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
            // In one write: each is a round trip to the host.
            if frames.len() > protocol::PAYLOAD_MAX {
                self.port.write_all(&frames)?;
                frames.clear();
            }
        }
        self.port.write_all(&frames)?;
        Ok(self.records > before)
    }

    fn run(&mut self, split_stderr: bool, line: &str) -> io::Result<()> {
        self.commands += 1;
        // Merged by the shell, so that both arrive in the order in which they were written. What
        // it says of a line that it cannot parse comes over the other pipe, hence both are read.
        let script = if split_stderr { line.to_owned() } else { format!("exec 2>&1; {line}") };
        let child = shell(&script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        match child {
            Ok(child) => self.follow(split_stderr, child),
            Err(error) => self.send(&Event::Failed(format!("/bin/sh cannot be started: {error}"))),
        }
    }

    fn follow(&mut self, split_stderr: bool, mut child: Child) -> io::Result<()> {
        let (sender, news) = channel();
        let pipes = [
            child.stdout.take().map(|pipe| listen(pipe, false, sender.clone())),
            child.stderr.take().map(|pipe| listen(pipe, true, sender.clone())),
        ];
        let mut open = pipes.iter().flatten().count();
        thread::spawn(move || {
            if let Ok(status) = child.wait() {
                // The receiver is gone only when the command is long over.
                let _ = sender.send(ChildEvent::Exit(status));
            }
        });
        let mut status = None;
        let mut alive = Instant::now();
        let mut ended = Instant::now();
        while open > 0 || status.is_none() {
            match next(&news)? {
                Some(ChildEvent::Output { error, bytes }) => {
                    self.send(&Event::Output { error: split_stderr && error, bytes })?;
                }
                Some(ChildEvent::Closed) => open -= 1,
                Some(ChildEvent::Exit(exit)) => (status, ended) = (Some(exit), Instant::now()),
                None if status.is_some() && ended.elapsed() > REST => break,
                None => (),
            }
            self.kernel()?;
            if alive.elapsed() > Duration::from_millis(protocol::ALIVE_MS) {
                alive = Instant::now();
                self.send(&Event::Alive)?;
            }
        }
        self.kernel()?;
        let status = status.map_or(u8::MAX, code);
        self.send(&Event::Ended { status, open: open > 0 })
    }

    /// A shell on the guest's own terminal, until it ends.
    fn shell(&mut self, rows: u16, columns: u16) -> io::Result<()> {
        self.commands += 1;
        let script = format!("stty rows {rows} cols {columns}; exec setsid -c $SHELL -i");
        let terminal = File::options().read(true).write(true).open("/dev/hvc0")?;
        let mut command = shell(&script);
        command.env("SHELL", "/usr/bin/bash").env("PS1", "guest:\\w# ");
        command.stdin(terminal.try_clone()?).stdout(terminal.try_clone()?).stderr(terminal);
        let mut child = command.spawn()?;
        let status = loop {
            self.kernel()?;
            if let Some(status) = child.try_wait()? {
                break status;
            }
            thread::sleep(LOOK);
        };
        self.kernel()?;
        self.send(&Event::Ended { status: code(status), open: false })
    }

    /// Waits until the kernel has been silent for a while, so that what was put off by the last
    /// command is still told, and says goodbye.
    fn end(&mut self) -> io::Result<()> {
        let begin = Instant::now();
        let mut last = begin;
        while last.elapsed() < SILENCE && begin.elapsed() < SILENCE_MAX {
            thread::sleep(LOOK);
            if self.kernel()? {
                last = Instant::now();
            }
        }
        self.send(&Event::Goodbye { commands: self.commands, kernel: self.records })?;
        power_off(protocol::EXIT_VALUE)
    }
}

fn next(news: &Receiver<ChildEvent>) -> io::Result<Option<ChildEvent>> {
    match news.recv_timeout(LOOK) {
        Ok(news) => Ok(Some(news)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => {
            Err(io::Error::new(ErrorKind::BrokenPipe, "a command was lost"))
        }
    }
}

/// Reads one of a command's pipes until it is closed.
fn listen(mut pipe: impl Read + Send + 'static, error: bool, to: Sender<ChildEvent>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            let bytes = buffer[..length].to_vec();
            // Nobody listens any more to what a background process writes after its command's
            // end, yet the pipe is emptied, so that it does not block.
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
