//! The agent: the guest's `/init`, which runs what the host asks for and reports it.
//!
//! It is compiled by the private root's own compiler into one static file, so it uses the
//! standard library alone. When something goes wrong that it cannot report, it ends, and the
//! kernel then panics because its init is gone: the host sees that, and nothing looks green.

mod command;
mod files;
mod guard;
#[expect(unreachable_pub, reason = "the same file is a module of the runner")]
#[path = "../message.rs"]
mod message;
#[expect(dead_code, unreachable_pub, reason = "the same file is a module of the runner")]
#[path = "../protocol.rs"]
mod protocol;
#[expect(unsafe_code, reason = "the standard library has no such system calls")]
mod system;

use std::{
    env, fs,
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use command::shell;
use files::Files;
use message::Message;
use protocol::{Decoder, Event, KMOD, Request};

/// `O_NONBLOCK` of x86-64 Linux, which the standard library does not name.
const NONBLOCK: i32 = 0o4000;
/// The interval between two looks at the kernel's messages while a command runs.
const LOOK: Duration = Duration::from_millis(20);
/// The longest time that the port may take to appear after the boot.
const PORT_WAIT: Duration = Duration::from_secs(10);
/// The time for which the kernel must have been silent before the last goodbye, and how long that
/// may take.
const SILENCE: [Duration; 2] = [Duration::from_millis(60), Duration::from_secs(2)];
/// The same before the machine's state is saved: a kernel that has booted goes on for a while, for
/// example to measure its clocks, and is not to do so in every run again.
const REST: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(10)];
/// The longest time that a machine may take from the end of its devices to its restart.
const RESTART: Duration = Duration::from_secs(5);
/// The folder in which commands run.
const WORK: &str = "/work";

fn main() -> io::Result<()> {
    if std::process::id() != 1 {
        eprintln!("guest-agent is the init of symstack's guest, it does nothing elsewhere");
        std::process::exit(2);
    }
    // Not by this thread: the kernel starts helpers in the root of the first one, and none at all
    // once it has left that (fs/fs_struct.c:validate_fs_switch, 7.3), as `guard.rs` does.
    let served = thread::spawn(serve).join().unwrap_or_else(|_| Err(ErrorKind::Other.into()));
    if served.is_err() {
        // A machine that restarts takes the port away first, and goes without a panic of ours:
        // drivers/virtio/virtio.c:virtio_dev_shutdown, 7.3.
        thread::sleep(RESTART);
    }
    served
}

/// Does what the host asks for, until it asks for the end.
fn serve() -> io::Result<()> {
    let mounted = mount_all()?;
    // Once for all commands: to give each its own, the standard library needs the sockets of the
    // Unix domain, which a small kernel has not.
    env::set_current_dir(WORK)?;
    let mut agent = Agent::new(open_port()?)?;
    agent.kernel()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
    agent.send(&Event::Hello { release, tools: tools() })?;
    if !mounted {
        agent.send(&Event::Failed("the file systems of /etc/fstab cannot be mounted".into()))?;
    }
    while let Some(request) = agent.request()? {
        match request {
            Request::Run { split_stderr, line } => agent.run(split_stderr, &line)?,
            Request::Tool(words) => agent.tool(&words)?,
            Request::Read(path) => agent.read(&path)?,
            Request::Guard => {
                let guarded = guard::guard();
                let failed = |error| Event::Failed(format!("no guard against modules: {error}"));
                agent.send(&guarded.map_or_else(failed, |()| Event::Guarded))?;
            }
            Request::Shell { rows, columns } => agent.shell(rows, columns)?,
            Request::Settle => {
                agent.silence(REST)?;
                agent.send(&Event::Settled)?;
            }
            Request::Reseed { seed } => {
                system::reseed(&seed)?;
                agent.send(&Event::Reseeded)?;
            }
            Request::Clock { seconds, nanos } => system::set_clock(seconds, nanos)?,
            Request::Create { path, executable } => {
                let done = agent.files.create(&path, executable);
                agent.unless(done)?;
            }
            Request::Data(bytes) => {
                let done = agent.files.write(&bytes);
                agent.unless(done)?;
            }
            Request::End => {
                agent.silence(SILENCE)?;
                let Agent { commands, records: kernel, .. } = agent;
                let port = exit_port()?;
                let powers_off = port.is_none();
                agent.send(&Event::Goodbye { commands, kernel, powers_off })?;
                return end(port, protocol::EXIT_VALUE);
            }
        }
    }
    end(exit_port()?, 1)
}

/// Mounts what /etc/fstab names; false when that fails.
fn mount_all() -> io::Result<bool> {
    let status = Command::new("/usr/bin/busybox").args(["mount", "-a"]).status()?;
    Ok(status.success())
}

/// The version of each of kmod's commands, asked through the shell that runs the
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

/// The I/O ports, by which QEMU's debug-exit device is told a value; none when the kernel is locked
/// down.
fn exit_port() -> io::Result<Option<File>> {
    match File::options().write(true).open("/dev/port") {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        port => port.map(Some),
    }
}

/// Ends the machine: the host knows the value.
fn end(port: Option<File>, value: u8) -> io::Result<()> {
    match port {
        Some(port) => drop(port.write_at(&[value], protocol::EXIT_PORT)?),
        None => system::power_off()?,
    }
    // A machine with the device never gets here; the host's deadline ends another one.
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

/// The port, the kernel's log, and what was sent of it.
struct Agent {
    port: File,
    kmsg: File,
    /// Where a shell runs, which sees what the kernel logs, too.
    terminal: Option<File>,
    decoder: Decoder,
    files: Files,
    commands: u32,
    records: u32,
}

impl Agent {
    fn new(port: File) -> io::Result<Self> {
        let kmsg = File::options().read(true).custom_flags(NONBLOCK).open("/dev/kmsg")?;
        Ok(Self {
            port,
            kmsg,
            terminal: None,
            decoder: Decoder::default(),
            files: Files::default(),
            commands: 0,
            records: 0,
        })
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
                    self.show(&buffer[..length]);
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

    /// Shows a record of the log on the terminal of a shell, over a prompt or on a line of its own.
    fn show(&mut self, record: &[u8]) {
        let (Some(terminal), Ok(message)) = (&mut self.terminal, Message::parse(record)) else {
            return;
        };
        // The runner has it in any case.
        let _ = terminal.write_all(format!("\r{message}\n").as_bytes());
    }

    /// Tells of what could not be done.
    fn unless(&mut self, done: Result<(), String>) -> io::Result<()> {
        done.or_else(|why| self.send(&Event::Failed(why)))
    }

    /// Waits until the kernel has been silent for the first time, at most for the second one, so
    /// that what it had put off is told.
    fn silence(&mut self, [silence, longest]: [Duration; 2]) -> io::Result<()> {
        let begin = Instant::now();
        let mut last = begin;
        while last.elapsed() < silence && begin.elapsed() < longest {
            thread::sleep(LOOK);
            if self.kernel()? {
                last = Instant::now();
            }
        }
        Ok(())
    }
}
