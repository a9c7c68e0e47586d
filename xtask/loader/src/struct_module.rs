//! Facts of a kernel out of its image, or out of a module that was built for it.

use object::{
    LittleEndian,
    elf::{FileHeader64, R_X86_64_64, SHT_RELA},
    read::elf::{FileHeader as _, Rela as _, SectionHeader as _, Sym as _},
};

use super::kernel_facts::ThisModule;

type Header = FileHeader64<LittleEndian>;

/// The kernel's `struct module` as a module that was built for it has it: its size, and where the
/// relocations of init and exit stand.
pub fn this_module_of_module(file: &[u8]) -> Option<ThisModule> {
    let e = LittleEndian;
    let header = Header::parse(file).ok()?;
    let sections = header.sections(e, file).ok()?;
    let (index, section) = sections.section_by_name(e, b".gnu.linkonce.this_module")?;
    let symbols = sections.symbols(e, file, object::elf::SHT_SYMTAB).ok()?;
    let mut found = ThisModule { bytes: section.sh_size(e), init_at: u64::MAX, exit_at: None };
    for table in sections.iter().filter(|table| table.sh_type(e) == SHT_RELA) {
        if table.sh_info(e) as usize != index.0 {
            continue;
        }
        let (entries, _) = table.rela(e, file).ok()??;
        for rela in entries.iter().filter(|rela| rela.r_type(e, false) == R_X86_64_64) {
            let symbol = symbols.symbol(rela.symbol(e, false)?).ok()?;
            match symbol.name(e, symbols.strings()).ok()? {
                b"init_module" => found.init_at = rela.r_offset(e),
                b"cleanup_module" => found.exit_at = Some(rela.r_offset(e)),
                _ => {}
            }
        }
    }
    (found.init_at != u64::MAX).then_some(found)
}

/// The BTF of a `vmlinux`.
pub fn btf_of_vmlinux(file: &[u8]) -> Option<&[u8]> {
    let e = LittleEndian;
    let header = Header::parse(file).ok()?;
    let sections = header.sections(e, file).ok()?;
    let (_, section) = sections.section_by_name(e, b".BTF")?;
    section.data(e, file).ok()
}

/// `BTF_KIND_STRUCT` (`include/uapi/linux/btf.h`).
const STRUCT: u32 = 4;

/// Finds `struct module` in BTF: a walk over all types, as each tells its own length.
pub fn this_module_of_btf(btf: &[u8]) -> Option<ThisModule> {
    let u32_at = |at: usize| {
        let bytes = btf.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let part = |at: usize| Some(u32_at(4)?.checked_add(u32_at(at)?)? as usize);
    let (mut at, strings) = (part(8)?, part(16)?);
    let end = at.checked_add(u32_at(12)? as usize)?;
    let is = |name: u32, wanted: &[u8]| {
        let rest = btf.get(strings.saturating_add(name as usize)..).unwrap_or_default();
        rest.strip_prefix(wanted).is_some_and(|rest| rest.first() == Some(&0))
    };
    while at < end {
        let (name, info, size) = (u32_at(at)?, u32_at(at + 4)?, u32_at(at + 8)?);
        let (kind, count) = (info >> 24 & 31, (info & 0xffff) as usize);
        at += 12;
        if kind == STRUCT && is(name, b"module") {
            let members = (0..count).filter_map(|member| {
                // A bit field has its size above the offset.
                let at = at + 12 * member;
                Some((u32_at(at)?, u64::from(u32_at(at + 8)? & 0x00ff_ffff) / 8))
            });
            let members: Vec<(u32, u64)> = members.collect();
            let of = |wanted: &[u8]| members.iter().find(|m| is(m.0, wanted)).map(|m| m.1);
            return Some(ThisModule {
                bytes: size.into(),
                init_at: of(b"init")?,
                exit_at: of(b"exit"),
            });
        }
        at += match kind {
            // INT, VAR, DECL_TAG; ARRAY; STRUCT, UNION, ENUM64; ENUM, FUNC_PROTO; DATASEC
            1 | 14 | 17 => 4,
            3 => 12,
            4 | 5 | 15 | 19 => 12 * count,
            6 | 13 => 8 * count,
            _ => 0,
        };
    }
    None
}
