//! The ELF, as 6.13 and later check it, and 6.12 since 6.12.117 (`elf_validity_cache_copy()`).
//!
//! It is long because it is one function of the kernel's, check by check in its order.

use crate::{
    errno::Errno,
    hint::Cause,
    load_info::{IGNORE_MODVERSIONS, LINE_BYTES, LoadInfo},
    raw_elf::{
        EHDR_BYTES, Ehdr, SHDR_BYTES, SHT_NOBITS, SHT_NULL, SHT_STRTAB, SHT_SYMTAB, SYM_BYTES,
        Shdr, Sym,
    },
    verdict::Finding,
};
use ko::{compression::Compression, text::Text};

const ET_REL: u16 = object::elf::ET_REL.0;
const EM_X86_64: u16 = object::elf::EM_X86_64.0;

/// Where `name` stands in `struct module` (`include/linux/module.h`): after state and list.
const NAME_AT: u64 = 24;
/// `MODULE_NAME_LEN`.
const NAME_BYTES: u64 = 56;

/// `elf_validity_ehdr()`: room for a header.
pub(super) fn length(load: &mut LoadInfo<'_>) -> Finding {
    let len = load.len;
    if len >= EHDR_BYTES {
        return Finding::pass();
    }
    load.refuse(Errno::ENOEXEC, format!("Invalid ELF header len {len}"))
        .want(format!("at least {EHDR_BYTES} bytes"))
        .have(format!("{len}"))
}

/// `elf_validity_ehdr()`: the magic bytes.
pub(super) fn magic(load: &mut LoadInfo<'_>) -> Finding {
    let magic = load.elf.slice(0, 4);
    if magic == b"\x7fELF" {
        return Finding::pass();
    }
    let is_compressed = Compression::detect(load.elf.bytes()) != Compression::None;
    load.refuse(Errno::ENOEXEC, "Invalid ELF header magic: != \x7fELF".into())
        .want("\\x7fELF")
        .have(magic.escape_ascii().to_string())
        .because(is_compressed.then_some(Cause::Compressed))
}

/// `elf_validity_ehdr()`: a relocatable file.
pub(super) fn kind(load: &mut LoadInfo<'_>) -> Finding {
    load.header = Ehdr::read(&load.elf);
    match load.header.kind {
        ET_REL => Finding::pass(),
        kind => load
            .refuse(Errno::ENOEXEC, format!("Invalid ELF header type: {kind} != {ET_REL}"))
            .want("1, a relocatable file")
            .have(kind.to_string()),
    }
}

/// `elf_validity_ehdr()` with x86's `elf_check_arch()`: the processor.
pub(super) fn machine(load: &mut LoadInfo<'_>) -> Finding {
    match load.header.machine {
        EM_X86_64 => Finding::pass(),
        machine => load
            .refuse(Errno::ENOEXEC, format!("Invalid architecture in ELF header: {machine}"))
            .want(format!("{EM_X86_64}, x86-64"))
            .have(machine.to_string()),
    }
}

/// `elf_validity_cache_sechdrs()`: the size of a section header.
pub(super) fn section_size(load: &mut LoadInfo<'_>) -> Finding {
    match u64::from(load.header.section_bytes) {
        SHDR_BYTES => Finding::pass(),
        bytes => load
            .refuse(Errno::ENOEXEC, "Invalid ELF section header size".into())
            .want(SHDR_BYTES.to_string())
            .have(bytes.to_string()),
    }
}

/// `elf_validity_cache_sechdrs()`: the section headers within the file.
pub(super) fn section_table(load: &mut LoadInfo<'_>) -> Finding {
    let Ehdr { sections_at, section_count, .. } = load.header;
    let bytes = u64::from(section_count) * SHDR_BYTES;
    if sections_at >= load.len || bytes > load.len - sections_at {
        return load
            .refuse(Errno::ENOEXEC, "Invalid ELF section header overflow".into())
            .want(format!("{section_count} section headers within {} bytes", load.len))
            .have(format!("{bytes} bytes at {sections_at}"));
    }
    // Section 0 is looked at even where there is none.
    load.sections = (0..u64::from(section_count).max(1))
        .map(|index| Shdr::read(&load.elf, sections_at + index * SHDR_BYTES))
        .collect();
    Finding::pass()
}

/// `elf_validity_cache_sechdrs()`: section 0 is empty.
pub(super) fn section_0(load: &mut LoadInfo<'_>) -> Finding {
    let zero = load.sections.first().copied().unwrap_or_default();
    if zero.kind == SHT_NULL && zero.size == 0 && zero.addr == 0 {
        return Finding::pass();
    }
    let kind = zero.kind as i32;
    let line =
        format!("ELF Spec violation: section 0 type({kind})!=SH_NULL or non-zero len or addr");
    load.refuse(Errno::ENOEXEC, line)
        .want("type, size and address 0")
        .have(format!("{kind}, {} and {}", zero.size, zero.addr))
}

/// `validate_section_offset()`.
pub(super) fn is_within(load: &LoadInfo<'_>, section: &Shdr) -> bool {
    section.offset.checked_add(section.size).is_some_and(|end| end <= load.len)
}

/// `elf_validity_cache_sechdrs()`: each section within the file.
pub(super) fn section_bounds(load: &mut LoadInfo<'_>) -> Finding {
    for index in 1..load.sections.len() {
        let section = load.sections[index];
        if section.is_without_bytes() || is_within(load, &section) {
            continue;
        }
        return out_of_bounds(load, index);
    }
    Finding::pass()
}

/// Refuses a section that reaches beyond the file.
pub(super) fn out_of_bounds(load: &mut LoadInfo<'_>, index: usize) -> Finding {
    let Shdr { kind, offset, size, .. } = load.sections[index];
    let line = format!("Invalid ELF section in module (section {index} type {kind})");
    load.refuse(Errno::ENOEXEC, line)
        .want(format!("section {index} within {} bytes", load.len))
        .have(format!("{size} bytes at {offset}"))
}

/// `elf_validity_cache_secstrings()`: the names of the sections.
pub(super) fn section_names(load: &mut LoadInfo<'_>) -> Finding {
    let (index, count) = (load.header.names_index, load.header.section_count);
    if index == 0 || index >= count {
        return no_names(load);
    }
    let names = load.sections[usize::from(index)];
    if names.kind != SHT_STRTAB {
        let line = format!("Invalid ELF section name table type: {}", names.kind);
        let finding = load.refuse(Errno::ENOEXEC, line);
        return finding.want("3, a string table").have(names.kind.to_string());
    }
    if let Some(finding) = names_ended(load, &names) {
        return finding;
    }
    let bad = load
        .sections
        .iter()
        .position(|section| section.kind != SHT_NULL && u64::from(section.name) >= names.size);
    match bad {
        Some(index) => bad_name(load, index, names.size),
        None => Finding::pass(),
    }
}

/// Refuses an `e_shstrndx` that is no section.
pub(super) fn no_names(load: &mut LoadInfo<'_>) -> Finding {
    let (index, count) = (load.header.names_index, load.header.section_count);
    let line = format!(
        "Invalid ELF section name index: {index} || e_shstrndx ({index}) >= e_shnum ({count})"
    );
    load.refuse(Errno::ENOEXEC, line)
        .want(format!("an index from 1 to {}", count.saturating_sub(1)))
        .have(index.to_string())
}

/// Refuses names that are empty or do not end in NUL; otherwise they can be read from here on.
pub(super) fn names_ended(load: &mut LoadInfo<'_>, names: &Shdr) -> Option<Finding> {
    if names.size == 0 {
        let finding = load.refuse(Errno::ENOEXEC, "empty section name table".into());
        return Some(finding.want("names of sections").have("none"));
    }
    if load.elf.u8(names.at(names.size - 1)) != 0 {
        let line = "ELF Spec violation: section name table isn't null terminated".into();
        return Some(load.refuse(Errno::ENOEXEC, line).want("a NUL at the end").have("none"));
    }
    load.names_at = names.offset;
    None
}

/// Refuses a section whose name lies outside the section names.
pub(super) fn bad_name(load: &mut LoadInfo<'_>, index: usize, size: u64) -> Finding {
    let Shdr { kind, name, .. } = load.sections[index];
    let line = format!("Invalid ELF section name in module (section {index} type {kind})");
    load.refuse(Errno::ENOEXEC, line)
        .want(format!("a name within {size} bytes"))
        .have(format!("one at {name}"))
}

/// `elf_validity_cache_index_info()`: at most one `.modinfo`.
pub(super) fn modinfo(load: &mut LoadInfo<'_>) -> Finding {
    let found = load.find_any_sec(".modinfo");
    modinfo_of(load, &found)
}

/// The same, of the sections that the caller found.
pub(super) fn modinfo_of(load: &mut LoadInfo<'_>, found: &[usize]) -> Finding {
    match *found {
        [] => {
            // Of a module without `.modinfo`, `get_modinfo()` reads the beginning of the file.
            load.read_modinfo();
            Finding::pass().have("no .modinfo")
        }
        [index] => {
            load.index.info = index;
            load.read_modinfo();
            // A line of the log has no room for more.
            let name = load
                .modinfo_value("name")
                .map(|name| &name.bytes()[..name.bytes().len().min(LINE_BYTES)]);
            load.info_name = name.map(|name| Text(name).lossy().into_owned());
            Finding::pass()
        }
        _ => load
            .refuse(Errno::ENOEXEC, "Only one .modinfo section must exist.".into())
            .want("one .modinfo")
            .have(found.len().to_string()),
    }
}

/// `elf_validity_cache_index_mod()`: the section that becomes `struct module`.
pub(super) fn this_module(load: &mut LoadInfo<'_>) -> Finding {
    let found = load.find_any_sec(".gnu.linkonce.this_module");
    let [index] = *found.as_slice() else {
        let name = load.info_name_or_note();
        let line =
            format!("module {name}: Exactly one .gnu.linkonce.this_module section must exist.");
        let finding = load.refuse(Errno::ENOEXEC, line);
        return finding.want("one .gnu.linkonce.this_module").have(found.len().to_string());
    };
    this_module_at(load, index)
}

/// The rules for that section.
pub(super) fn this_module_at(load: &mut LoadInfo<'_>, index: usize) -> Finding {
    let name = load.info_name_or_note();
    let section = load.sections[index];
    if section.kind == SHT_NOBITS {
        let line = format!("module {name}: .gnu.linkonce.this_module section must have a size set");
        return load.refuse(Errno::ENOEXEC, line).want("bytes in the file").have("none");
    }
    if !section.is_alloc() {
        let line = format!(
            "module {name}: .gnu.linkonce.this_module must occupy memory during process execution"
        );
        return load.refuse(Errno::ENOEXEC, line).want("SHF_ALLOC").have("a section without it");
    }
    if let Some(finding) = this_module_size(load, &name, section.size) {
        return finding;
    }
    load.index.this_module = index;
    Finding::pass().have(format!("{} bytes", section.size))
}

fn this_module_size(load: &mut LoadInfo<'_>, name: &str, size: u64) -> Option<Finding> {
    let wanted = load.kernel.this_module.filter(|_| load.kernel.rules.this_module_size)?.bytes;
    if size == wanted {
        return None;
    }
    let line = format!(
        "module {name}: .gnu.linkonce.this_module section size must match the kernel's built \
         struct module size at run time"
    );
    let finding = load.refuse(Errno::ENOEXEC, line);
    Some(finding.want(format!("{wanted} bytes")).have(format!("{size} bytes")))
}

/// `elf_validity_cache_index_sym()`: one symbol table.
pub(super) fn symbols(load: &mut LoadInfo<'_>) -> Finding {
    let tables: Vec<usize> =
        (1..load.sections.len()).filter(|&i| load.sections[i].kind == SHT_SYMTAB).collect();
    symbols_of(load, &tables)
}

/// The same, of the tables that the caller found.
pub(super) fn symbols_of(load: &mut LoadInfo<'_>, tables: &[usize]) -> Finding {
    let [index] = *tables else {
        let line = format!("{}: module has no symbols (stripped?)", load.info_name_or_note());
        let finding = load.refuse(Errno::ENOEXEC, line);
        return finding.want("one symbol table").have(tables.len().to_string());
    };
    load.index.symbols = index;
    load.index.strings = load.sections[index].link as usize;
    Finding::pass()
}

/// `elf_validity_cache_index_str()`: the symbols' strings.
pub(super) fn strings(load: &mut LoadInfo<'_>) -> Finding {
    let link = load.sections[load.index.symbols].link;
    let count = load.header.section_count;
    if link == 0 || link >= u32::from(count) {
        return bad_link(load, link);
    }
    match load.sections[link as usize].kind {
        SHT_STRTAB => Finding::pass(),
        kind => load
            .refuse(Errno::ENOEXEC, format!("Invalid ELF symbol string table type: {kind}"))
            .want("3, a string table")
            .have(kind.to_string()),
    }
}

/// Refuses a symbol table whose `sh_link` is no section.
pub(super) fn bad_link(load: &mut LoadInfo<'_>, link: u32) -> Finding {
    let (shown, count) = (link as i32, load.header.section_count);
    let line = format!(
        "Invalid ELF sh_link!=SHN_UNDEF({shown}) or (sh_link({shown}) >= hdr->e_shnum({count})"
    );
    load.refuse(Errno::ENOEXEC, line)
        .want(format!("an index from 1 to {}", count.saturating_sub(1)))
        .have(link.to_string())
}

/// `elf_validity_cache_index_versions()`: the tables of CRCs, and the rest of the index.
pub(super) fn versions(load: &mut LoadInfo<'_>) -> Finding {
    let percpu = if load.kernel.options.smp { load.find_sec(".data..percpu") } else { None };
    if load.request.flags & IGNORE_MODVERSIONS != 0 {
        load.index.percpu = percpu.unwrap_or(0);
        return Finding::skip("the load ignores versions (modprobe --force-modversion)");
    }
    if load.kernel.rules.extended_versions {
        if let Some(finding) = extended_versions(load) {
            return finding;
        }
    }
    load.index.versions = load.find_sec("__versions").unwrap_or(0);
    load.index.percpu = percpu.unwrap_or(0);
    Finding::pass()
}

fn extended_versions(load: &mut LoadInfo<'_>) -> Option<Finding> {
    let (crcs, names) = (load.find_sec("__version_ext_crcs"), load.find_sec("__version_ext_names"));
    let (crcs, names) = match (crcs, names) {
        (None, None) => return None,
        (Some(crcs), Some(names)) => (crcs, names),
        _ => {
            let line = "extended version crc+name presence does not match".into();
            let finding = load.refuse(Errno::ENOEXEC, line);
            return Some(finding.want("both tables or none").have("one of them"));
        }
    };
    let count = load.sections[crcs].size / 4;
    let table = load.sections[names];
    let bytes = load.elf.slice(table.offset, table.size);
    let found = bytes.iter().filter(|&&byte| byte == 0).count() as u64;
    if found < count {
        let finding = load.refuse(Errno::ENOEXEC, "more extended version crcs than names".into());
        return Some(finding.want(format!("{count} names")).have(found.to_string()));
    }
    (load.index.extended_crcs, load.index.extended_names) = (crcs, names);
    None
}

/// `elf_validity_cache_strtab()`: the strings, and each symbol's name within them.
pub(super) fn symbol_names(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.rules.symbol_names_checked {
        return read_name(load);
    }
    let strings = load.sections[load.index.strings];
    let wrong = match (strings.offset, strings.size) {
        (_, 0) => Some("empty symbol string table"),
        (at, _) if load.elf.u8(at) != 0 => Some("symbol string table missing leading NUL"),
        (_, size) if load.elf.u8(strings.at(size - 1)) != 0 => {
            Some("symbol string table isn't NUL terminated")
        }
        _ => None,
    };
    if let Some(line) = wrong {
        return load.refuse(Errno::ENOEXEC, line.into()).want("strings between NULs");
    }
    let table = load.sections[load.index.symbols];
    for index in 0..table.size / SYM_BYTES {
        let name = Sym::read(&load.elf, table.at(index * SYM_BYTES)).name;
        if u64::from(name) >= strings.size {
            let line = "symbol name out of bounds in string table".into();
            let finding = load.refuse(Errno::ENOEXEC, line);
            return finding
                .want(format!("names within {} bytes", strings.size))
                .have(format!("symbol {index} has its at {name}"));
        }
    }
    read_name(load)
}

/// `elf_validity_cache_copy()`: the name in `struct module`, with which most messages begin.
pub(super) fn read_name(load: &mut LoadInfo<'_>) -> Finding {
    let at = load.sections[load.index.this_module].at(NAME_AT);
    let name = load.elf.name(at);
    load.name = name.lossy().into_owned();
    if load.info_name.is_none() {
        load.info_name = Some(load.name.clone());
    }
    let printable = name.bytes().iter().all(|&byte| byte.is_ascii_graphic() && byte != b'/');
    if name.is_empty() || name.bytes().len() as u64 >= NAME_BYTES || !printable {
        return Finding::unknown("the name in its struct module is none that a build puts there");
    }
    Finding::pass()
}
