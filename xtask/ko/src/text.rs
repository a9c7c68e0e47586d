//! Text out of a module: bytes that are nearly always UTF-8, but need not be.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// A string of a module, borrowed from its bytes, without the NUL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// The text up to the first NUL, or all of `bytes` when there is none.
    pub fn until_nul(bytes: &'a [u8]) -> Self {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        Self(&bytes[..end])
    }

    /// The bytes as they are.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// `true` if there is nothing.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The text, with U+FFFD for what is not UTF-8.
    pub fn lossy(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }

    /// The text, with `\xff` for a byte that is not UTF-8.
    pub fn spelled(self) -> Cow<'a, str> {
        escaped(self.0, |_| false)
    }

    /// The text before and after the first `byte`.
    pub fn split_once(self, byte: u8) -> Option<(Self, Self)> {
        let at = self.0.iter().position(|&b| b == byte)?;
        Some((Self(&self.0[..at]), Self(&self.0[at + 1..])))
    }

    /// Returns the text after `prefix`, if the text begins with it.
    pub fn strip_prefix(self, prefix: &str) -> Option<Self> {
        self.0.strip_prefix(prefix.as_bytes()).map(Self)
    }

    /// The pieces between each `byte`, without the empty ones.
    pub fn pieces(self, byte: u8) -> impl Iterator<Item = Self> {
        self.0.split(move |&b| b == byte).filter(|piece| !piece.is_empty()).map(Self)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

/// The text, with `\xff` for a byte that is not UTF-8.
impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.spelled())
    }
}

/// For a reader of several lines: a character that commands a terminal, and a byte that is not
/// UTF-8, is an escape.
impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escaped(self.0, |c| is_command(c) && !matches!(c, '\n' | '\t')))
    }
}

/// A name in a line, such as a file's: an escape stands for a line's end and a tab as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a>(pub &'a [u8]);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escaped(self.0, is_command))
    }
}

/// Returns `true` for a character that does something to its reader: it commands a terminal, turns
/// the text around it (UAX #9), is not seen (the categories Cf, Zl and Zp of Unicode, and blanks
/// without ink), or is none at all, which no XML may hold.
pub fn is_command(c: char) -> bool {
    const UNSEEN: [(char, char); 26] = [
        ('\u{ad}', '\u{ad}'),
        ('\u{34f}', '\u{34f}'),
        ('\u{600}', '\u{605}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{6dd}', '\u{6dd}'),
        ('\u{70f}', '\u{70f}'),
        ('\u{890}', '\u{891}'),
        ('\u{8e2}', '\u{8e2}'),
        ('\u{115f}', '\u{1160}'),
        ('\u{17b4}', '\u{17b5}'),
        ('\u{180b}', '\u{180f}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{2028}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{3164}', '\u{3164}'),
        ('\u{fe00}', '\u{fe0f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{ffa0}', '\u{ffa0}'),
        ('\u{fff9}', '\u{fffb}'),
        ('\u{fffe}', '\u{ffff}'),
        ('\u{110bd}', '\u{110bd}'),
        ('\u{110cd}', '\u{110cd}'),
        ('\u{13430}', '\u{1343f}'),
        ('\u{1bca0}', '\u{1bca3}'),
        ('\u{1d173}', '\u{1d17a}'),
        ('\u{e0000}', '\u{e0fff}'),
    ];
    c.is_control()
        || c >= UNSEEN[0].0 && UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// A text of several lines without what would command its reader.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text.as_bytes(), |c| is_command(c) && !matches!(c, '\n' | '\t'))
}

fn escaped(bytes: &[u8], is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    let lines = !is_escaped('\n');
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) | (lines & (*byte == b'\n'));
    match std::str::from_utf8(bytes) {
        // Nearly all: looked at as bytes, many at a time.
        Ok(text) if bytes.iter().all(is_plain) => text.into(),
        Ok(text) if !text.contains(&is_escaped) => text.into(),
        _ => spelled(bytes, is_escaped).into(),
    }
}

/// The text with an escape for these characters and for each byte that is not UTF-8.
fn spelled(bytes: &[u8], is_escaped: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_escaped(c) { text.extend(c.escape_default()) } else { text.push(c) }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.lossy(), f)
    }
}

/// The name of a symbol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SymbolName<'a>(pub Text<'a>);

impl SymbolName<'_> {
    /// The path of a mangled Rust name as its source has it, without the hash; `None` for any
    /// other name, and for one that unfolds to more than `RUST_BYTES_MAX`.
    pub fn rust(&self) -> Option<String> {
        let name = std::str::from_utf8(self.0.bytes()).ok()?;
        let demangled = rustc_demangle::try_demangle(name).ok()?;
        let mut path = Limited(String::new());
        write!(path, "{demangled:#}").ok()?;
        Some(path.0)
    }
}

/// For a reader: a mangled Rust name as its source has it, any other as it is.
impl fmt::Display for SymbolName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rust() {
            Some(path) => f.pad(&path),
            None => Name(self.0.bytes()).fmt(f),
        }
    }
}

/// `symbol`, and for a mangled Rust name its path as `rust`.
impl Serialize for SymbolName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = serializer.serialize_struct("SymbolName", 2)?;
        form.serialize_field("symbol", &self.0)?;
        if let Some(path) = self.rust() {
            form.serialize_field("rust", &path)?;
        }
        form.end()
    }
}

/// A mangled name can repeat its own parts, and so unfold to far more than it is.
const RUST_BYTES_MAX: usize = 4096;

/// Text that refuses to grow past `RUST_BYTES_MAX`.
struct Limited(String);

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > RUST_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_a_terminal_are_shown() {
        assert_eq!(Text(b"a\x1b[2Jb\n").to_string(), "a\\u{1b}[2Jb\n");
        assert_eq!(Text(b"\xff").to_string(), "\\xff");
        assert_eq!(Text("\u{202e}a\u{2028}".as_bytes()).to_string(), "\\u{202e}a\\u{2028}");
        assert_eq!(Name(b"a\nb\tc\xc3").to_string(), "a\\nb\\tc\\xc3");
        let unseen = "a\u{feff}\u{200b}\u{ad}\u{e0041}\u{fe0f}";
        assert_eq!(printable(unseen), "a\\u{feff}\\u{200b}\\u{ad}\\u{e0041}\\u{fe0f}");
        assert_eq!(printable("\u{e4}\u{3a9}\u{65e5}\u{1f600}"), "\u{e4}\u{3a9}\u{65e5}\u{1f600}");
    }

    #[test]
    fn a_rust_name_is_read() {
        let name = SymbolName(Text(b"_RNvNtCs1234_7mycrate3foo3bar"));
        assert_eq!(name.rust().as_deref(), Some("mycrate::foo::bar"));
        assert_eq!(name.to_string(), "mycrate::foo::bar");
        assert_eq!(SymbolName(Text(b"printk")).rust(), None);
        assert_eq!(SymbolName(Text(b"printk")).to_string(), "printk");
    }
}
