//! `.modinfo`: what a module says of itself, as `key=value` strings.

use serde::Serialize;

use super::{elf::Elf, text::Text};

/// One `key=value` string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ModinfoLine<'a> {
    /// The text before the first `=`, or all of it when there is none.
    pub key: Text<'a>,
    /// The text after it.
    pub value: Text<'a>,
}

/// The strings of a module's `.modinfo`, in their order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Modinfo<'a> {
    bytes: &'a [u8],
}

impl<'a> Modinfo<'a> {
    /// The `.modinfo` of a module; empty when it has none.
    pub fn parse(elf: &Elf<'a>) -> Self {
        Self { bytes: elf.bytes_named(".modinfo").unwrap_or_default() }
    }

    /// The same of the section's bytes.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Every string, in order. Padding between them is skipped and a last one without its NUL
    /// counts, as in `kmod_elf_get_modinfo_strings()` of libkmod and `next_string()` of
    /// `kernel/module/main.c`.
    pub fn lines(self) -> impl Iterator<Item = ModinfoLine<'a>> {
        Text(self.bytes).pieces(0).map(|line| match line.split_once(b'=') {
            Some((key, value)) => ModinfoLine { key, value },
            None => ModinfoLine { key: line, value: Text::default() },
        })
    }

    /// The values of a key, in order.
    pub fn all(self, key: &'static str) -> impl Iterator<Item = Text<'a>> {
        self.lines().filter(move |line| line.key == key).map(|line| line.value)
    }

    /// The first value of a key: the one that the kernel's `get_modinfo()` takes.
    pub fn get(self, key: &'static str) -> Option<Text<'a>> {
        self.all(key).next()
    }

    /// The items of a comma-separated value, such as `depends`.
    pub fn list(self, key: &'static str) -> impl Iterator<Item = Text<'a>> {
        self.all(key).flat_map(|value| value.pieces(b','))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_between_padding_are_read_in_order() {
        let modinfo = Modinfo { bytes: b"\0\0license=GPL\0\0a=1\0flag\0a=x=y" };
        let lines: Vec<_> = modinfo.lines().map(|l| (l.key.lossy(), l.value.lossy())).collect();
        let expected = [("license", "GPL"), ("a", "1"), ("flag", ""), ("a", "x=y")]
            .map(|(k, v)| (k.into(), v.into()));
        assert_eq!(lines, expected);
        assert_eq!(modinfo.get("a"), Some(Text(b"1")));
    }
}
