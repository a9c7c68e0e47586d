//! The ELF, as kernels before 6.13, and 6.12 before 6.12.117, check it: in one function
//! (`elf_validity_cache_copy()`).

use super::elf;
use crate::{
    errno::Errno,
    load_info::{IGNORE_MODVERSIONS, LoadInfo},
    raw_elf::SHT_SYMTAB,
    verdict::{Finding, Outcome},
};

/// The section names; the type of their table is not looked at.
pub(super) fn section_names(load: &mut LoadInfo<'_>) -> Finding {
    let (index, count) = (load.header.names_index, load.header.section_count);
    if index == 0 || index >= count {
        return elf::no_names(load);
    }
    let names = load.sections[usize::from(index)];
    if !elf::is_within(load, &names) {
        let line = format!("Invalid ELF section hdr(type {})", names.kind);
        let finding = load.refuse(Errno::ENOEXEC, line);
        return finding
            .want(format!("names within {} bytes", load.len))
            .have(format!("{} bytes at {}", names.size, names.offset));
    }
    elf::names_ended(load, &names).unwrap_or_else(Finding::pass)
}

/// Each section in turn: its link, its bounds, its name.
pub(super) fn sections(load: &mut LoadInfo<'_>) -> Finding {
    let names_size = load.sections[usize::from(load.header.names_index)].size;
    for index in 1..load.sections.len() {
        let section = load.sections[index];
        if section.is_without_bytes() {
            continue;
        }
        let link_is_bad = section.link == 0 || section.link >= u32::from(load.header.section_count);
        if section.kind == SHT_SYMTAB && link_is_bad {
            return elf::bad_link(load, section.link);
        }
        if !elf::is_within(load, &section) {
            return elf::out_of_bounds(load, index);
        }
        if section.is_alloc() && u64::from(section.name) >= names_size {
            return elf::bad_name(load, index, names_size);
        }
    }
    Finding::pass()
}

/// The sections of a name, of those with bytes in the file.
fn named(load: &LoadInfo<'_>, name: &str) -> Vec<usize> {
    let with_bytes = |index: &usize| !load.sections[*index].is_without_bytes();
    load.find_any_sec(name).into_iter().filter(with_bytes).collect()
}

/// The sections of a name that are counted, or the one that is taken uncounted.
fn taken(load: &LoadInfo<'_>, name: &str) -> Vec<usize> {
    if load.kernel.rules.sections_counted {
        named(load, name)
    } else {
        load.find_sec(name).into_iter().collect()
    }
}

/// At most one `.modinfo`.
pub(super) fn modinfo(load: &mut LoadInfo<'_>) -> Finding {
    let found = taken(load, ".modinfo");
    elf::modinfo_of(load, &found)
}

/// One symbol table.
pub(super) fn symbols(load: &mut LoadInfo<'_>) -> Finding {
    let is_table = |index: &usize| load.sections[*index].kind == SHT_SYMTAB;
    let mut tables: Vec<usize> = (1..load.sections.len()).filter(is_table).collect();
    if !load.kernel.rules.sections_counted {
        tables.truncate(1);
    }
    elf::symbols_of(load, &tables)
}

/// The section that becomes `struct module`; with it the index is complete.
pub(super) fn this_module(load: &mut LoadInfo<'_>) -> Finding {
    let found = taken(load, ".gnu.linkonce.this_module");
    let is_counted = load.kernel.rules.sections_counted;
    let [index] = *found.as_slice() else {
        let name = load.info_name_or_note();
        let line = if is_counted {
            format!("module {name}: Only one .gnu.linkonce.this_module section must exist.")
        } else {
            format!("{name}: No module found in object")
        };
        let finding = load.refuse(Errno::ENOEXEC, line);
        return finding.want("one .gnu.linkonce.this_module").have(found.len().to_string());
    };
    if !is_counted && load.sections[index].is_without_bytes() {
        return Finding::unknown("its struct module has no bytes, which the kernel does not check");
    }
    let finding = elf::this_module_at(load, index);
    if !matches!(finding.outcome, Outcome::Pass) {
        return finding;
    }
    if load.request.flags & IGNORE_MODVERSIONS == 0 {
        load.index.versions = load.find_sec("__versions").unwrap_or(0);
    }
    if load.kernel.options.smp {
        load.index.percpu = load.find_sec(".data..percpu").unwrap_or(0);
    }
    match elf::read_name(load) {
        named if matches!(named.outcome, Outcome::Pass) => finding,
        unnamed => unnamed,
    }
}
