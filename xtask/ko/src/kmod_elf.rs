//! A module as libkmod reads it, which asks for less than the kernel: depmod and modinfo take what
//! is there of a stripped, a damaged or a debug file (`libkmod/libkmod-elf.c` of kmod 34).

use std::ops::Range;

use object::elf::STB_WEAK;

use super::{
    elf::{Elf, Section, Symbol, name_in},
    error::Malformed,
    imports::Undefined,
    modinfo::Modinfo,
    text::Text,
};

/// `sizeof(struct kmod_modversion64)`.
const VERSION_BYTES: usize = 64;

/// A file whose header and section table libkmod takes.
#[derive(Clone, Debug)]
pub struct KmodElf<'a> {
    /// Its sections, of which some may lie outside the file.
    pub elf: Elf<'a>,
    places: [Option<Range<usize>>; 5],
}

/// The sections that libkmod knows, each by its name alone: the first that lies within the file.
#[derive(Clone, Copy)]
enum Known {
    KsymtabStrings,
    Modinfo,
    Strtab,
    Symtab,
    Versions,
}

const NAMES: [&str; 5] = ["__ksymtab_strings", ".modinfo", ".strtab", ".symtab", "__versions"];

impl<'a> KmodElf<'a> {
    /// Reads the header and the section table.
    ///
    /// # Errors
    /// The first thing that libkmod refuses (`kmod_elf_new()`).
    pub fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        let elf = Elf::parse_as_kmod(data)?;
        let mut places = [const { None }; 5];
        for section in elf.sections().skip(1) {
            let Some(place) = elf.place_of(&section).filter(|_| section.has_name()) else {
                continue;
            };
            let known = NAMES.iter().position(|name| section.is_named(name));
            if let Some(slot) = known.map(|known| &mut places[known]) {
                slot.get_or_insert(place);
            }
        }
        Ok(Self { elf, places })
    }

    /// Returns `true` if libkmod looks at a section.
    pub fn reads(section: &Section<'_>) -> bool {
        NAMES.iter().any(|name| section.is_named(name))
    }

    /// Returns the bytes of a section; `None` without it. One at the beginning of the file counts
    /// as none.
    fn bytes(&self, known: Known) -> Option<&'a [u8]> {
        let place = self.places[known as usize].clone().filter(|place| place.start != 0)?;
        self.elf.data().get(place)
    }

    /// The strings of `.modinfo`; `None` without that section, where modinfo says "No data
    /// available".
    pub fn modinfo(&self) -> Option<Modinfo<'a>> {
        Some(Modinfo::of_bytes(unpadded(self.bytes(Known::Modinfo)?)))
    }

    /// The symbols that depmod takes as exported: those that have a CRC, else all strings beside
    /// the export table, namespaces among them (`kmod_elf_get_symbols()`).
    pub fn exports(&self) -> Vec<Text<'a>> {
        let with_crcs = self.symbols_with_crcs().unwrap_or_default();
        if !with_crcs.is_empty() {
            return with_crcs;
        }
        let strings = unpadded(self.bytes(Known::KsymtabStrings).unwrap_or_default());
        if strings.last() != Some(&0) {
            return Vec::new();
        }
        Text(strings).pieces(0).collect()
    }

    /// The names after `__crc_` in the symbol table; none if it is damaged.
    fn symbols_with_crcs(&self) -> Option<Vec<Text<'a>>> {
        const PREFIX: &[u8] = b"__crc_";
        let strings = self.bytes(Known::Strtab)?;
        // A tree has millions of symbols, and a module without exports none of these.
        if strings.last() == Some(&0) && memchr::memmem::find(strings, PREFIX).is_none() {
            return None;
        }
        let mut names = Vec::new();
        for symbol in self.symbols()? {
            let name = self.name(symbol.name_at(), strings)?;
            names.extend(name.strip_prefix(PREFIX).map(Text));
        }
        Some(names)
    }

    fn symbols(&self) -> Option<impl Iterator<Item = Symbol> + use<'a>> {
        self.elf.symbol_records(self.bytes(Known::Symtab)?)
    }

    /// A name of the string table. One longer than any that is real counts as damage.
    fn name(&self, at: usize, strings: &[u8]) -> Option<&'a [u8]> {
        let place = self.places[Known::Strtab as usize].as_ref()?;
        // It ends at the next NUL of the file, be that in the table or not.
        let rest = (at < strings.len()).then(|| self.elf.data().get(place.start + at..))??;
        name_in(rest, 0).ok().map(Text::bytes)
    }

    /// The symbols that depmod takes as needed: the undefined ones, then those that only
    /// `__versions` names, such as `module_layout`. None if a part of either is damaged
    /// (`kmod_elf_get_dependency_symbols()`).
    pub fn needs(&self) -> Vec<Undefined<'a>> {
        self.needs_if_sound().unwrap_or_default()
    }

    fn needs_if_sound(&self) -> Option<Vec<Undefined<'a>>> {
        let strings = self.bytes(Known::Strtab)?;
        let mut needs = Vec::with_capacity(64);
        for symbol in self.symbols()?.filter(Symbol::is_undefined) {
            let name = Text(self.name(symbol.name_at(), strings)?);
            if !name.is_empty() {
                needs.push(Undefined { name, weak: symbol.bind == STB_WEAK.0 });
            }
        }
        let versions = self.bytes(Known::Versions).unwrap_or_default();
        if versions.is_empty() || versions.len() % VERSION_BYTES != 0 {
            return Some(needs);
        }
        let mut known: Vec<Text<'a>> = needs.iter().map(|need| need.name).collect();
        known.sort_unstable();
        for entry in versions.chunks_exact(VERSION_BYTES) {
            let field = &entry[self.elf.class().word_bytes()..];
            let name = Text::until_nul(field);
            if name.bytes().len() == field.len() {
                return None;
            }
            if !name.is_empty() && known.binary_search(&name).is_err() {
                needs.push(Undefined { name, weak: false });
            }
        }
        Some(needs)
    }
}

/// The bytes after the zeros at the beginning; a single one is none.
fn unpadded(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes.get(zeros..).filter(|rest| rest.len() > 1).unwrap_or_default()
}
