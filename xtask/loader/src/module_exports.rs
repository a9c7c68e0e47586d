//! The export table of a module that is being loaded, as `find_symbol()` will read it.

use std::collections::HashMap;

use super::{
    kernel_facts::Export,
    kernel_state::NamedExport,
    load_info::LoadInfo,
    raw_elf::{RELA_BYTES, Rela, SHF_ALLOC},
};
use ko::text::Text;

/// `sizeof(struct kernel_symbol)`: three 32-bit offsets, of the value, the name, the namespace.
const ENTRY_BYTES: u64 = 12;
/// `KSYM_FLAG_GPL_ONLY` (`include/linux/module_symbol.h`).
const FLAG_GPL_ONLY: u8 = 1;
/// `SHT_RELA`.
const RELA: u32 = 4;

/// How many symbols a table has.
pub(super) fn count(load: &LoadInfo<'_>, table: &str) -> u64 {
    load.find(table).map_or(0, |index| load.sections[index].size / ENTRY_BYTES)
}

/// Reads what the module offers, table by table; none when a table cannot be followed.
pub(super) fn read(load: &LoadInfo<'_>) -> Option<Vec<NamedExport>> {
    let tables: &[(&str, &str)] = match load.kernel.rules.flag_table {
        true => &[("__ksymtab", "__kcrctab")],
        false => &[("__ksymtab", "__kcrctab"), ("__ksymtab_gpl", "__kcrctab_gpl")],
    };
    let mut offered = Vec::new();
    for (table, crcs) in tables {
        read_table(load, table, crcs, &mut offered)?;
    }
    Some(offered)
}

fn read_table(
    load: &LoadInfo<'_>,
    table: &str,
    crcs: &str,
    offered: &mut Vec<NamedExport>,
) -> Option<()> {
    let Some(index) = load.find(table) else { return Some(()) };
    let count = load.sections[index].size / ENTRY_BYTES;
    if count == 0 {
        return Some(());
    }
    let targets = targets(load, index)?;
    let column = |name: &str, bytes: u64| -> Option<Option<&[u8]>> {
        let Some(index) = load.find(name) else { return Some(None) };
        let section = &load.sections[index];
        // A shorter one than the table: the kernel would read what lies behind it.
        (section.size / bytes >= count)
            .then(|| Some(load.bytes.slice(section.offset, section.size)))
    };
    let crcs = column(crcs, 4)?.filter(|_| load.kernel.options.modversions);
    let flags = if load.kernel.rules.flag_table { column("__kflagstab", 1)? } else { None };
    for entry in 0..count {
        let string = |field: u64| -> Option<Text<'_>> {
            let &(section, at) = targets.get(&(ENTRY_BYTES * entry + 4 * field))?;
            let section = load.sections.get(section)?;
            (section.is_alloc() && at < section.size).then(|| load.bytes.name(section.offset + at))
        };
        let crc = |crcs: &[u8]| -> Option<u32> {
            let at = usize::try_from(4 * entry).ok()?;
            Some(u32::from_le_bytes(crcs.get(at..at + 4)?.try_into().ok()?))
        };
        let flag = flags.and_then(|flags| flags.get(usize::try_from(entry).ok()?));
        offered.push(NamedExport {
            symbol: string(1)?.bytes().to_vec(),
            export: Export {
                crc: crcs.and_then(crc),
                gpl_only: flag.map_or(table.ends_with("_gpl"), |flag| flag & FLAG_GPL_ONLY != 0),
                namespace: string(2)?.bytes().to_vec(),
            },
        });
    }
    (!load.bytes.read_beyond()).then_some(())
}

/// Where each place of a section points to: a section and an offset in it.
fn targets(load: &LoadInfo<'_>, section: usize) -> Option<HashMap<u64, (usize, u64)>> {
    let table = load.sections.iter().find(|table| {
        table.kind == RELA && table.info as usize == section && table.flags & SHF_ALLOC == 0
    })?;
    let mut targets = HashMap::new();
    for index in 0..table.size / RELA_BYTES {
        let rela = Rela::read(&load.bytes, table.offset + index * RELA_BYTES);
        let symbol = load.symbol(u64::from(rela.symbol))?;
        let at = symbol.value.checked_add_signed(rela.addend)?;
        targets.insert(rela.offset, (usize::from(symbol.section), at));
    }
    Some(targets)
}
