//! Changes a module as no build would: a field of a header, a section's contents, a symbol.
//!
//! It works on modules that Kbuild just made, so what it looks for is there, and it panics where
//! it is not.

/// `sizeof(Elf64_Shdr)`.
const SHDR: usize = 64;
/// `sizeof(Elf64_Sym)`.
const SYM: usize = 24;
/// `sizeof(Elf64_Rela)`.
const RELA: usize = 24;

/// Fields of the ELF header, by their place and size.
pub(crate) mod header {
    pub(crate) const TYPE: (usize, usize) = (16, 2);
    pub(crate) const MACHINE: (usize, usize) = (18, 2);
    pub(crate) const SHOFF: (usize, usize) = (40, 8);
    pub(crate) const SHENTSIZE: (usize, usize) = (58, 2);
    pub(crate) const SHNUM: (usize, usize) = (60, 2);
    pub(crate) const SHSTRNDX: (usize, usize) = (62, 2);
}

/// Fields of a section header.
pub(crate) mod section {
    pub(crate) const NAME: (usize, usize) = (0, 4);
    pub(crate) const TYPE: (usize, usize) = (4, 4);
    pub(crate) const FLAGS: (usize, usize) = (8, 8);
    pub(crate) const OFFSET: (usize, usize) = (24, 8);
    pub(crate) const SIZE: (usize, usize) = (32, 8);
    pub(crate) const LINK: (usize, usize) = (40, 4);
    pub(crate) const INFO: (usize, usize) = (44, 4);
    pub(crate) const ALIGN: (usize, usize) = (48, 8);
}

/// Fields of a symbol.
pub(crate) mod symbol {
    pub(crate) const NAME: (usize, usize) = (0, 4);
    pub(crate) const SECTION: (usize, usize) = (6, 2);
}

/// Fields of a relocation.
pub(crate) mod rela {
    pub(crate) const TYPE: (usize, usize) = (8, 4);
}

/// A module that is being changed.
#[derive(Clone)]
pub(crate) struct Module {
    pub(crate) bytes: Vec<u8>,
}

impl Module {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(crate) fn number(&self, at: usize, size: usize) -> u64 {
        self.bytes[at..at + size].iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
    }

    pub(crate) fn set(&mut self, at: usize, size: usize, value: u64) {
        self.bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    pub(crate) fn set_header(&mut self, (at, size): (usize, usize), value: u64) {
        self.set(at, size, value);
    }

    pub(crate) fn section_count(&self) -> usize {
        self.number(header::SHNUM.0, 2) as usize
    }

    /// Where the header of a section stands.
    pub(crate) fn header_of(&self, index: usize) -> usize {
        self.number(header::SHOFF.0, 8) as usize + index * SHDR
    }

    pub(crate) fn get(&self, index: usize, (at, size): (usize, usize)) -> u64 {
        self.number(self.header_of(index) + at, size)
    }

    pub(crate) fn set_section(&mut self, index: usize, (at, size): (usize, usize), value: u64) {
        self.set(self.header_of(index) + at, size, value);
    }

    pub(crate) fn contents(&self, index: usize) -> &[u8] {
        let (offset, size) = (self.get(index, section::OFFSET), self.get(index, section::SIZE));
        &self.bytes[offset as usize..(offset + size) as usize]
    }

    fn names(&self) -> usize {
        self.number(header::SHSTRNDX.0, 2) as usize
    }

    pub(crate) fn name_of(&self, index: usize) -> String {
        let names = self.contents(self.names());
        let rest = &names[self.get(index, section::NAME) as usize..];
        let end = rest.iter().position(|&byte| byte == 0).unwrap();
        String::from_utf8(rest[..end].to_vec()).unwrap()
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        (1..self.section_count()).find(|&index| self.name_of(index) == name)
    }

    pub(crate) fn section(&self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| panic!("no section {name}"))
    }

    /// Gives a section other contents, at the end of the file.
    pub(crate) fn replace(&mut self, index: usize, contents: &[u8]) {
        while self.bytes.len() % 16 != 0 {
            self.bytes.push(0);
        }
        let offset = self.bytes.len() as u64;
        self.bytes.extend_from_slice(contents);
        self.set_section(index, section::OFFSET, offset);
        self.set_section(index, section::SIZE, contents.len() as u64);
    }

    fn add_name(&mut self, name: &str) -> u64 {
        let mut names = self.contents(self.names()).to_vec();
        let at = names.len() as u64;
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        self.replace(self.names(), &names);
        at
    }

    pub(crate) fn rename(&mut self, index: usize, name: &str) {
        let at = self.add_name(name);
        self.set_section(index, section::NAME, at);
    }

    /// Adds a section that is kept in memory.
    pub(crate) fn add(&mut self, name: &str, contents: &[u8]) -> usize {
        const PROGBITS: u64 = 1;
        const ALLOC: u64 = 2;
        let count = self.section_count();
        let begin = self.header_of(0);
        let mut table = self.bytes[begin..begin + count * SHDR].to_vec();
        table.extend_from_slice(&[0; SHDR]);
        while self.bytes.len() % 16 != 0 {
            self.bytes.push(0);
        }
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&table);
        self.set_header(header::SHOFF, at);
        self.set_header(header::SHNUM, count as u64 + 1);
        self.rename(count, name);
        self.set_section(count, section::TYPE, PROGBITS);
        self.set_section(count, section::FLAGS, ALLOC);
        self.set_section(count, section::ALIGN, 1);
        self.replace(count, contents);
        count
    }

    /// Takes out every line of `.modinfo` with this key, and puts in one with the value given.
    pub(crate) fn info(&mut self, key: &str, value: Option<&str>) {
        let index = self.section(".modinfo");
        let begin = format!("{key}=");
        let lines = self.contents(index).split(|&byte| byte == 0);
        let kept = lines.filter(|line| !line.is_empty() && !line.starts_with(begin.as_bytes()));
        let mut lines: Vec<Vec<u8>> = kept.map(<[u8]>::to_vec).collect();
        lines.extend(value.map(|value| format!("{begin}{value}").into_bytes()));
        let text: Vec<u8> = lines.into_iter().flat_map(|line| [line, vec![0]].concat()).collect();
        self.replace(index, &text);
    }

    pub(crate) fn info_value(&self, key: &str) -> Option<String> {
        let begin = format!("{key}=");
        let mut lines = self.contents(self.section(".modinfo")).split(|&byte| byte == 0);
        let line = lines.find(|line| line.starts_with(begin.as_bytes()))?;
        Some(String::from_utf8_lossy(&line[begin.len()..]).into_owned())
    }

    /// Gives the module another name, in `struct module` and in `.modinfo`.
    pub(crate) fn call(&mut self, name: &str) {
        self.call_struct(name);
        self.info("name", Some(name));
    }

    pub(crate) fn call_struct(&mut self, name: &str) {
        let index = self.section(".gnu.linkonce.this_module");
        let at = self.get(index, section::OFFSET) as usize + 24;
        self.bytes[at..at + 56].fill(0);
        self.bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
    }

    /// Where a symbol stands in the file.
    pub(crate) fn symbol(&self, name: &str) -> usize {
        let table = self.section(".symtab");
        let strings = self.contents(self.get(table, section::LINK) as usize);
        let begin = self.get(table, section::OFFSET) as usize;
        let count = self.get(table, section::SIZE) as usize / SYM;
        let is = |index: &usize| {
            let rest = &strings[self.number(begin + index * SYM, 4) as usize..];
            rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
        };
        begin + (0..count).find(is).unwrap_or_else(|| panic!("no symbol {name}")) * SYM
    }

    pub(crate) fn set_symbol(&mut self, name: &str, (at, size): (usize, usize), value: u64) {
        let place = self.symbol(name) + at;
        self.set(place, size, value);
    }

    /// Lets two symbols change names.
    pub(crate) fn exchange(&mut self, one: &str, other: &str) {
        let (one, other) = (self.symbol(one), self.symbol(other));
        let (name, name_of_other) = (self.number(one, 4), self.number(other, 4));
        self.set(one, 4, name_of_other);
        self.set(other, 4, name);
    }

    /// Where a relocation of a section stands in the file.
    pub(crate) fn relocation(&self, section: &str, index: usize) -> usize {
        let table = self.section(&format!(".rela{section}"));
        self.get(table, section::OFFSET) as usize + index * RELA
    }

    /// Puts other bytes of the same length in the place of each occurrence.
    pub(crate) fn swap(&mut self, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len());
        let places: Vec<usize> = (0..self.bytes.len() - from.len())
            .filter(|&at| self.bytes[at..].starts_with(from))
            .collect();
        assert!(!places.is_empty(), "nothing to swap");
        for at in places {
            self.bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}
