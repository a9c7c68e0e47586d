//! The CRCs a module was built with: `__versions`, and the extended tables for long names.

use serde::Serialize;

use super::{
    elf::{Elf, Section},
    error::Malformed,
    text::Text,
};

/// `sizeof(struct modversion_info)`: an `unsigned long` and a name, 64 bytes together
/// (`include/linux/module.h`).
const ENTRY_BYTES: usize = 64;

/// The table in which an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionTable {
    /// `__versions`.
    Basic,
    /// `__version_ext_crcs` and `__version_ext_names`, which the kernel prefers
    /// (`check_version()`, `kernel/module/version.c`).
    Extended,
}

/// The CRC that one symbol had when the module was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolVersion<'a> {
    /// The symbol.
    pub symbol: Text<'a>,
    /// Its CRC.
    pub crc: u32,
}

/// The version tables of a module.
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a> {
    elf: Elf<'a>,
    basic: Option<&'a [u8]>,
    extended: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Versions<'a> {
    /// Finds the tables and checks their sizes.
    ///
    /// # Errors
    /// A table that is not made of whole entries, a name without its NUL, or extended names and
    /// CRCs of different number (`elf_validity_cache_index_versions()`, `kernel/module/main.c`).
    pub fn parse(elf: &Elf<'a>) -> Result<Self, Malformed> {
        let basic = elf.section_named("__versions");
        let basic = basic.map(|section| check_basic(elf, &section)).transpose()?;
        let crcs = elf.section_named("__version_ext_crcs");
        let names = elf.section_named("__version_ext_names");
        let extended = match (crcs, names) {
            (Some(crcs), Some(names)) => Some(check_extended(elf, &crcs, &names)?),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                let expected = "__version_ext_crcs and __version_ext_names together";
                return Err(Malformed::new(one.offset, expected, format!("{} alone", one.name())));
            }
        };
        Ok(Self { elf: *elf, basic, extended })
    }

    /// No tables.
    pub(crate) fn none(elf: &Elf<'a>) -> Self {
        Self { elf: *elf, basic: None, extended: None }
    }

    /// `true` if the table is there: an empty one counts.
    pub fn has(&self, table: VersionTable) -> bool {
        match table {
            VersionTable::Basic => self.basic.is_some(),
            VersionTable::Extended => self.extended.is_some(),
        }
    }

    /// The entries of `__versions`, in order.
    pub fn basic(&self) -> impl Iterator<Item = SymbolVersion<'a>> {
        let (elf, entries) = (self.elf, self.basic.unwrap_or_default().chunks_exact(ENTRY_BYTES));
        let word_bytes = elf.class().word_bytes();
        entries.filter_map(move |entry| {
            let crc = elf.word_at(entry, 0)?;
            // modpost writes 32 bits into the long. The kernel compares all of it
            // (`check_version()`, `kernel/module/version.c`): one with more bits agrees with none.
            Some(SymbolVersion { symbol: Text::until_nul(&entry[word_bytes..]), crc: crc as u32 })
        })
    }

    /// The entries of the extended tables, in order.
    pub fn extended(&self) -> impl Iterator<Item = SymbolVersion<'a>> {
        let elf = self.elf;
        let (crcs, names) = self.extended.unwrap_or_default();
        let crcs = (0..crcs.len() / 4).filter_map(move |index| elf.u32_at(crcs, index * 4));
        let names = names.split(|&byte| byte == 0).map(Text);
        names.zip(crcs).map(|(symbol, crc)| SymbolVersion { symbol, crc })
    }

    /// The CRC that the kernel would compare for a symbol: from the extended table when there is
    /// one, else from `__versions`.
    pub fn index(&self) -> VersionIndex<'a> {
        let mut entries: Vec<SymbolVersion<'a>> = match self.extended {
            Some(_) => self.extended().collect(),
            None => self.basic().collect(),
        };
        // Stable: of two entries for one symbol the kernel takes the first.
        entries.sort_by_key(|version| version.symbol);
        VersionIndex { entries }
    }
}

/// The versions of a module by symbol.
#[derive(Clone, Debug)]
pub struct VersionIndex<'a> {
    entries: Vec<SymbolVersion<'a>>,
}

impl VersionIndex<'_> {
    /// The CRC of a symbol, if the tables name it.
    pub fn crc(&self, symbol: Text<'_>) -> Option<u32> {
        let at = self.entries.partition_point(|version| version.symbol < symbol);
        self.entries.get(at).filter(|version| version.symbol == symbol).map(|version| version.crc)
    }
}

fn check_basic<'a>(elf: &Elf<'a>, section: &Section<'_>) -> Result<&'a [u8], Malformed> {
    let bytes = elf.bytes_of(section);
    if bytes.len() % ENTRY_BYTES != 0 {
        return Err(Malformed::new(
            section.offset,
            format!("__versions of whole entries of {ENTRY_BYTES} bytes"),
            format!("{} bytes", bytes.len()),
        ));
    }
    let word_bytes = elf.class().word_bytes();
    let endless = bytes.chunks_exact(ENTRY_BYTES).position(|e| !e[word_bytes..].contains(&0));
    match endless {
        None => Ok(bytes),
        Some(index) => Err(Malformed::new(
            section.offset + (index * ENTRY_BYTES) as u64,
            "a symbol's name that ends in NUL",
            format!("{} bytes without one", ENTRY_BYTES - word_bytes),
        )),
    }
}

fn check_extended<'a>(
    elf: &Elf<'a>,
    crcs: &Section<'_>,
    names: &Section<'_>,
) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    let (crc_bytes, name_bytes) = (elf.bytes_of(crcs), elf.bytes_of(names));
    if crc_bytes.len() % 4 != 0 {
        let found = format!("{} bytes", crc_bytes.len());
        return Err(Malformed::new(crcs.offset, "__version_ext_crcs of whole 32-bit CRCs", found));
    }
    let count = name_bytes.iter().filter(|&&byte| byte == 0).count();
    if count < crc_bytes.len() / 4 {
        return Err(Malformed::new(
            names.offset,
            format!("{} names that end in NUL", crc_bytes.len() / 4),
            format!("{count}"),
        ));
    }
    Ok((crc_bytes, name_bytes))
}
