//! A message of the kernel's log.
//!
//! This file is part of both programs, as `protocol.rs` is: the agent shows a message on the
//! guest's terminal in the words in which the runner reports it.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

/// One message of the kernel's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its level, from 0 (emergency) to 7 (debug).
    pub level: u8,
    /// A program wrote it into the log; the kernel itself did not.
    pub from_user: bool,
    /// Its number in the log, without gaps.
    pub sequence: u64,
    /// Since the boot, to the microsecond.
    pub time: Duration,
    /// A piece of a line that the kernel logged in several.
    pub piece: bool,
    /// Its text; several lines when the kernel logged them as one.
    pub text: String,
    /// The kernel's fields beside it, for example `SUBSYSTEM` and `DEVICE`.
    pub properties: Vec<(String, String)>,
}

impl Message {
    /// Reads a record of `/dev/kmsg`: `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];TEXT` and then
    /// ` NAME=VALUE` lines.
    ///
    /// # Errors
    /// It is no such record; the text says what is wrong.
    pub fn parse(record: &[u8]) -> Result<Self, String> {
        let record = String::from_utf8_lossy(record);
        let wrong = |what: &str| {
            let begin: String = record.chars().take(80).collect();
            format!("a kernel message without {what}: {begin:?}")
        };
        let (head, body) = record.split_once(';').ok_or_else(|| wrong("`;`"))?;
        let mut fields = head.split(',');
        let mut number = |what| {
            let field = fields.next().and_then(|field| field.parse::<u64>().ok());
            field.ok_or_else(|| wrong(what))
        };
        let priority = number("a priority")?;
        let (sequence, micros) = (number("a number")?, number("a time")?);
        let flags = fields.next().ok_or_else(|| wrong("flags"))?;
        let mut lines = body.lines();
        let text = unescape(lines.next().unwrap_or_default());
        let properties = lines.filter_map(|line| {
            let (name, value) = line.strip_prefix(' ')?.split_once('=')?;
            Some((name.to_owned(), unescape(value)))
        });
        Ok(Self {
            level: (priority & 7) as u8,
            from_user: priority >> 3 != 0,
            sequence,
            time: Duration::from_micros(micros),
            piece: flags.contains('c'),
            text,
            properties: properties.collect(),
        })
    }
}

/// As dmesg prints it; what would command a terminal is shown.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.time.as_secs(), self.time.subsec_micros());
        for (line, text) in self.text.split('\n').enumerate() {
            let newline = if line == 0 { "" } else { "\n" };
            write!(f, "{newline}[{seconds:5}.{micros:06}] ")?;
            for c in text.chars() {
                if c.is_control() && c != '\t' {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    f.write_char(c)?;
                }
            }
        }
        Ok(())
    }
}

/// Undoes the kernel's `\x1b` for what is not printable, a backslash included.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = match rest {
            [b'\\', b'x', hex @ ..] => hex.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()),
            _ => None,
        };
        let hex = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (byte, after) = hex.map_or((byte, after), |byte| (byte, &rest[4..]));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
