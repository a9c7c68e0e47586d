//! The one way to print: what others wrote commands no terminal, turns no text around, and ends no
//! line; and output that is lost is said to be.
//!
//! A text is kept as it came until it is printed. A file's name goes into a sentence by
//! [`Shown::shown`], so that not even a line's end in it passes as one of ours.

use std::{
    ffi::OsStr,
    fmt::{Arguments, Display},
    io::{self, BufWriter, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use ko::text::{Name, is_command, printable};
use serde::Serialize;

use crate::problem::{Problem, Result};

/// Names of files, for a sentence: each character that is no ordinary one, and each byte that is
/// not UTF-8, as an escape.
pub trait Shown {
    /// The name.
    fn shown(&self) -> impl Display + '_;
}

impl Shown for Path {
    fn shown(&self) -> impl Display + '_ {
        Name(self.as_os_str().as_bytes())
    }
}

impl Shown for OsStr {
    fn shown(&self) -> impl Display + '_ {
        Name(self.as_bytes())
    }
}

/// Prints one line to standard output.
pub fn line(line: Arguments<'_>) {
    or_lost(try_line(line));
}

/// The same for what need not reach its reader.
///
/// # Errors
/// Standard output is lost.
pub fn try_line(line: Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", printable(&line.to_string()))
}

/// Prints a whole text to standard output.
pub fn text(text: &str) {
    bytes(printable(text).as_bytes());
}

/// Prints a form of bytes, which was refused where it could not hold what others wrote.
pub fn bytes(form: &[u8]) {
    let mut out = io::stdout().lock();
    or_lost(out.write_all(form).and_then(|()| out.flush()));
}

/// Prints one line to standard error. A closed one loses nothing that the exit status lacks.
pub fn error(line: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(&line.to_string()));
}

/// Ends the process when its standard output is lost: quietly, as `SIGPIPE` does, where its reader
/// wants no more, as after `… | head`; else with the reason, and as this machine's fault.
pub fn or_lost(written: io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(141),
        Err(lost) => {
            error(format_args!("error: the output is lost: {lost}\nhint: {LOST}"));
            std::process::exit(69)
        }
    }
}

const LOST: &str = "free some space, or send it elsewhere, and run it again";

/// Prints a documented JSON form, indented, with its newline.
///
/// # Errors
/// A value that JSON cannot hold; none of our forms has one.
pub fn json(value: &impl Serialize) -> Result<()> {
    let mut out = EscapedJson(BufWriter::new(io::stdout().lock()));
    match serde_json::to_writer_pretty(&mut out, value) {
        Err(error) if !error.is_io() => {
            return Err(Problem::host(format!("cannot write JSON: {error}")));
        }
        Err(error) => or_lost(Err(error.into())),
        Ok(()) => or_lost(writeln!(out).and_then(|()| out.flush())),
    }
    Ok(())
}

/// A JSON form as a text, with its newline.
///
/// # Errors
/// A value that JSON cannot hold.
pub fn json_text(value: &impl Serialize) -> Result<String> {
    let mut out = EscapedJson(Vec::new());
    let written = serde_json::to_writer_pretty(&mut out, value);
    written.map_err(|error| Problem::host(format!("cannot write JSON: {error}")))?;
    Ok(String::from_utf8_lossy(&out.0).into_owned() + "\n")
}

/// JSON on its way out: `\u202e` is the same to a program, and commands no terminal.
struct EscapedJson<W>(W);

impl<W: io::Write> io::Write for EscapedJson<W> {
    /// Takes whole characters, as serde writes them. Those below a blank it has escaped itself.
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        let is_plain = written.iter().all(|byte| *byte < 0x7f);
        let Some(text) = (!is_plain).then(|| std::str::from_utf8(written).ok()).flatten() else {
            return self.0.write_all(written).map(|()| written.len());
        };
        for piece in text.split_inclusive(is_other_command) {
            let end = piece.chars().next_back().filter(|c| is_other_command(*c));
            let plain = &piece[..piece.len() - end.map_or(0, char::len_utf8)];
            self.0.write_all(plain.as_bytes())?;
            // None of them has more than one unit of UTF-16.
            end.map_or(Ok(()), |end| write!(self.0, "\\u{:04x}", u32::from(end)))?;
        }
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_other_command(c: char) -> bool {
    c >= '\u{7f}' && is_command(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind that commands a reader: C0, DEL, C1, bidi, the ends of lines, no character.
    const COMMANDS: &str = "\x1b\x7f\u{9b}\u{61c}\u{200e}\u{202e}\u{2066}\u{2028}\u{2029}\u{ffff}";

    #[test]
    fn json_stays_the_same_to_a_program_and_commands_no_terminal() {
        let value = vec![format!("a{COMMANDS}\"ä\nb"), String::new()];
        let mut out = EscapedJson(Vec::new());
        serde_json::to_writer_pretty(&mut out, &value).unwrap();
        let text = String::from_utf8(out.0).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && is_command(c)), "{text}");
        assert!(text.contains("\\u202e"), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), value);
    }

    #[test]
    fn a_text_keeps_its_lines_and_a_name_is_one_word_of_a_line() {
        let shown = printable(&format!("a\n\t{COMMANDS}")).into_owned();
        assert!(shown.starts_with("a\n\t\\u{1b}\\u{7f}\\u{9b}\\u{61c}"), "{shown}");
        assert!(!shown.chars().any(|c| !matches!(c, '\n' | '\t') && is_command(c)), "{shown}");
        let name = OsStr::from_bytes(b"a\n\xffb\xe2\x80\xae.ko");
        assert_eq!(name.shown().to_string(), "a\\n\\xffb\\u{202e}.ko");
        assert_eq!(Path::new("/lib/ä b.ko").shown().to_string(), "/lib/ä b.ko");
    }
}
