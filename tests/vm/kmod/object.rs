//! Small modules, made byte by byte: what depmod and modinfo read of a module, and nothing that
//! runs.

/// A symbol that a module exports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exported {
    pub(super) symbol: &'static str,
    /// Its namespace; empty for none.
    pub(super) namespace: &'static str,
}

/// A symbol that a module needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needed {
    pub(super) symbol: &'static str,
    pub(super) weak: bool,
}

/// The contents of a module.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    pub(super) modinfo: Vec<String>,
    pub(super) exports: Vec<Exported>,
    pub(super) needs: Vec<Needed>,
    /// `true` if it has CRCs: `__kcrctab`, `__crc_…` and `__versions`.
    pub(super) has_crcs: bool,
    /// `true` if it has no symbol table, as after `strip -s`.
    pub(super) is_stripped: bool,
}

/// A section under way.
struct Section {
    name: &'static str,
    kind: u32,
    data: Vec<u8>,
    link: u32,
    info: u32,
    entry_bytes: u64,
}

const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const RELA: u32 = 4;
const ABSOLUTE: u16 = 0xfff1;

impl Section {
    fn new(name: &'static str, kind: u32, data: Vec<u8>) -> Self {
        Self { name, kind, data, link: 0, info: 0, entry_bytes: 0 }
    }
}

/// The symbol table under way, its names with it.
struct SymbolTable {
    records: Vec<u8>,
    names: Vec<u8>,
}

impl SymbolTable {
    fn add(&mut self, name: &str, info: u8, section: u16, value: u64) -> u64 {
        let at = if name.is_empty() { 0 } else { self.names.len() as u32 };
        if !name.is_empty() {
            self.names.extend(name.bytes().chain([0]));
        }
        self.records.extend(at.to_le_bytes());
        self.records.extend([info, 0]);
        self.records.extend(section.to_le_bytes());
        self.records.extend(value.to_le_bytes());
        self.records.extend(0u64.to_le_bytes());
        self.records.len() as u64 / SYMBOL_BYTES - 1
    }
}

const SYMBOL_BYTES: u64 = 24;

impl Object {
    /// The bytes of the module.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut sections = vec![Section::new("", 0, Vec::new())];
        let modinfo = self.modinfo.iter().flat_map(|line| line.bytes().chain([0])).collect();
        sections.push(Section::new(".modinfo", PROGBITS, modinfo));
        let mut symbols = SymbolTable { records: vec![0; SYMBOL_BYTES as usize], names: vec![0] };
        if !self.exports.is_empty() {
            self.add_exports(&mut sections, &mut symbols);
        }
        let locals = symbols.records.len() as u64 / SYMBOL_BYTES;
        for Needed { symbol, weak } in &self.needs {
            symbols.add(symbol, if *weak { 0x20 } else { 0x10 }, 0, 0);
        }
        if self.has_crcs {
            sections.push(Section::new("__versions", PROGBITS, self.versions()));
        }
        if self.is_stripped {
            sections.retain(|section| section.kind != RELA);
            return linked(sections);
        }
        let strings = sections.len() as u32 + 1;
        let info = locals as u32;
        let symtab = Section::new(".symtab", SYMTAB, symbols.records);
        sections.push(Section { link: strings, info, entry_bytes: SYMBOL_BYTES, ..symtab });
        sections.push(Section::new(".strtab", STRTAB, symbols.names));
        for section in &mut sections {
            if section.kind == RELA {
                section.link = strings - 1;
            }
        }
        linked(sections)
    }

    fn add_exports(&self, sections: &mut Vec<Section>, symbols: &mut SymbolTable) {
        let (mut strings, mut rela) = (Vec::new(), Vec::new());
        let first = sections.len() as u16;
        let names = symbols.add("", 3, first, 0);
        for (at, Exported { symbol, namespace }) in self.exports.iter().enumerate() {
            let name_at = strings.len() as u64;
            strings.extend(symbol.bytes().chain([0]));
            let namespace_at = strings.len() as u64 - u64::from(namespace.is_empty());
            if !namespace.is_empty() {
                strings.extend(namespace.bytes().chain([0]));
            }
            if self.has_crcs {
                symbols.add(&format!("__crc_{symbol}"), 0, ABSOLUTE, crc(symbol).into());
            }
            for (field, addend) in [0, name_at, namespace_at].into_iter().enumerate() {
                rela.extend((12 * at as u64 + 4 * field as u64).to_le_bytes());
                rela.extend((names << 32 | 2).to_le_bytes());
                rela.extend(addend.to_le_bytes());
            }
        }
        let count = self.exports.len();
        sections.push(Section::new("__ksymtab_strings", PROGBITS, strings));
        sections.push(Section::new("__ksymtab", PROGBITS, vec![0; 12 * count]));
        let info = u32::from(first) + 1;
        let rela = Section::new(".rela__ksymtab", RELA, rela);
        sections.push(Section { info, entry_bytes: 24, ..rela });
        sections.push(Section::new("__kflagstab", PROGBITS, vec![0; count]));
    }

    fn versions(&self) -> Vec<u8> {
        let names = self.needs.iter().map(|need| need.symbol).chain(["module_layout"]);
        let entry = |name: &str| {
            let mut entry = [0; 64];
            entry[..8].copy_from_slice(&u64::from(crc(name)).to_le_bytes());
            entry[8..8 + name.len()].copy_from_slice(name.as_bytes());
            entry
        };
        names.flat_map(entry).collect()
    }
}

/// A CRC for a symbol: the same wherever it is named.
fn crc(symbol: &str) -> u32 {
    ko::compression::crc32(symbol.as_bytes())
}

/// The file: its header, the sections, the names of these, and their table.
fn linked(mut sections: Vec<Section>) -> Vec<u8> {
    const HEADER_BYTES: usize = 64;
    sections.push(Section::new(".shstrtab", STRTAB, Vec::new()));
    let mut names = Vec::new();
    let places: Vec<usize> = sections
        .iter()
        .map(|section| {
            names.extend(section.name.bytes().chain([0]));
            names.len() - section.name.len() - 1
        })
        .collect();
    sections.last_mut().unwrap().data = names;
    let mut file = vec![0; HEADER_BYTES];
    let mut table = Vec::new();
    for (section, name_at) in sections.iter().zip(places) {
        file.resize(file.len().next_multiple_of(8), 0);
        let at = if section.kind == 0 { 0 } else { file.len() };
        file.extend(&section.data);
        table.extend((name_at as u32).to_le_bytes());
        table.extend(section.kind.to_le_bytes());
        for field in [0, 0, at as u64, section.data.len() as u64] {
            table.extend(field.to_le_bytes());
        }
        table.extend(section.link.to_le_bytes());
        table.extend(section.info.to_le_bytes());
        for field in [1, section.entry_bytes] {
            table.extend(field.to_le_bytes());
        }
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let table_at = file.len() as u64;
    file.extend(table);
    let count = sections.len() as u16;
    file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for (at, value) in [(16, 1u16), (18, 62), (52, 64), (58, 64), (60, count), (62, count - 1)] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    file[20] = 1;
    file[40..48].copy_from_slice(&table_at.to_le_bytes());
    file
}
