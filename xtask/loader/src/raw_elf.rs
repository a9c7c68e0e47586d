//! The bytes of a file as the kernel's loader reads them: as x86-64 structures, whatever they are.
//!
//! [`ko::elf`] refuses what is damaged. The loader has its own order of refusing, and reads on
//! where it does not check, so its model reads without judging. Every read beyond the file is
//! noted: from there on no file tells what the kernel finds.

use std::cell::Cell;

use ko::text::Text;
use object::elf;

pub(super) const SHT_NULL: u32 = elf::SHT_NULL.0;
pub(super) const SHT_SYMTAB: u32 = elf::SHT_SYMTAB.0;
pub(super) const SHT_STRTAB: u32 = elf::SHT_STRTAB.0;
pub(super) const SHT_RELA: u32 = elf::SHT_RELA.0;
pub(super) const SHT_NOBITS: u32 = elf::SHT_NOBITS.0;
pub(super) const SHT_REL: u32 = elf::SHT_REL.0;
pub(super) const SHF_WRITE: u64 = elf::SHF_WRITE.0;
pub(super) const SHF_ALLOC: u64 = elf::SHF_ALLOC.0;
pub(super) const SHF_EXECINSTR: u64 = elf::SHF_EXECINSTR.0;
pub(super) const R_X86_64_NONE: u32 = elf::R_X86_64_NONE.0;
pub(super) const R_X86_64_64: u32 = elf::R_X86_64_64.0;
pub(super) const R_X86_64_PC32: u32 = elf::R_X86_64_PC32.0;
pub(super) const R_X86_64_PLT32: u32 = elf::R_X86_64_PLT32.0;
pub(super) const R_X86_64_32: u32 = elf::R_X86_64_32.0;
pub(super) const R_X86_64_32S: u32 = elf::R_X86_64_32S.0;
pub(super) const R_X86_64_PC64: u32 = elf::R_X86_64_PC64.0;
/// `include/uapi/linux/elf.h`.
pub(super) const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;

/// `sizeof(Elf64_Ehdr)`.
pub(super) const EHDR_BYTES: u64 = 64;
/// `sizeof(Elf64_Shdr)`.
pub(super) const SHDR_BYTES: u64 = 64;
/// `sizeof(Elf64_Sym)`.
pub(super) const SYM_BYTES: u64 = 24;
/// `sizeof(Elf64_Rela)`.
pub(super) const RELA_BYTES: u64 = 24;

/// The reason for a file whose tables lie over each other.
const OVERLAPS: &str =
    "its tables lie over each other, as no linker leaves them: they are not followed to their end";

/// The longest name of a symbol or section that is read; kallsyms takes 511 bytes.
pub(crate) const NAME_BYTES_MAX: usize = 4096;

/// The number of times that the bytes of a file may be read as names: a linker leaves each once,
/// and a load reads them a few times.
const NAME_ROUNDS_MAX: u64 = 4;
/// The bytes of names that may be read of any file.
const NAMES_BYTES: u64 = 1 << 20;

/// A file in the kernel's memory.
#[derive(Debug)]
pub(super) struct RawElf<'a> {
    bytes: &'a [u8],
    /// `true` once something beyond the end was asked for.
    beyond: Cell<bool>,
    /// `true` if its tables overlap, so that following them would cost the square of its size.
    overlaps: Cell<bool>,
    /// The bytes that were read as names.
    name_bytes: Cell<u64>,
}

impl<'a> RawElf<'a> {
    /// All bytes of a file.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let (beyond, overlaps) = (Cell::new(false), Cell::new(false));
        Self { bytes, beyond, overlaps, name_bytes: Cell::new(0) }
    }

    /// Their number.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// All of them.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All from an offset on.
    fn rest(&self, offset: u64) -> &'a [u8] {
        usize::try_from(offset).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }

    /// `true` if anything beyond the end of the file was read, or nothing more is read of it
    /// because its tables overlap.
    pub(super) fn read_beyond(&self) -> bool {
        self.beyond.get() || self.overlaps.get()
    }

    /// The reason for which no answer that rests on what was read is known.
    pub(super) fn unreadable(&self) -> Option<&'static str> {
        if self.overlaps.get() {
            return Some(OVERLAPS);
        }
        let beyond =
            "the kernel reads beyond the end of the file, and no file tells what lies there";
        self.beyond.get().then_some(beyond)
    }

    /// Notes that tables of this many bytes are to be followed, and returns `false` if the file
    /// cannot hold them side by side.
    pub(super) fn holds_tables(&self, bytes: u64) -> bool {
        self.overlaps.set(self.overlaps.get() || bytes > self.len());
        !self.overlaps.get()
    }

    /// `size` bytes at an offset; none, and it is noted, when the file does not have them all.
    pub(super) fn slice(&self, offset: u64, size: u64) -> &'a [u8] {
        let end = offset.checked_add(size).and_then(|end| usize::try_from(end).ok());
        let found = end.and_then(|end| self.bytes.get(usize::try_from(offset).ok()?..end));
        if found.is_none() {
            self.beyond.set(true);
        }
        found.unwrap_or_default()
    }

    /// A byte.
    pub(super) fn u8(&self, offset: u64) -> u8 {
        self.slice(offset, 1).first().copied().unwrap_or(0)
    }

    /// A 16-bit number.
    pub(super) fn u16(&self, offset: u64) -> u16 {
        self.slice(offset, 2).try_into().map_or(0, u16::from_le_bytes)
    }

    /// A 32-bit number.
    pub(super) fn u32(&self, offset: u64) -> u32 {
        self.slice(offset, 4).try_into().map_or(0, u32::from_le_bytes)
    }

    /// A 64-bit number.
    pub(super) fn u64(&self, offset: u64) -> u64 {
        self.slice(offset, 8).try_into().map_or(0, u64::from_le_bytes)
    }

    /// A C string, up to its NUL.
    pub(super) fn string(&self, offset: u64) -> Text<'a> {
        let rest = self.rest(offset);
        let end = rest.iter().position(|&byte| byte == 0);
        if end.is_none() {
            self.beyond.set(true);
        }
        Text(&rest[..end.unwrap_or(rest.len())])
    }

    /// A C string that is a name. One of more than [`NAME_BYTES_MAX`] is as if it had no end:
    /// a file of nothing but such names would otherwise cost the square of its size.
    pub(super) fn name(&self, offset: u64) -> Text<'a> {
        let read = self.name_bytes.get();
        if read > NAMES_BYTES.max(self.len().saturating_mul(NAME_ROUNDS_MAX)) {
            self.overlaps.set(true);
            return Text::default();
        }
        let rest = self.rest(offset);
        let end = rest.iter().take(NAME_BYTES_MAX).position(|&byte| byte == 0);
        if end.is_none() {
            self.beyond.set(true);
        }
        self.name_bytes.set(read + end.unwrap_or(NAME_BYTES_MAX) as u64);
        Text(&rest[..end.unwrap_or(0)])
    }

    /// `true` if the C string at an offset is this one; reads no further than it has to.
    pub(super) fn has_string(&self, offset: u64, name: &str) -> bool {
        if offset > self.len() {
            self.beyond.set(true);
        }
        let rest = self.rest(offset).strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }
}

/// A number of 32 bits, as x86 has them.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The fields of `Elf64_Ehdr` that the loader reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ehdr {
    /// `e_type`.
    pub(super) kind: u16,
    /// `e_machine`.
    pub(super) machine: u16,
    /// `e_shoff`.
    pub(super) sections_at: u64,
    /// `e_shentsize`.
    pub(super) section_bytes: u16,
    /// `e_shnum`.
    pub(super) section_count: u16,
    /// `e_shstrndx`.
    pub(super) names_index: u16,
}

impl Ehdr {
    /// Reads it from the beginning of a file of at least [`EHDR_BYTES`].
    pub(super) fn read(bytes: &RawElf<'_>) -> Self {
        Self {
            kind: bytes.u16(16),
            machine: bytes.u16(18),
            sections_at: bytes.u64(40),
            section_bytes: bytes.u16(58),
            section_count: bytes.u16(60),
            names_index: bytes.u16(62),
        }
    }
}

/// `Elf64_Shdr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shdr {
    /// `sh_name`.
    pub(super) name: u32,
    /// `sh_type`.
    pub(super) kind: u32,
    /// `sh_flags`, as the loader changes them.
    pub(super) flags: u64,
    /// `sh_addr`.
    pub(super) addr: u64,
    /// `sh_offset`.
    pub(super) offset: u64,
    /// `sh_size`.
    pub(super) size: u64,
    /// `sh_link`.
    pub(super) link: u32,
    /// `sh_info`.
    pub(super) info: u32,
    /// `sh_addralign`.
    pub(super) align: u64,
}

impl Shdr {
    /// Reads the header at an offset.
    pub(super) fn read(bytes: &RawElf<'_>, at: u64) -> Self {
        Self {
            name: bytes.u32(at),
            kind: bytes.u32(at.saturating_add(4)),
            flags: bytes.u64(at.saturating_add(8)),
            addr: bytes.u64(at.saturating_add(16)),
            offset: bytes.u64(at.saturating_add(24)),
            size: bytes.u64(at.saturating_add(32)),
            link: bytes.u32(at.saturating_add(40)),
            info: bytes.u32(at.saturating_add(44)),
            align: bytes.u64(at.saturating_add(48)),
        }
    }

    /// The place in the file of a byte of this section. A section without bytes in the file may
    /// have any offset: then the place is one beyond every file.
    pub(super) fn at(&self, offset: u64) -> u64 {
        self.offset.saturating_add(offset)
    }

    /// `true` if it has no bytes in the file, so that its offset and size are not checked.
    pub(super) fn is_without_bytes(&self) -> bool {
        [SHT_NULL, SHT_NOBITS].contains(&self.kind)
    }

    /// `true` if it is code (`SHF_EXECINSTR`).
    pub(super) fn is_executable(&self) -> bool {
        self.flags & SHF_EXECINSTR != 0
    }

    /// `true` if it is kept in memory (`SHF_ALLOC`).
    pub(super) fn is_alloc(&self) -> bool {
        self.flags & SHF_ALLOC != 0
    }
}

/// `Elf64_Sym`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sym {
    /// `st_name`.
    pub(super) name: u32,
    /// `ELF_ST_BIND(st_info)`.
    pub(super) bind: u8,
    /// `st_shndx`.
    pub(super) section: u16,
    /// `st_value`.
    pub(super) value: u64,
}

impl Sym {
    /// Reads the symbol at an offset.
    pub(super) fn read(bytes: &RawElf<'_>, at: u64) -> Self {
        Self {
            name: bytes.u32(at),
            bind: bytes.u8(at.saturating_add(4)) >> 4,
            section: bytes.u16(at.saturating_add(6)),
            value: bytes.u64(at.saturating_add(8)),
        }
    }
}

/// `Elf64_Rela`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rela {
    /// `r_offset`.
    pub(super) offset: u64,
    /// `ELF64_R_TYPE(r_info)`.
    pub(super) kind: u32,
    /// `ELF64_R_SYM(r_info)`.
    pub(super) symbol: u32,
    /// `r_addend`.
    pub(super) addend: i64,
}

impl Rela {
    /// Reads the entry at an offset.
    pub(super) fn read(bytes: &RawElf<'_>, at: u64) -> Self {
        let info = bytes.u64(at.saturating_add(8));
        Self {
            offset: bytes.u64(at),
            kind: info as u32,
            symbol: (info >> 32) as u32,
            addend: bytes.u64(at.saturating_add(16)) as i64,
        }
    }
}
