//! The ELF of a module: its sections, symbols and relocations, of either class and byte order.
//!
//! `object` knows the layouts; this file checks what a module needs (as the kernel's
//! `elf_validity_cache_*()` of `kernel/module/main.c` do) and then reads without copying.
//!
//! It is long because sections, symbols and relocations are read with one set of bounds, for two
//! classes and two byte orders.

use std::ops::Range;

use object::{
    Endian as _, Endianness, Pod,
    elf::{
        self, ET_REL, FileHeader32, FileHeader64, SHN_UNDEF, SHT_NOBITS, SHT_NULL, SHT_REL,
        SHT_RELA, SHT_STRTAB, SHT_SYMTAB, SectionHeader32, SectionHeader64, Sym32, Sym64,
    },
    read::elf::{FileHeader, SectionHeader, Sym},
};

use super::{error::Malformed, text::Text};

/// Longer names than this are refused: kallsyms takes 511 bytes (`KSYM_NAME_LEN`), and a file
/// whose every symbol is named by the same megabyte would otherwise cost the square of its size.
const NAME_BYTES_MAX: usize = 4096;

/// 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `ELFCLASS32`.
    Bits32,
    /// `ELFCLASS64`.
    Bits64,
}

impl Class {
    /// The size of a C `unsigned long`.
    pub fn word_bytes(self) -> usize {
        self.pick(4, 8)
    }

    /// The size of the file header.
    fn header_bytes(self) -> usize {
        self.pick(size_of::<FileHeader32<Endianness>>(), size_of::<FileHeader64<Endianness>>())
    }

    /// The size of a section header.
    fn section_bytes(self) -> usize {
        self.pick(
            size_of::<SectionHeader32<Endianness>>(),
            size_of::<SectionHeader64<Endianness>>(),
        )
    }

    /// The size of a symbol.
    fn symbol_bytes(self) -> usize {
        self.pick(size_of::<Sym32<Endianness>>(), size_of::<Sym64<Endianness>>())
    }

    fn pick(self, of_32: usize, of_64: usize) -> usize {
        match self {
            Self::Bits32 => of_32,
            Self::Bits64 => of_64,
        }
    }
}

/// The fields of the file header that matter here.
struct Header {
    class: Class,
    endian: Endianness,
    kind: u16,
    machine: u16,
    /// Where the section table begins.
    table_offset: u64,
    /// The size of each of its entries.
    entry_bytes: usize,
    /// The number of its entries.
    count: usize,
    /// The section with the names of all.
    names_index: u16,
}

impl Header {
    fn parse(data: &[u8]) -> Result<Self, Malformed> {
        if !data.starts_with(&elf::ELFMAG) {
            let found = data.get(..4).unwrap_or(data).escape_ascii();
            return Err(Malformed::new(0, "an ELF file (\\x7fELF)", format!("\"{found}\"")));
        }
        match data.get(4).map(|&class| elf::FileClass(class)) {
            Some(elf::ELFCLASS32) | None => Self::read::<FileHeader32<_>>(data, Class::Bits32),
            Some(elf::ELFCLASS64) => Self::read::<FileHeader64<_>>(data, Class::Bits64),
            Some(class) => Err(Malformed::new(4, "ELF class 1 or 2", class.0.to_string())),
        }
    }

    fn read<H>(data: &[u8], class: Class) -> Result<Self, Malformed>
    where
        H: FileHeader<Endian = Endianness>,
    {
        let (header, _) = object::from_bytes::<H>(data).map_err(|()| {
            let expected = format!("an ELF header of {} bytes", size_of::<H>());
            Malformed::new(0, expected, data.len().to_string())
        })?;
        let endian = match header.e_ident().data {
            elf::ELFDATA2LSB => Endianness::Little,
            elf::ELFDATA2MSB => Endianness::Big,
            other => return Err(Malformed::new(5, "byte order 1 or 2", other.0.to_string())),
        };
        Ok(Self {
            class,
            endian,
            kind: header.e_type(endian).0,
            machine: header.e_machine(endian).0,
            table_offset: header.e_shoff(endian).into(),
            entry_bytes: header.e_shentsize(endian).into(),
            count: header.e_shnum(endian).into(),
            names_index: header.e_shstrndx(endian).0,
        })
    }

    /// Where the section table lies; `None` when a file of this size does not have all of it.
    fn table_range(&self, file_bytes: usize) -> Option<Range<usize>> {
        let start = usize::try_from(self.table_offset).ok()?;
        let end = start.checked_add(self.entry_bytes.checked_mul(self.count)?)?;
        (end <= file_bytes).then_some(start..end)
    }
}

/// A relocatable object file whose section table is sound.
#[derive(Clone, Copy, Debug)]
pub struct Elf<'a> {
    data: &'a [u8],
    class: Class,
    endian: Endianness,
    machine: u16,
    table_offset: u64,
    /// The section headers, as they stand in the file.
    table: &'a [u8],
    /// The names of the sections, ending in NUL.
    names: &'a [u8],
}

/// One section header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its index in the table.
    pub index: u32,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_offset`: where in the file.
    pub offset: u64,
    /// `sh_size`.
    pub size: u64,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    name_offset: u32,
    names: &'a [u8],
}

impl<'a> Section<'a> {
    /// The section's name.
    pub fn name(&self) -> Text<'a> {
        Text::until_nul(self.name_and_rest())
    }

    /// `true` if it is called so. Costs no more than the length of `name`, whatever the file says.
    pub fn is_named(&self, name: &str) -> bool {
        let rest = self.name_and_rest();
        // The end is compared first: it alone tells most names apart, and a tree has a million.
        rest.get(name.len()) == Some(&0) && rest.starts_with(name.as_bytes())
    }

    fn name_and_rest(&self) -> &'a [u8] {
        self.names.get(self.name_offset as usize..).unwrap_or_default()
    }

    /// Returns `true` if its name lies within the names of all.
    pub(crate) fn has_name(&self) -> bool {
        (self.name_offset as usize) < self.names.len()
    }

    /// `true` if it has bytes in the file; the offset and size of one without mean nothing.
    fn has_bytes(&self) -> bool {
        ![SHT_NULL.0, SHT_NOBITS.0].contains(&self.kind)
    }
}

/// One symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// `st_value`.
    pub value: u64,
    /// `STB_LOCAL`, `STB_GLOBAL`, `STB_WEAK`, …
    pub bind: u8,
    /// `STT_FUNC`, `STT_OBJECT`, …
    pub kind: u8,
    /// `st_shndx`, with the kernel's own view: no extended indices.
    pub section: u16,
    name_offset: u32,
}

impl Symbol {
    /// `st_name`: where its name is in the string table.
    pub(crate) fn name_at(&self) -> usize {
        self.name_offset as usize
    }

    /// `true` if the module expects others to define it.
    pub fn is_undefined(&self) -> bool {
        self.section == SHN_UNDEF.0
    }
}

/// The symbol table of a module.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    class: Class,
    endian: Endianness,
    bytes: &'a [u8],
    strings: &'a [u8],
    strings_offset: u64,
}

impl<'a> Symbols<'a> {
    /// The symbol at an index.
    pub fn get(&self, index: usize) -> Option<Symbol> {
        match self.class {
            Class::Bits32 => self.read(record::<Sym32<_>>(self.bytes, index)?),
            Class::Bits64 => self.read(record::<Sym64<_>>(self.bytes, index)?),
        }
    }

    fn read<S: Sym<Endian = Endianness>>(&self, sym: &S) -> Option<Symbol> {
        Some(Symbol {
            value: sym.st_value(self.endian).into(),
            bind: sym.st_bind().0,
            kind: sym.st_type().0,
            section: sym.st_shndx(self.endian).0,
            name_offset: sym.st_name(self.endian),
        })
    }

    /// Every symbol after the empty one at index 0.
    pub fn iter(self) -> impl Iterator<Item = Symbol> + use<'a> {
        (1..).map_while(move |index| self.get(index))
    }

    /// The name of a symbol.
    ///
    /// # Errors
    /// A name outside the string table, unterminated, or longer than it may be.
    pub fn name(&self, symbol: &Symbol) -> Result<Text<'a>, Malformed> {
        let offset = symbol.name_offset;
        let rest = self.strings.get(offset as usize..).ok_or_else(|| {
            let expected =
                format!("symbol names within the string table of {} bytes", self.strings.len());
            Malformed::new(self.strings_offset, expected, format!("a name at {offset} of it"))
        })?;
        name_in(rest, self.strings_offset.saturating_add(offset.into()))
    }
}

/// The text before the first NUL of `rest`, which stands at `place` in the file.
pub(crate) fn name_in(rest: &[u8], place: u64) -> Result<Text<'_>, Malformed> {
    let window = &rest[..rest.len().min(NAME_BYTES_MAX + 1)];
    match std::ffi::CStr::from_bytes_until_nul(window) {
        Ok(name) => Ok(Text(name.to_bytes())),
        Err(_) => Err(Malformed::new(
            place,
            format!("a name of at most {NAME_BYTES_MAX} bytes and its NUL"),
            format!("{} bytes without one", window.len()),
        )),
    }
}

fn record<T: Pod>(bytes: &[u8], index: usize) -> Option<&T> {
    let start = index.checked_mul(size_of::<T>())?;
    object::from_bytes(bytes.get(start..)?).ok().map(|(record, _)| record)
}

/// One relocation: what the kernel adds where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where in the section that is relocated.
    pub offset: u64,
    /// The index of the symbol.
    pub symbol: u32,
    /// The addend; `None` for a REL entry, whose addend stands at the place itself.
    pub addend: Option<i64>,
}

/// A table of relocations.
#[derive(Clone, Copy, Debug)]
pub struct Relocations<'a> {
    elf: Elf<'a>,
    bytes: &'a [u8],
    /// `true` if it is of RELA entries.
    has_addends: bool,
}

impl Relocations<'_> {
    /// The relocation at an index: two words, or three with an addend (`Elf64_Rela` and its kin).
    pub fn get(&self, index: usize) -> Option<Relocation> {
        let (words, word_bytes) =
            (if self.has_addends { 3 } else { 2 }, self.elf.class.word_bytes());
        let start = index.checked_mul(words * word_bytes)?;
        let entry = self.bytes.get(start..)?.get(..words * word_bytes)?;
        let info = self.elf.word_at(entry, word_bytes)?;
        Some(Relocation {
            offset: self.elf.word_at(entry, 0)?,
            // MIPS64 lays the two halves out otherwise; Debian builds Rust for none.
            symbol: match self.elf.class {
                Class::Bits32 => (info >> 8) as u32,
                Class::Bits64 => (info >> 32) as u32,
            },
            addend: self.elf.word_at(entry, 2 * word_bytes).map(|word| match self.elf.class {
                Class::Bits32 => i64::from(word as i32),
                Class::Bits64 => word as i64,
            }),
        })
    }

    /// Every relocation, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = Relocation> {
        (0..).map_while(|index| self.get(index))
    }
}

impl<'a> Elf<'a> {
    /// Where the section table lies, by the file header alone: enough of a file is then known to
    /// read the table, [`Elf::names_range`], and after those the sections that are wanted.
    pub fn table_range(data: &[u8]) -> Option<Range<usize>> {
        Header::parse(data).ok()?.table_range(data.len())
    }

    /// Where the names of the sections lie, by the file header and the section table.
    pub fn names_range(data: &[u8]) -> Option<Range<usize>> {
        let header = Header::parse(data).ok()?;
        let elf = Elf::with_table(data, &header).ok()?;
        Some(elf.range_of(&elf.section(header.names_index.into())?))
    }

    /// Where in the file a section lies; nowhere, for one without bytes in it.
    pub fn range_of(&self, section: &Section<'_>) -> Range<usize> {
        let start = usize::try_from(section.offset).unwrap_or(usize::MAX);
        start..start.saturating_add(self.bytes_of(section).len())
    }

    /// Reads the header and the section table, and checks both against the file.
    ///
    /// # Errors
    /// The first thing that does not hold, in the kernel's order.
    pub fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        let header = Header::parse(data)?;
        let mut elf = Self::with_table(data, &header)?;
        elf.check_bounds()?;
        elf.names = elf.find_names(header.names_index)?;
        elf.check_names()?;
        Ok(elf)
    }

    /// Reads the header and the section table as libkmod does, which asks neither for a relocatable
    /// file nor that each section lies within it (`kmod_elf_new()`, `libkmod/libkmod-elf.c`).
    ///
    /// # Errors
    /// The first thing that it refuses.
    pub(crate) fn parse_as_kmod(data: &'a [u8]) -> Result<Self, Malformed> {
        let header = Header { kind: ET_REL.0, ..Header::parse(data)? };
        let mut elf = Self::with_table(data, &header)?;
        let index = u32::from(header.names_index);
        let names = elf.section(index);
        let place = names.and_then(|section| elf.place_of(&section));
        elf.names = place.and_then(|place| data.get(place)).unwrap_or_default();
        let own_name = names.map_or(usize::MAX, |section| section.name_offset as usize);
        if elf.names.last() != Some(&0) || own_name >= elf.names.len() {
            let found = format!("section {index}");
            return Err(Malformed::new(0, "section names that end in NUL", found));
        }
        Ok(elf)
    }

    /// Where a section lies by its header, whatever its type; `None` outside the file.
    pub(crate) fn place_of(&self, section: &Section<'_>) -> Option<Range<usize>> {
        let start = usize::try_from(section.offset).ok()?;
        let end = start.checked_add(usize::try_from(section.size).ok()?)?;
        (end <= self.data.len()).then_some(start..end)
    }

    /// The symbols of a table but the first; `None` if it is not made of whole records.
    pub(crate) fn symbol_records(
        &self,
        bytes: &'a [u8],
    ) -> Option<impl Iterator<Item = Symbol> + use<'a>> {
        let Self { class, endian, .. } = *self;
        let table = Symbols { class, endian, bytes, strings: &[], strings_offset: 0 };
        (bytes.len() % class.symbol_bytes() == 0).then(|| table.iter())
    }

    fn with_table(data: &'a [u8], header: &Header) -> Result<Self, Malformed> {
        let Header { class, endian, machine, table_offset, entry_bytes, count, .. } = *header;
        if header.kind != ET_REL.0 {
            let found = format!("type {}", header.kind);
            return Err(Malformed::new(16, "a relocatable file (type 1), as a module is", found));
        }
        let own_bytes = class.section_bytes();
        if entry_bytes != own_bytes {
            let expected = format!("section headers of {own_bytes} bytes");
            // `e_shentsize` is followed by `e_shnum` and `e_shstrndx`, which end the header.
            let place = class.header_bytes() as u64 - 6;
            return Err(Malformed::new(place, expected, entry_bytes.to_string()));
        }
        if count == 0 {
            return Err(Malformed::new(table_offset, "a table of section headers", "none"));
        }
        let table = header.table_range(data.len()).and_then(|range| data.get(range));
        let table = table.ok_or_else(|| {
            let expected = format!("a table of {count} section headers of {own_bytes} bytes");
            Malformed::new(table_offset, expected, format!("a file of {} bytes", data.len()))
        })?;
        Ok(Self { data, class, endian, machine, table_offset, table, names: &[] })
    }

    fn check_bounds(&self) -> Result<(), Malformed> {
        let is_outside = |section: &Section<'_>| {
            let end = section.offset.checked_add(section.size);
            section.has_bytes() && end.is_none_or(|end| end > self.data.len() as u64)
        };
        match self.sections().find(is_outside) {
            None => Ok(()),
            Some(section) => Err(Malformed::new(
                self.header_at(section.index),
                format!("section {} within {} bytes", section.index, self.data.len()),
                format!("{} bytes at {}", section.size, section.offset),
            )),
        }
    }

    fn find_names(&self, index: u16) -> Result<&'a [u8], Malformed> {
        let section = self
            .section(u32::from(index))
            .filter(|section| section.kind == SHT_STRTAB.0)
            .ok_or_else(|| {
                // `e_shstrndx` ends the header.
                let place = self.class.header_bytes() as u64 - 2;
                Malformed::new(place, "the index of a string table", index.to_string())
            })?;
        let names = self.bytes_of(&section);
        match names.last() {
            Some(0) => Ok(names),
            last => Err(Malformed::new(
                section.offset + section.size.saturating_sub(1),
                "section names that end in NUL",
                last.map_or("none".into(), |byte| format!("{byte:#04x}")),
            )),
        }
    }

    fn check_names(&self) -> Result<(), Malformed> {
        let size = self.names.len();
        match self.sections().find(|section| section.name_offset as usize >= size) {
            None => Ok(()),
            Some(section) => Err(Malformed::new(
                self.header_at(section.index),
                format!("a section name within {size} bytes"),
                format!("a name at {}", section.name_offset),
            )),
        }
    }

    /// Where in the file the header of a section stands.
    fn header_at(&self, index: u32) -> u64 {
        self.table_offset + u64::from(index) * self.class.section_bytes() as u64
    }

    /// All bytes of the file, with what may follow the ELF.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// 32 or 64 bits.
    pub fn class(&self) -> Class {
        self.class
    }

    /// `e_machine`.
    pub fn machine(&self) -> u16 {
        self.machine
    }

    /// The section at an index.
    pub fn section(&self, index: u32) -> Option<Section<'a>> {
        match self.class {
            Class::Bits32 => self.section_from::<SectionHeader32<_>>(index),
            Class::Bits64 => self.section_from::<SectionHeader64<_>>(index),
        }
    }

    fn section_from<H>(&self, index: u32) -> Option<Section<'a>>
    where
        H: SectionHeader<Endian = Endianness>,
    {
        let (header, endian) = (record::<H>(self.table, index as usize)?, self.endian);
        Some(Section {
            index,
            kind: header.sh_type(endian).0,
            offset: header.sh_offset(endian).into(),
            size: header.sh_size(endian).into(),
            link: header.sh_link(endian),
            info: header.sh_info(endian),
            name_offset: header.sh_name(endian),
            names: self.names,
        })
    }

    /// Every section, in the order of the table.
    pub fn sections(&self) -> impl Iterator<Item = Section<'a>> {
        let elf = *self;
        (0..).map_while(move |index| elf.section(index))
    }

    /// The first section of this name.
    pub fn section_named(&self, name: &str) -> Option<Section<'a>> {
        self.sections().find(|section| section.is_named(name))
    }

    /// Returns the bytes of a section; empty for one without bytes in the file.
    pub fn bytes_of(&self, section: &Section<'_>) -> &'a [u8] {
        if !section.has_bytes() {
            return &[];
        }
        let start = usize::try_from(section.offset).unwrap_or(usize::MAX);
        let size = usize::try_from(section.size).unwrap_or(usize::MAX);
        let end = start.saturating_add(size);
        // In bounds for every section of this file: `check_bounds()` has seen them all.
        self.data.get(start..end).unwrap_or_default()
    }

    /// Returns the bytes of the first section of this name.
    pub fn bytes_named(&self, name: &str) -> Option<&'a [u8]> {
        self.section_named(name).map(|section| self.bytes_of(&section))
    }

    /// The symbol table, with its strings; `None` in a stripped file.
    ///
    /// # Errors
    /// A table whose strings are missing or whose size is not a whole number of records.
    pub fn symbols(&self) -> Result<Option<Symbols<'a>>, Malformed> {
        let Some(table) = self.sections().find(|section| section.kind == SHT_SYMTAB.0) else {
            return Ok(None);
        };
        let bytes = self.bytes_of(&table);
        if bytes.len() % self.class.symbol_bytes() != 0 {
            let found = format!("{} bytes", bytes.len());
            return Err(Malformed::new(table.offset, "a symbol table of whole records", found));
        }
        let strings = self
            .section(table.link)
            .filter(|section| section.kind == SHT_STRTAB.0)
            .ok_or_else(|| {
                let expected = "the index of the symbols' string table (sh_link)";
                Malformed::new(self.header_at(table.index), expected, table.link.to_string())
            })?;
        Ok(Some(Symbols {
            class: self.class,
            endian: self.endian,
            bytes,
            strings: self.bytes_of(&strings),
            strings_offset: strings.offset,
        }))
    }

    /// The relocations of a section, if it has any.
    pub fn relocations(&self, section: &Section<'_>) -> Option<Relocations<'a>> {
        let table = self.sections().find(|table| {
            [SHT_REL.0, SHT_RELA.0].contains(&table.kind) && table.info == section.index
        })?;
        Some(Relocations {
            elf: *self,
            bytes: self.bytes_of(&table),
            has_addends: table.kind == SHT_RELA.0,
        })
    }

    /// A 32-bit number of a section, in the file's byte order.
    pub fn u32_at(&self, bytes: &[u8], offset: usize) -> Option<u32> {
        let raw = bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?;
        Some(self.endian.read_u32(raw))
    }

    /// A C `unsigned long` of a section.
    pub fn word_at(&self, bytes: &[u8], offset: usize) -> Option<u64> {
        if self.class == Class::Bits32 {
            return self.u32_at(bytes, offset).map(u64::from);
        }
        let raw = bytes.get(offset..offset.checked_add(8)?)?.try_into().ok()?;
        Some(self.endian.read_u64(raw))
    }
}
