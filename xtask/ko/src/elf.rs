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
        self, ET_REL, FileHeader32, FileHeader64, Rel32, Rel64, Rela32, Rela64, SHF_ALLOC,
        SHN_UNDEF, SHT_NOBITS, SHT_NULL, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB,
        SectionHeader32, SectionHeader64, Sym32, Sym64,
    },
    read::elf::{Rel, Rela},
    slice_from_all_bytes, slice_from_bytes,
};

use super::{error::Malformed, text::Text};

/// Longer names than this are refused: kallsyms takes 511 bytes (`KSYM_NAME_LEN`), and a file
/// whose every symbol is named by the same megabyte would otherwise cost the square of its size.
pub const NAME_BYTES_MAX: usize = 4096;

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
        match self {
            Self::Bits32 => 4,
            Self::Bits64 => 8,
        }
    }
}

/// The section headers, as they stand in the file.
#[derive(Clone, Copy, Debug)]
enum Headers<'a> {
    Bits32(&'a [SectionHeader32<Endianness>]),
    Bits64(&'a [SectionHeader64<Endianness>]),
}

/// A relocatable object file whose section table is sound.
#[derive(Clone, Copy, Debug)]
pub struct Elf<'a> {
    data: &'a [u8],
    endian: Endianness,
    machine: u16,
    headers_offset: u64,
    headers: Headers<'a>,
    /// The names of the sections, ending in NUL.
    names: &'a [u8],
    /// How much of the file the ELF takes: a signature may follow.
    end: u64,
}

/// One section header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its index in the table.
    pub index: u32,
    /// Where its name begins among the names of the sections.
    pub name_offset: u32,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// `sh_offset`: where in the file.
    pub offset: u64,
    /// `sh_size`.
    pub size: u64,
    /// `sh_link`.
    pub link: u32,
    /// `sh_info`.
    pub info: u32,
    /// `sh_addralign`.
    pub align: u64,
    names: &'a [u8],
}

impl<'a> Section<'a> {
    /// The section's name.
    pub fn name(&self) -> Text<'a> {
        let rest = self.names.get(self.name_offset as usize..).unwrap_or_default();
        Text::until_nul(rest)
    }

    /// Whether it is called so. Costs no more than the length of `name`, whatever the file says.
    pub fn is_named(&self, name: &str) -> bool {
        let rest = self.names.get(self.name_offset as usize..).unwrap_or_default();
        // The end is compared first: it alone tells most names apart, and a tree has a million.
        rest.get(name.len()) == Some(&0) && rest.starts_with(name.as_bytes())
    }

    /// `SHF_ALLOC`: the kernel keeps it in memory.
    pub fn is_alloc(&self) -> bool {
        self.flags & SHF_ALLOC.0 != 0
    }
}

/// One symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its index in the table.
    pub index: usize,
    /// Where its name begins among the names of the symbols.
    pub name_offset: u32,
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
    /// `STB_LOCAL`, `STB_GLOBAL`, `STB_WEAK`, …
    pub bind: u8,
    /// `STT_FUNC`, `STT_OBJECT`, …
    pub kind: u8,
    /// `st_shndx`, with the kernel's own view: no extended indices.
    pub section: u16,
    table: Symbols<'a>,
}

impl<'a> Symbol<'a> {
    /// The symbol's name.
    ///
    /// # Errors
    /// A name outside the string table, unterminated, or longer than [`NAME_BYTES_MAX`].
    pub fn name(&self) -> Result<Text<'a>, Malformed> {
        self.table.name_at(u64::from(self.name_offset))
    }

    /// Whether the module expects others to define it.
    pub fn is_undefined(&self) -> bool {
        self.section == SHN_UNDEF.0
    }
}

/// The records of the symbol table, as they stand in the file.
#[derive(Clone, Copy, Debug)]
enum SymbolRecords<'a> {
    Bits32(&'a [Sym32<Endianness>]),
    Bits64(&'a [Sym64<Endianness>]),
}

/// The symbol table of a module.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    endian: Endianness,
    records: SymbolRecords<'a>,
    strings: &'a [u8],
    strings_offset: u64,
}

impl<'a> Symbols<'a> {
    /// How many there are, with the empty one at index 0.
    pub fn len(&self) -> usize {
        match self.records {
            SymbolRecords::Bits32(records) => records.len(),
            SymbolRecords::Bits64(records) => records.len(),
        }
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The symbol at an index.
    pub fn get(&self, index: usize) -> Option<Symbol<'a>> {
        match self.records {
            SymbolRecords::Bits32(records) => self.symbol(index, records.get(index)?),
            SymbolRecords::Bits64(records) => self.symbol(index, records.get(index)?),
        }
    }

    fn symbol<S>(&self, index: usize, sym: &S) -> Option<Symbol<'a>>
    where
        S: object::read::elf::Sym<Endian = Endianness>,
    {
        Some(Symbol {
            index,
            name_offset: sym.st_name(self.endian),
            value: sym.st_value(self.endian).into(),
            size: sym.st_size(self.endian).into(),
            bind: sym.st_bind().0,
            kind: sym.st_type().0,
            section: sym.st_shndx(self.endian).0,
            table: *self,
        })
    }

    /// Every symbol after the empty one at index 0.
    pub fn iter(self) -> impl Iterator<Item = Symbol<'a>> {
        (1..self.len()).filter_map(move |index| self.get(index))
    }

    fn name_at(&self, offset: u64) -> Result<Text<'a>, Malformed> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let place = self.strings_offset.saturating_add(offset);
        let Some(rest) = self.strings.get(start..) else {
            let size = self.strings.len();
            return Err(Malformed::new(
                self.strings_offset,
                format!("symbol names within the string table of {size} bytes"),
                format!("a name at {offset} of it"),
            ));
        };
        name_in(rest, place)
    }
}

/// The text before the first NUL of `rest`, which stands at `place` in the file.
fn name_in(rest: &[u8], place: u64) -> Result<Text<'_>, Malformed> {
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
    /// The machine's relocation type.
    pub kind: u32,
    /// The addend; `None` for a REL entry, whose addend stands at the place itself.
    pub addend: Option<i64>,
}

/// A table of relocations.
#[derive(Clone, Copy, Debug)]
pub struct Relocations<'a> {
    endian: Endianness,
    class: Class,
    with_addend: bool,
    bytes: &'a [u8],
}

impl Relocations<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.entry_bytes()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entry_bytes(&self) -> usize {
        match (self.class, self.with_addend) {
            (Class::Bits32, false) => size_of::<Rel32<Endianness>>(),
            (Class::Bits32, true) => size_of::<Rela32<Endianness>>(),
            (Class::Bits64, false) => size_of::<Rel64<Endianness>>(),
            (Class::Bits64, true) => size_of::<Rela64<Endianness>>(),
        }
    }

    /// The relocation at an index.
    pub fn get(&self, index: usize) -> Option<Relocation> {
        match (self.class, self.with_addend) {
            (Class::Bits32, false) => self.rel::<Rel32<Endianness>>(index),
            (Class::Bits32, true) => self.rela::<Rela32<Endianness>>(index),
            (Class::Bits64, false) => self.rel::<Rel64<Endianness>>(index),
            (Class::Bits64, true) => self.rela::<Rela64<Endianness>>(index),
        }
    }

    fn rel<R: Rel<Endian = Endianness>>(&self, index: usize) -> Option<Relocation> {
        let (e, rel) = (self.endian, record::<R>(self.bytes, index)?);
        let (offset, symbol, kind) = (rel.r_offset(e).into(), rel.r_sym(e), rel.r_type(e).0);
        Some(Relocation { offset, symbol, kind, addend: None })
    }

    fn rela<R: Rela<Endian = Endianness>>(&self, index: usize) -> Option<Relocation> {
        let (e, rela) = (self.endian, record::<R>(self.bytes, index)?);
        Some(Relocation {
            offset: rela.r_offset(e).into(),
            // MIPS64 lays the two halves out otherwise; Debian builds Rust for none.
            symbol: rela.r_sym(e, false),
            kind: rela.r_type(e, false).0,
            addend: Some(rela.r_addend(e).into()),
        })
    }

    /// Every relocation, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = Relocation> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Elf<'a> {
    /// Where the section table of a file of this size lies, and, counted in its entries, the names
    /// of the sections: enough to know which parts of the file to read.
    pub fn table_of(header: &[u8], file_bytes: usize) -> Option<(Range<usize>, usize)> {
        let (offset, entry_bytes, count, names) = match elf::FileClass(*header.get(4)?) {
            elf::ELFCLASS32 => table_fields::<FileHeader32<Endianness>>(header)?,
            elf::ELFCLASS64 => table_fields::<FileHeader64<Endianness>>(header)?,
            _ => return None,
        };
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(entry_bytes.checked_mul(count)?)?;
        (end <= file_bytes).then_some((start..end, names))
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
        if !data.starts_with(&elf::ELFMAG) {
            let found = data.get(..4).unwrap_or(data).escape_ascii();
            return Err(Malformed::new(0, "an ELF file (\\x7fELF)", format!("\"{found}\"")));
        }
        match data.get(4).map(|&class| elf::FileClass(class)) {
            Some(elf::ELFCLASS32) => Self::parse_as::<FileHeader32<Endianness>>(data),
            Some(elf::ELFCLASS64) => Self::parse_as::<FileHeader64<Endianness>>(data),
            Some(class) => Err(Malformed::new(4, "ELF class 1 or 2", class.0.to_string())),
            None => Err(short(data, size_of::<FileHeader32<Endianness>>())),
        }
    }

    fn parse_as<H: Layout>(data: &'a [u8]) -> Result<Self, Malformed> {
        let (header, _) =
            object::from_bytes::<H>(data).map_err(|()| short(data, size_of::<H>()))?;
        let endian = match header.e_ident().data {
            elf::ELFDATA2LSB => Endianness::Little,
            elf::ELFDATA2MSB => Endianness::Big,
            other => return Err(Malformed::new(5, "byte order 1 or 2", other.0.to_string())),
        };
        let kind = header.e_type(endian);
        if kind != ET_REL {
            let found = format!("type {}", kind.0);
            return Err(Malformed::new(16, "a relocatable file (type 1), as a module is", found));
        }
        let entry_bytes = usize::from(header.e_shentsize(endian));
        if entry_bytes != size_of::<H::SectionHeader>() {
            let expected = format!("section headers of {} bytes", size_of::<H::SectionHeader>());
            return Err(Malformed::new(H::SHENTSIZE_AT, expected, format!("{entry_bytes}")));
        }
        let headers_offset = header.e_shoff(endian).into();
        let count = usize::from(header.e_shnum(endian));
        let headers = section_table::<H>(data, headers_offset, count)?;
        let mut elf = Self {
            data,
            endian,
            machine: header.e_machine(endian).0,
            headers_offset,
            headers: H::wrap(headers),
            names: &[],
            end: headers_offset + (count * entry_bytes) as u64,
        };
        elf.end = elf.check_bounds()?;
        elf.names = elf.find_names(header.e_shstrndx(endian).0, H::SHSTRNDX_AT)?;
        elf.check_names()?;
        Ok(elf)
    }

    fn check_bounds(&self) -> Result<u64, Malformed> {
        let mut last = self.end;
        for section in self.sections() {
            if [SHT_NULL.0, SHT_NOBITS.0].contains(&section.kind) {
                continue;
            }
            let end = section.offset.checked_add(section.size);
            match end {
                Some(end) if end <= self.data.len() as u64 => last = last.max(end),
                _ => {
                    return Err(Malformed::new(
                        self.header_at(section.index),
                        format!("section {} within {} bytes", section.index, self.data.len()),
                        format!("{} bytes at {}", section.size, section.offset),
                    ));
                }
            }
        }
        Ok(last)
    }

    fn find_names(&self, index: u16, index_at: u64) -> Result<&'a [u8], Malformed> {
        let expected = "the index of a string table";
        let section = self
            .section(u32::from(index))
            .filter(|section| section.kind == SHT_STRTAB.0)
            .ok_or_else(|| Malformed::new(index_at, expected, index.to_string()))?;
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
        let entry_bytes = match self.headers {
            Headers::Bits32(_) => size_of::<SectionHeader32<Endianness>>(),
            Headers::Bits64(_) => size_of::<SectionHeader64<Endianness>>(),
        };
        self.headers_offset + u64::from(index) * entry_bytes as u64
    }

    /// All bytes of the file, with what may follow the ELF.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The end of the last section or of the section table, whichever is later.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// 32 or 64 bits.
    pub fn class(&self) -> Class {
        match self.headers {
            Headers::Bits32(_) => Class::Bits32,
            Headers::Bits64(_) => Class::Bits64,
        }
    }

    /// The byte order.
    pub fn endian(&self) -> Endianness {
        self.endian
    }

    /// `e_machine`.
    pub fn machine(&self) -> u16 {
        self.machine
    }

    /// How many sections there are, with the empty one at index 0.
    pub fn section_count(&self) -> usize {
        match self.headers {
            Headers::Bits32(headers) => headers.len(),
            Headers::Bits64(headers) => headers.len(),
        }
    }

    /// The section at an index.
    pub fn section(&self, index: u32) -> Option<Section<'a>> {
        match self.headers {
            Headers::Bits32(headers) => self.section_from(index, headers.get(index as usize)?),
            Headers::Bits64(headers) => self.section_from(index, headers.get(index as usize)?),
        }
    }

    fn section_from<S>(&self, index: u32, header: &S) -> Option<Section<'a>>
    where
        S: object::read::elf::SectionHeader<Endian = Endianness>,
    {
        let e = self.endian;
        Some(Section {
            index,
            name_offset: header.sh_name(e),
            kind: header.sh_type(e).0,
            flags: header.sh_flags(e).0,
            offset: header.sh_offset(e).into(),
            size: header.sh_size(e).into(),
            link: header.sh_link(e),
            info: header.sh_info(e),
            align: header.sh_addralign(e).into(),
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

    /// What a section holds; empty for one without bytes in the file.
    pub fn bytes_of(&self, section: &Section<'_>) -> &'a [u8] {
        if [SHT_NULL.0, SHT_NOBITS.0].contains(&section.kind) {
            return &[];
        }
        let start = usize::try_from(section.offset).unwrap_or(usize::MAX);
        let size = usize::try_from(section.size).unwrap_or(usize::MAX);
        let end = start.saturating_add(size);
        // In bounds for every section of this file: `check_bounds()` has seen them all.
        self.data.get(start..end).unwrap_or_default()
    }

    /// What the first section of this name holds.
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
        let records = match self.class() {
            Class::Bits32 => slice_from_all_bytes(bytes).map(SymbolRecords::Bits32),
            Class::Bits64 => slice_from_all_bytes(bytes).map(SymbolRecords::Bits64),
        };
        let records = records.map_err(|()| {
            let expected = "a symbol table of whole records";
            Malformed::new(table.offset, expected, format!("{} bytes", bytes.len()))
        })?;
        let strings = self
            .section(table.link)
            .filter(|section| section.kind == SHT_STRTAB.0)
            .ok_or_else(|| {
                let expected = "the index of the symbols' string table (sh_link)";
                Malformed::new(self.header_at(table.index), expected, table.link.to_string())
            })?;
        Ok(Some(Symbols {
            endian: self.endian,
            records,
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
            endian: self.endian,
            class: self.class(),
            with_addend: table.kind == SHT_RELA.0,
            bytes: self.bytes_of(&table),
        })
    }

    /// A 32-bit number of a section, in the file's byte order.
    pub fn u32_at(&self, bytes: &[u8], offset: usize) -> Option<u32> {
        let raw = bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?;
        Some(self.endian.read_u32(raw))
    }

    /// A C `unsigned long` of a section.
    pub fn word_at(&self, bytes: &[u8], offset: usize) -> Option<u64> {
        match self.class() {
            Class::Bits32 => self.u32_at(bytes, offset).map(u64::from),
            Class::Bits64 => {
                let raw = bytes.get(offset..offset.checked_add(8)?)?.try_into().ok()?;
                Some(self.endian.read_u64(raw))
            }
        }
    }
}

fn table_fields<H: Layout>(header: &[u8]) -> Option<(u64, usize, usize, usize)> {
    let (header, _) = object::from_bytes::<H>(header).ok()?;
    let endian = match header.e_ident().data {
        elf::ELFDATA2MSB => Endianness::Big,
        _ => Endianness::Little,
    };
    let entry_bytes = usize::from(header.e_shentsize(endian));
    let (count, names) = (header.e_shnum(endian), header.e_shstrndx(endian).0);
    Some((header.e_shoff(endian).into(), entry_bytes, usize::from(count), usize::from(names)))
}

/// What the two classes lay out differently.
trait Layout: object::read::elf::FileHeader<Endian = Endianness> {
    /// Where `e_shentsize` stands.
    const SHENTSIZE_AT: u64;
    /// Where `e_shstrndx` stands.
    const SHSTRNDX_AT: u64;

    fn wrap(headers: &[Self::SectionHeader]) -> Headers<'_>;
}

impl Layout for FileHeader32<Endianness> {
    const SHENTSIZE_AT: u64 = 46;
    const SHSTRNDX_AT: u64 = 50;

    fn wrap(headers: &[Self::SectionHeader]) -> Headers<'_> {
        Headers::Bits32(headers)
    }
}

impl Layout for FileHeader64<Endianness> {
    const SHENTSIZE_AT: u64 = 58;
    const SHSTRNDX_AT: u64 = 62;

    fn wrap(headers: &[Self::SectionHeader]) -> Headers<'_> {
        Headers::Bits64(headers)
    }
}

fn section_table<H: Layout>(
    data: &[u8],
    offset: u64,
    count: usize,
) -> Result<&[H::SectionHeader], Malformed> {
    let entry_bytes = size_of::<H::SectionHeader>();
    let refuse = || {
        let expected = format!("a table of {count} section headers of {entry_bytes} bytes");
        Malformed::new(offset, expected, format!("a file of {} bytes", data.len()))
    };
    if count == 0 {
        return Err(Malformed::new(offset, "a table of section headers", "none"));
    }
    let start = usize::try_from(offset).map_err(|_| refuse())?;
    let bytes = data.get(start..).ok_or_else(refuse)?;
    let (headers, _) = slice_from_bytes(bytes, count).map_err(|()| refuse())?;
    Ok(headers)
}

fn short(data: &[u8], header_bytes: usize) -> Malformed {
    Malformed::new(0, format!("an ELF header of {header_bytes} bytes"), format!("{}", data.len()))
}
