//! The type text behind a CRC: what gendwarfksyms hashed.
//!
//! `make KBUILD_SYMTYPES=1` leaves a `.symtypes` file beside each object. A line is a name and its
//! text: a symbol's own, or that of a type (`s#` structure, `u#` union, `e#` enum, `t#` typedef,
//! a name with blanks in quotes). A text names other types by reference; the CRC is that of the
//! text with each reference unfolded where it first occurs (`__calculate_version()`,
//! `scripts/gendwarfksyms/types.c` of 7.3), so it can be computed from the file alone.

use std::collections::{BTreeMap, HashSet};

use super::{
    line_error::LineError,
    symtype_diff,
    symtype_parser::{self, Piece},
};

/// The contents of one `.symtypes` file, or of several that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symtypes {
    texts: BTreeMap<String, String>,
}

/// References nest as C types do; real ones stay under a hundred deep.
const DEPTH_MAX: usize = 500;

impl Symtypes {
    /// Reads the text of a `.symtypes` file.
    ///
    /// # Errors
    /// The first line that has no text after its name.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let mut symtypes = Self::default();
        for (index, line) in text.lines().enumerate() {
            let refuse = |expected| {
                let found = format!("\"{}\"", line.chars().take(80).collect::<String>());
                LineError { line: index + 1, expected, found }
            };
            let name_end =
                symtype_parser::name_end(line).ok_or_else(|| refuse("a name and its end"))?;
            let (name, text) = line.split_at(name_end);
            let text = text.strip_prefix(' ').ok_or_else(|| refuse("a blank and a text"))?;
            symtypes.texts.insert(name.to_owned(), text.to_owned());
        }
        Ok(symtypes)
    }

    /// Adds the names of another file; of two texts for one name the longer stays, as within
    /// gendwarfksyms (`type_map_add()`).
    pub fn merge(&mut self, other: Self) {
        for (name, text) in other.texts {
            let known = self.texts.entry(name).or_default();
            if text.len() > known.len() {
                *known = text;
            }
        }
    }

    /// The text of a symbol or type.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The file's text: sorted by name, as gendwarfksyms writes it.
    pub fn to_text(&self) -> String {
        self.texts.iter().map(|(name, text)| format!("{name} {text}\n")).collect()
    }

    /// The texts of these symbols, and of every type that they lead to.
    #[must_use]
    pub fn restricted_to<'a>(&self, symbols: impl IntoIterator<Item = &'a str>) -> Self {
        let mut kept = Self::default();
        let mut open: Vec<String> = symbols.into_iter().map(str::to_owned).collect();
        while let Some(name) = open.pop() {
            let Some(text) = self.get(&name) else { continue };
            if kept.texts.insert(name, text.to_owned()).is_none() {
                open.extend(references(text).map(str::to_owned));
            }
        }
        kept
    }

    /// The CRC of a symbol; `None` when a type it leads to is not in the file.
    pub fn crc(&self, symbol: &str) -> Option<u32> {
        let mut hasher = crc32fast::Hasher::new();
        let mut unfolded = HashSet::new();
        self.hash(self.get(symbol)?, &mut unfolded, &mut hasher, 0)?;
        Some(hasher.finalize())
    }

    fn hash<'a>(
        &'a self,
        text: &'a str,
        unfolded: &mut HashSet<&'a str>,
        hasher: &mut crc32fast::Hasher,
        depth: usize,
    ) -> Option<()> {
        for piece in symtype_parser::pieces(text) {
            match piece {
                Piece::Reference(name) if unfolded.insert(name) => {
                    let inner = self.get(name).filter(|_| depth < DEPTH_MAX)?;
                    self.hash(inner, unfolded, hasher, depth + 1)?;
                }
                Piece::Reference(text) | Piece::Text(text) => hasher.update(text.as_bytes()),
            }
        }
        Some(())
    }

    /// Returns the changes of a symbol's type from this text to a newer one, in sentences: in its
    /// own text, or in that of each type it leads to.
    pub fn changes(&self, newer: &Self, symbol: &str) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut seen = HashSet::from([symbol.to_owned()]);
        let mut open = std::collections::VecDeque::from([symbol.to_owned()]);
        while let Some(name) = open.pop_front() {
            match (self.get(&name), newer.get(&name)) {
                (Some(old), Some(new)) => {
                    sentences.extend(symtype_diff::changes(&name, old, new));
                    let both = references(old).filter(|&name| newer.get(name).is_some());
                    let unseen = both.filter(|&name| seen.insert(name.to_owned()));
                    open.extend(unseen.map(str::to_owned));
                }
                (Some(_), None) => sentences.push(format!("{name} has no text any more")),
                (None, Some(_)) => sentences.push(format!("{name} had no text before")),
                (None, None) => {}
            }
        }
        sentences
    }
}

fn references(text: &str) -> impl Iterator<Item = &str> {
    symtype_parser::pieces(text).filter_map(|piece| match piece {
        Piece::Reference(name) => Some(name),
        Piece::Text(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by gendwarfksyms of 7.3.4 for a small C file; it printed these CRCs beside them.
    const OLD: &str = include_str!("../../tests/fixtures/types-old.symtypes");
    const NEW: &str = include_str!("../../tests/fixtures/types-new.symtypes");

    #[test]
    fn the_crc_is_the_one_that_gendwarfksyms_printed() {
        let (old, new) = (Symtypes::parse(OLD).unwrap(), Symtypes::parse(NEW).unwrap());
        for (symbol, old_crc, new_crc) in [
            ("provider_register", 0xe72a_bdda, 0xc7c8_67be),
            ("printy", 0xc06e_5c94, 0xc06e_5c94),
            ("table", 0xc994_00e2, 0xc80c_7e16),
            ("provider_add", 0x352e_983b, 0x599f_c585),
            ("none", 0xd272_d446, 0xd272_d446),
        ] {
            assert_eq!(old.crc(symbol), Some(old_crc), "{symbol}");
            assert_eq!(new.crc(symbol), Some(new_crc), "{symbol}");
        }
    }

    #[test]
    fn the_text_comes_back_byte_for_byte() {
        assert_eq!(Symtypes::parse(OLD).unwrap().to_text(), OLD);
    }

    #[test]
    fn a_change_is_told_in_sentences() {
        let (old, new) = (Symtypes::parse(OLD).unwrap(), Symtypes::parse(NEW).unwrap());
        assert_eq!(
            old.changes(&new, "provider_add"),
            [
                "the second parameter of provider_add, by, went from long int to int",
                "struct counter: its size went from 96 to 112 bytes",
                "struct counter: its member bits, a int, is gone",
                "struct counter: its member cb moved from byte 56 to byte 48",
                "struct counter: its member buf went from char[16] to char[32]",
                "struct counter: its member buf moved from byte 64 to byte 56",
                "struct counter: its member s moved from byte 80 to byte 88",
                "struct counter: its member b moved from byte 84 to byte 92",
                "struct counter: its member vf moved from byte 88 to byte 104",
                "struct counter: it has a new member added, a int",
                "enum color: GREEN went from 5 to 6",
                "enum color: it has a new value BLUE = 7",
                "struct inner: its member x went from int to long int",
            ]
        );
        assert_eq!(old.changes(&old, "provider_add"), [""; 0]);
        assert_eq!(old.changes(&new, "none"), [""; 0]);
    }

    #[test]
    fn a_blessed_text_keeps_what_its_symbols_lead_to() {
        let kept = Symtypes::parse(OLD).unwrap().restricted_to(["table"]);
        assert_eq!(kept.crc("table"), Some(0xc994_00e2));
        assert_eq!(kept.get("provider_add"), None);
    }

    #[test]
    fn types_that_name_each_other_end() {
        let loops = Symtypes::parse("f variable s#a\ns#a s#b\ns#b s#a\n").unwrap();
        assert!(loops.crc("f").is_some());
        assert_eq!(Symtypes::parse("f variable s#gone\n").unwrap().crc("f"), None);
        assert_eq!(Symtypes::parse("s#'a b\n").unwrap_err().line, 1);
    }
}
