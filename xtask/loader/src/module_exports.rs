//! The export table of a module that is being loaded, as `find_symbol()` will read it.

use std::collections::HashMap;

use crate::{
    kernel_facts::Export,
    kernel_state::NamedExport,
    load_info::LoadInfo,
    raw_elf::{SHT_RELA, Shdr, u32_at},
};
use ko::text::Text;

/// `sizeof(struct kernel_symbol)`: three 32-bit offsets, of the value, the name, the namespace.
const ENTRY_BYTES: u64 = 12;
/// `KSYM_FLAG_GPL_ONLY` (`include/linux/module_symbol.h`).
const FLAG_GPL_ONLY: u8 = 1;

/// The number of symbols in a table.
pub(super) fn count(load: &LoadInfo<'_>, table: &str) -> u64 {
    load.find_sec(table).map_or(0, |index| load.sections[index].size / ENTRY_BYTES)
}

/// Reads what the module exports, table by table; none when a table cannot be followed.
pub(super) fn read(load: &LoadInfo<'_>) -> Option<Vec<NamedExport>> {
    let tables: &[(&str, &str)] = if load.kernel.rules.flag_table {
        &[("__ksymtab", "__kcrctab")]
    } else {
        &[("__ksymtab", "__kcrctab"), ("__ksymtab_gpl", "__kcrctab_gpl")]
    };
    let mut exports = Vec::new();
    for (table, crcs) in tables {
        read_table(load, table, crcs, &mut exports)?;
    }
    Some(exports)
}

fn read_table(
    load: &LoadInfo<'_>,
    table: &str,
    crcs: &str,
    exports: &mut Vec<NamedExport>,
) -> Option<()> {
    let Some(index) = load.find_sec(table) else { return Some(()) };
    let count = load.sections[index].size / ENTRY_BYTES;
    if count == 0 {
        return Some(());
    }
    let targets = targets(load, index)?;
    let column = |name: &str, bytes: u64| -> Option<Option<&[u8]>> {
        let Some(index) = load.find_sec(name) else { return Some(None) };
        let section = &load.sections[index];
        // The kernel would read beyond a section that is shorter than the table.
        (section.size / bytes >= count).then(|| Some(load.elf.slice(section.offset, section.size)))
    };
    let crcs = column(crcs, 4)?.filter(|_| load.kernel.options.modversions);
    let flags = if load.kernel.rules.flag_table { column("__kflagstab", 1)? } else { None };
    for entry in 0..count {
        let string = |field: u64| -> Option<Text<'_>> {
            let &(section, at) = targets.get(&(ENTRY_BYTES * entry + 4 * field))?;
            let section = load.sections.get(section)?;
            (section.is_alloc() && at < section.size).then(|| load.elf.name(section.at(at)))
        };
        let crc = |crcs| u32_at(crcs, usize::try_from(4 * entry).ok()?);
        let flag = flags.and_then(|flags| flags.get(usize::try_from(entry).ok()?));
        exports.push(NamedExport {
            symbol: string(1)?.bytes().to_vec(),
            export: Export {
                crc: crcs.and_then(crc),
                gpl_only: flag.map_or(table.ends_with("_gpl"), |flag| flag & FLAG_GPL_ONLY != 0),
                namespace: string(2)?.bytes().to_vec(),
            },
        });
    }
    (!load.elf.read_beyond()).then_some(())
}

/// Where each field of a section points to: a section and an offset in it.
fn targets(load: &LoadInfo<'_>, section: usize) -> Option<HashMap<u64, (usize, u64)>> {
    let is_table = |table: &&Shdr| {
        table.kind == SHT_RELA && table.info as usize == section && !table.is_alloc()
    };
    load.sections.iter().find(is_table)?;
    let mut targets = HashMap::new();
    for relocation in load.relas_of(section) {
        let symbol = load.symbol(u64::from(relocation.rela.symbol))?;
        let at = symbol.value.checked_add_signed(relocation.rela.addend)?;
        targets.insert(relocation.rela.offset, (usize::from(symbol.section), at));
    }
    Some(targets)
}
