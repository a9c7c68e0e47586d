//! The words between host and guest: frames of a tag, a length and a payload.
//!
//! This file is part of both programs: the runner takes it as a module of its own, and the agent
//! includes it by its path, so the two cannot disagree. It needs nothing but the standard library.

use std::{fmt, io};

/// The name of the virtio port over which the frames go.
pub const PORT: &str = "symstack.agent";
/// The agent's value for the debug-exit port when all went well.
pub const EXIT_VALUE: u8 = 0x2a;
/// The exit status that QEMU makes of it.
pub const EXIT_STATUS: i32 = (EXIT_VALUE as i32) << 1 | 1;
/// The I/O port of QEMU's isa-debug-exit device.
pub const EXIT_PORT: u64 = 0xf4;
/// Bytes of the longest payload. A kernel message is at most 8 KiB, escapes included.
pub const PAYLOAD_MAX: usize = 32 << 10;
/// The interval at which the agent says that it still lives while a command runs, in milliseconds.
pub const ALIVE_MS: u64 = 1000;

/// The commands that must be kmod's own.
pub const KMOD: [&str; 6] = ["depmod", "insmod", "lsmod", "modinfo", "modprobe", "rmmod"];

/// The host's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Run a command line with `/bin/sh -c`.
    Run {
        /// Keep standard output and standard error apart, instead of merged in order.
        split_stderr: bool,
        /// The command line.
        line: String,
    },
    /// Run a program with these arguments, the first its name. No shell reads them.
    Tool(Vec<String>),
    /// Send what this file holds, read by the agent itself.
    Read(String),
    /// Take the agent, and whatever it starts from now on, out of reach of what modules start.
    Guard,
    /// Run a shell on the guest's own terminal, of this size in characters.
    Shell {
        /// Lines of the terminal.
        rows: u16,
        /// Characters of a line.
        columns: u16,
    },
    /// Wait until the machine has come to rest, so that its state can be saved.
    Settle,
    /// Make the random numbers fresh: a restored machine would draw the same as another.
    Reseed {
        /// Random bytes that no other restored machine got.
        seed: Vec<u8>,
    },
    /// Set the clock. It has no answer.
    Clock {
        /// Since 1970.
        seconds: u64,
        /// The rest.
        nanos: u32,
    },
    /// Make a file, and the folders above it. Its contents follow as [`Request::Data`]. None of
    /// them has an answer, but a failure.
    Create {
        /// From the root folder.
        path: String,
        /// It is a program.
        executable: bool,
    },
    /// More contents of the file that was made last.
    Data(Vec<u8>),
    /// Say goodbye and end the machine.
    End,
}

/// The guest's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The agent is ready. The kernel messages of the boot come before it.
    Hello {
        /// The release that the running kernel gives itself.
        release: String,
        /// The version of each of kmod's commands: `name`, tab, first line.
        tools: String,
    },
    /// One record of `/dev/kmsg`, as it was read.
    Kernel(Vec<u8>),
    /// The kernel overwrote messages before they could be read.
    Lost,
    /// Programs that modules start no longer reach the agent.
    Guarded,
    /// The machine is at rest.
    Settled,
    /// The random numbers are fresh.
    Reseeded,
    /// The command starts now: the kernel messages before this belong to what was before it.
    Started,
    /// Output of the command that runs.
    Output {
        /// From its standard error, told apart.
        error: bool,
        /// Its output.
        bytes: Vec<u8>,
    },
    /// The command still runs, and the agent with it.
    Alive,
    /// The command ended, and all that it wrote has been sent.
    Ended {
        /// Its exit status; 128 and the signal's number when a signal ended it.
        status: u8,
        /// Something it started in the background still holds its output open.
        open: bool,
    },
    /// The agent could not do what was asked.
    Failed(String),
    /// The last event: what a whole report must hold.
    Goodbye {
        /// The number of commands that were run.
        commands: u32,
        /// The number of kernel messages that were sent.
        kernel: u32,
        /// The machine then powers off, because its kernel is locked down and lets no program
        /// write to the port that gives [`EXIT_STATUS`].
        powers_off: bool,
    },
}

/// Bytes that are no frame of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt(pub String);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Corrupt> for io::Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(io::ErrorKind::InvalidData, corrupt.0)
    }
}

impl Request {
    /// The bytes of its frame, or the reason why it has none.
    ///
    /// # Errors
    /// It is too long.
    pub fn encode(&self) -> Result<Vec<u8>, Corrupt> {
        match self {
            Self::Run { split_stderr, line } => {
                frame(b'r', &[&[u8::from(*split_stderr)], line.as_bytes()])
            }
            Self::Tool(words) => frame(b't', &[words.join("\0").as_bytes()]),
            Self::Read(path) => frame(b'p', &[path.as_bytes()]),
            Self::Guard => frame(b'g', &[]),
            Self::Shell { rows, columns } => {
                frame(b's', &[&rows.to_le_bytes(), &columns.to_le_bytes()])
            }
            Self::Settle => frame(b'q', &[]),
            Self::Reseed { seed } => frame(b'w', &[seed]),
            Self::Clock { seconds, nanos } => {
                frame(b'c', &[&seconds.to_le_bytes(), &nanos.to_le_bytes()])
            }
            Self::Create { path, executable } => {
                frame(b'f', &[&[u8::from(*executable)], path.as_bytes()])
            }
            Self::Data(bytes) => frame(b'd', &[bytes]),
            Self::End => frame(b'e', &[]),
        }
    }

    /// The request that a frame holds.
    ///
    /// # Errors
    /// The frame holds none.
    pub fn decode(frame: &Frame) -> Result<Self, Corrupt> {
        match (frame.tag, frame.payload.as_slice()) {
            (b'r', [split_stderr @ 0..=1, line @ ..]) => {
                Ok(Self::Run { split_stderr: *split_stderr == 1, line: text(line)? })
            }
            (b't', words) => Ok(Self::Tool(text(words)?.split('\0').map(Into::into).collect())),
            (b'p', path) => Ok(Self::Read(text(path)?)),
            (b'g', []) => Ok(Self::Guard),
            (b's', &[r0, r1, c0, c1]) => Ok(Self::Shell {
                rows: u16::from_le_bytes([r0, r1]),
                columns: u16::from_le_bytes([c0, c1]),
            }),
            (b'q', []) => Ok(Self::Settle),
            (b'w', seed) => Ok(Self::Reseed { seed: seed.to_vec() }),
            (b'c', &[s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3]) => Ok(Self::Clock {
                seconds: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
                nanos: u32::from_le_bytes([n0, n1, n2, n3]),
            }),
            (b'f', [executable @ 0..=1, path @ ..]) => {
                Ok(Self::Create { path: text(path)?, executable: *executable == 1 })
            }
            (b'd', bytes) => Ok(Self::Data(bytes.to_vec())),
            (b'e', []) => Ok(Self::End),
            _ => Err(frame.unknown()),
        }
    }
}

impl Event {
    /// The bytes of its frame.
    ///
    /// # Errors
    /// It is too long.
    pub fn encode(&self) -> Result<Vec<u8>, Corrupt> {
        match self {
            Self::Hello { release, tools } => {
                frame(b'H', &[release.as_bytes(), b"\n", tools.as_bytes()])
            }
            Self::Kernel(record) => frame(b'K', &[record]),
            Self::Lost => frame(b'L', &[]),
            Self::Guarded => frame(b'D', &[]),
            Self::Settled => frame(b'Q', &[]),
            Self::Reseeded => frame(b'R', &[]),
            Self::Started => frame(b'S', &[]),
            Self::Output { error, bytes } => frame(b'O', &[&[u8::from(*error)], bytes]),
            Self::Alive => frame(b'A', &[]),
            Self::Ended { status, open } => frame(b'X', &[&[*status, u8::from(*open)]]),
            Self::Failed(why) => frame(b'F', &[why.as_bytes()]),
            Self::Goodbye { commands, kernel, powers_off } => frame(
                b'G',
                &[&commands.to_le_bytes(), &kernel.to_le_bytes(), &[u8::from(*powers_off)]],
            ),
        }
    }

    /// The event that a frame holds.
    ///
    /// # Errors
    /// The frame holds none.
    pub fn decode(frame: Frame) -> Result<Self, Corrupt> {
        match (frame.tag, frame.payload.as_slice()) {
            (b'H', hello) => {
                let hello = text(hello)?;
                let (release, tools) = hello.split_once('\n').ok_or_else(|| frame.unknown())?;
                Ok(Self::Hello { release: release.into(), tools: tools.into() })
            }
            (b'K', _) => Ok(Self::Kernel(frame.payload)),
            (b'L', []) => Ok(Self::Lost),
            (b'D', []) => Ok(Self::Guarded),
            (b'Q', []) => Ok(Self::Settled),
            (b'R', []) => Ok(Self::Reseeded),
            (b'S', []) => Ok(Self::Started),
            (b'O', [error @ 0..=1, bytes @ ..]) => {
                Ok(Self::Output { error: *error == 1, bytes: bytes.to_vec() })
            }
            (b'A', []) => Ok(Self::Alive),
            (b'X', &[status, open @ 0..=1]) => Ok(Self::Ended { status, open: open == 1 }),
            (b'F', why) => Ok(Self::Failed(text(why)?)),
            (b'G', &[s0, s1, s2, s3, k0, k1, k2, k3, off @ 0..=1]) => Ok(Self::Goodbye {
                commands: u32::from_le_bytes([s0, s1, s2, s3]),
                kernel: u32::from_le_bytes([k0, k1, k2, k3]),
                powers_off: off == 1,
            }),
            _ => Err(frame.unknown()),
        }
    }
}

/// A tag and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its kind: one letter.
    pub tag: u8,
    /// At most [`PAYLOAD_MAX`] bytes.
    pub payload: Vec<u8>,
}

impl Frame {
    fn unknown(&self) -> Corrupt {
        let (tag, length) = (self.tag, self.payload.len());
        Corrupt(format!("a frame with tag {tag:#04x} and {length} bytes, which means nothing"))
    }
}

/// Frames out of a stream that arrives in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    begin: usize,
}

impl Decoder {
    /// Bytes of tag and length.
    const HEAD: usize = 5;

    /// Takes the bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        // The frames that were handed out are dropped here: the buffer holds only what waits.
        self.buffer.drain(..self.begin);
        self.begin = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there.
    ///
    /// # Errors
    /// The bytes begin with no frame: its length is more than [`PAYLOAD_MAX`].
    pub fn frame(&mut self) -> Result<Option<Frame>, Corrupt> {
        let waiting = &self.buffer[self.begin..];
        let &[tag, l0, l1, l2, l3, ref rest @ ..] = waiting else { return Ok(None) };
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > PAYLOAD_MAX {
            return Err(Corrupt(format!("a frame with tag {tag:#04x} that claims {length} bytes")));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let frame = Frame { tag, payload: payload.to_vec() };
        self.begin += Self::HEAD + length;
        Ok(Some(frame))
    }

    /// Returns the number of bytes that wait for the rest of their frame.
    pub fn waiting(&self) -> usize {
        self.buffer.len() - self.begin
    }
}

fn frame(tag: u8, parts: &[&[u8]]) -> Result<Vec<u8>, Corrupt> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let head = u32::try_from(length).ok().filter(|_| length <= PAYLOAD_MAX);
    let head = head.ok_or_else(|| Corrupt(format!("{length} bytes are too long for one frame")))?;
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&head.to_le_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Ok(bytes)
}

fn text(bytes: &[u8]) -> Result<String, Corrupt> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Corrupt("a text that is not UTF-8".into()))
}
