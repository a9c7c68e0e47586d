//! The last steps (`complete_formation()`, `prepare_coming_module()`, `mod_sysfs_setup()`).

use std::collections::HashSet;

use super::super::{
    errno::Errno,
    load_info::LoadInfo,
    module_exports,
    raw_elf::{RELA_BYTES, Rela, SHF_EXECINSTR, SHF_WRITE},
    verdict::Finding,
};

const SHT_RELA: u32 = 4;
const R_64: u32 = 1;
/// `BTF_MAGIC` (`include/uapi/linux/btf.h`).
const BTF_MAGIC: u16 = 0xeb9f;

/// `add_kallsyms()` (`kernel/module/kallsyms.c`) reads every symbol's name out of the strings that
/// were kept; 6.13 and later have checked before that it is there.
pub(super) fn symbol_names(load: &mut LoadInfo<'_>) -> Finding {
    if load.kernel.rules.symbol_names_checked {
        return Finding::pass();
    }
    let Some(strings) = load.sections.get(load.index.strings).copied() else {
        return Finding::unknown("its symbols have no strings");
    };
    let last = strings.size.checked_sub(1).map(|last| load.bytes.u8(strings.offset + last));
    let outside = (0..load.symbol_count())
        .filter_map(|index| load.symbol(index))
        .any(|symbol| u64::from(symbol.name) >= strings.size);
    match outside || last != Some(0) {
        true => Finding::unknown("the names of its symbols reach beyond their strings"),
        false => Finding::pass(),
    }
}

/// Tables of places in the code, 32 bits each and relative to themselves, that
/// `module_finalize()` (`arch/x86/kernel/module.c`) follows to patch what it finds there.
const PATCHED: [&str; 5] =
    [".retpoline_sites", ".return_sites", ".call_sites", ".ibt_endbr_seal", ".orc_unwind_ip"];
/// `R_X86_64_PC32`.
const R_PC32: u32 = 2;

/// `module_finalize()`: it takes those tables as they are, kept in memory or not.
pub(super) fn patched(load: &mut LoadInfo<'_>) -> Finding {
    for name in PATCHED {
        let Some(&index) = load.find_any(name).last() else { continue };
        let section = load.sections[index];
        if section.size > 0 && (!section.is_alloc() || !is_filled(load, index)) {
            return Finding::unknown(format!("its {name} names places that are not its code"));
        }
    }
    if !returns_are_thunks(load) {
        return Finding::unknown("its .return_sites names places that are no return");
    }
    let entries = |name: &str, bytes: u64| {
        load.find_any(name).last().map(|&index| load.sections[index].size / bytes)
    };
    match entries(".orc_unwind", 6) == entries(".orc_unwind_ip", 4) {
        true => Finding::pass(),
        false => Finding::unknown("its .orc_unwind does not fit its .orc_unwind_ip"),
    }
}

/// `apply_returns()` (`arch/x86/kernel/alternative.c`): each place must jump to the return thunk,
/// or the kernel warns, once.
fn returns_are_thunks(load: &LoadInfo<'_>) -> bool {
    let Some(&index) = load.find_any(".return_sites").last() else { return true };
    let (mut sites, mut thunks) = (Vec::new(), HashSet::new());
    for table in load.sections.iter().filter(|table| table.kind == SHT_RELA) {
        let target = table.info as usize;
        let executable = load.sections.get(target).is_some_and(|s| s.flags & SHF_EXECINSTR != 0);
        if target != index && !executable {
            continue;
        }
        for entry in 0..table.size / RELA_BYTES {
            let rela = Rela::read(&load.bytes, table.offset + entry * RELA_BYTES);
            let Some(symbol) = load.symbol(u64::from(rela.symbol)) else { return false };
            if target == index {
                let at = symbol.value.wrapping_add_signed(rela.addend);
                sites.push((usize::from(symbol.section), at));
            } else if CALLS.contains(&rela.kind)
                && rela.addend == -4
                && load.symbol_name(&symbol) == "__x86_return_thunk"
            {
                thunks.insert((target, rela.offset.wrapping_sub(1)));
            }
        }
    }
    sites.iter().all(|site| thunks.contains(site))
}

/// Whether each entry of such a table has a relocation, to code.
fn is_filled(load: &LoadInfo<'_>, index: usize) -> bool {
    let mut places = HashSet::new();
    for table in &load.sections {
        if table.kind != SHT_RELA || table.info as usize != index {
            continue;
        }
        for entry in 0..table.size / RELA_BYTES {
            let rela = Rela::read(&load.bytes, table.offset + entry * RELA_BYTES);
            let Some(symbol) = load.symbol(u64::from(rela.symbol)) else { return false };
            let Some(code) = load.sections.get(usize::from(symbol.section)) else { return false };
            let at = symbol.value.wrapping_add_signed(rela.addend);
            let is_code = code.is_alloc() && code.flags & SHF_EXECINSTR != 0 && at <= code.size;
            if rela.kind == R_PC32 && is_code {
                places.insert(rela.offset);
            }
        }
    }
    let size = load.sections[index].size;
    size % 4 == 0 && (0..size / 4).all(|entry| places.contains(&(4 * entry)))
}

/// What the kernel takes from `struct module` without asking: where init and exit are.
pub(super) fn this_module(load: &mut LoadInfo<'_>) -> Finding {
    let Some(wanted) = load.kernel.this_module else {
        return Finding::open("where the kernel's struct module has init and exit");
    };
    for table in load.sections.clone() {
        if table.kind != SHT_RELA || table.info as usize != load.index.this_module {
            continue;
        }
        for entry in 0..table.size / RELA_BYTES {
            let rela = Rela::read(&load.bytes, table.offset + entry * RELA_BYTES);
            let known = rela.offset == wanted.init_at || Some(rela.offset) == wanted.exit_at;
            if !known || rela.kind != R_64 || rela.addend != 0 || !is_code(load, &rela) {
                return Finding::unknown(format!(
                    "byte {} of its struct module is not what a build puts there",
                    rela.offset
                ));
            }
        }
    }
    Finding::pass()
}

/// Whether a relocation points to a function of the module itself.
fn is_code(load: &LoadInfo<'_>, rela: &Rela) -> bool {
    let Some(symbol) = load.symbol(u64::from(rela.symbol)) else { return false };
    let section = load.sections.get(usize::from(symbol.section));
    section.is_some_and(|section| {
        let executable = section.flags & (SHF_EXECINSTR | SHF_WRITE) == SHF_EXECINSTR;
        section.is_alloc() && executable && symbol.value < section.size
    })
}

/// `ftrace_module_init()` (`kernel/trace/ftrace.c`): each place that the table names must hold the
/// call that the compiler put there, or the kernel warns and gives tracing up.
pub(super) fn ftrace(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.ftrace {
        return Finding::skip("the kernel traces no functions (no CONFIG_DYNAMIC_FTRACE)");
    }
    let Some(table) = load.find("__mcount_loc") else { return Finding::pass() };
    let count = load.sections[table].size / 8;
    let (mut named, mut calls) = (Vec::new(), HashSet::new());
    for section in &load.sections {
        if section.kind != SHT_RELA {
            continue;
        }
        let target = section.info as usize;
        let executable = load.sections.get(target).is_some_and(|s| s.flags & SHF_EXECINSTR != 0);
        if target != table && !executable {
            continue;
        }
        for entry in 0..section.size / RELA_BYTES {
            let rela = Rela::read(&load.bytes, section.offset + entry * RELA_BYTES);
            let Some(symbol) = load.symbol(u64::from(rela.symbol)) else { continue };
            if target == table {
                named.push((symbol.section, symbol.value.wrapping_add_signed(rela.addend), rela));
            } else if CALLS.contains(&rela.kind) && rela.addend == -4 {
                let name = load.symbol_name(&symbol);
                if name == "__fentry__" {
                    // The opcode stands before the distance.
                    calls.insert((target, rela.offset.wrapping_sub(1)));
                }
            }
        }
    }
    let good = named.iter().filter(|(section, at, rela)| {
        let section = usize::from(*section);
        let opcode = load.sections.get(section).is_some_and(|code| {
            *at < code.size && load.bytes.u8(code.offset.saturating_add(*at)) == 0xe8
        });
        rela.kind == R_64 && rela.offset % 8 == 0 && opcode && calls.contains(&(section, *at))
    });
    match good.count() as u64 == count {
        true => Finding::pass().have(format!("{count} functions")),
        false => Finding::unknown("its __mcount_loc names places that hold no call of __fentry__"),
    }
}

/// `R_X86_64_PC32` and `R_X86_64_PLT32`.
const CALLS: [u32; 2] = [2, 4];

/// `verify_exported_symbols()`: nobody else may export the same name.
pub(super) fn duplicates(load: &mut LoadInfo<'_>) -> Finding {
    let Some(offered) = module_exports::read(load) else {
        return Finding::unknown("its table of exports cannot be followed");
    };
    for one in &offered {
        let Some(found) = load.state.find_symbol(load.kernel, &one.symbol, true) else { continue };
        let owner = found.owner.map_or("kernel", |owner| &owner.name).to_owned();
        let symbol = String::from_utf8_lossy(&one.symbol).into_owned();
        let line = format!("{}: exports duplicate symbol {symbol} (owned by {owner})", load.name);
        return load
            .refuse(Errno::ENOEXEC, line)
            .want(format!("{symbol} exported once"))
            .have(format!("{owner} exports it as well"));
    }
    let count = offered.len();
    load.exports = offered;
    Finding::pass().have(match count {
        0 => String::new(),
        count => format!("{count} exports"),
    })
}

/// `btf_module_notify()` (`kernel/bpf/btf.c`): type information has to fit the kernel's own.
pub(super) fn btf(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.btf {
        return Finding::skip("the kernel reads no BTF (no CONFIG_DEBUG_INFO_BTF_MODULES)");
    }
    let section = load.find_any(".BTF").first().map(|&index| load.sections[index]);
    let Some(section) = section.filter(|section| section.size > 0) else {
        return Finding::pass().have("no .BTF");
    };
    let bytes = load.bytes.slice(section.offset, section.size);
    if !is_btf(bytes) {
        return Finding::unknown("its .BTF is damaged; the kernel's verifier is not modelled");
    }
    let own_base = !load.find_any(".BTF.base").is_empty();
    let release = load.modinfo_value("vermagic").map(|magic| magic.lossy().into_owned());
    let same = release.is_some_and(|magic| {
        magic.split(' ').next().is_some_and(|release| release == load.kernel.release)
    });
    match same {
        true => Finding::pass().have(if own_base { "with a base of its own" } else { "" }),
        false => Finding::unknown("its .BTF was made for another kernel's types"),
    }
}

/// Whether the header fits the section: type and string parts, to its end.
fn is_btf(bytes: &[u8]) -> bool {
    let u32_at = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_le_bytes(bytes)))
    };
    let fits = || {
        let magic = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
        let (header, strings_at, strings) = (u32_at(4)?, u32_at(16)?, u32_at(20)?);
        let end = header + strings_at + strings;
        Some(magic == BTF_MAGIC && bytes.get(2) == Some(&1) && end == bytes.len() as u64)
    };
    fits().unwrap_or(false)
}

/// `mod_sysfs_setup()` (`kernel/module/sysfs.c`): its folder, and a file for each section.
pub(super) fn sysfs(load: &mut LoadInfo<'_>) -> Finding {
    let name = load.name.clone();
    match &load.kernel.sysfs_names {
        Some(names) if names.contains(&name) => {
            return load
                .refuse(Errno::EINVAL, format!("{name}: module is already loaded"))
                .want("a name that is not in /sys/module")
                .have(format!("{name}, which is built in"));
        }
        None if load.kernel.builtin_names.contains(&name) => {
            return Finding::unknown(format!("{name} is built in, and may be in /sys/module"));
        }
        _ => {}
    }
    let mut seen = HashSet::new();
    for (index, section) in load.sections.iter().enumerate() {
        let kept = [load.index.symbols, load.index.strings].contains(&index);
        if section.size == 0 || !(section.is_alloc() || kept) {
            continue;
        }
        let section_name = load.section_name(index);
        let bad = section_name.is_empty() || section_name.bytes().contains(&b'/');
        if bad || !seen.insert(section_name) {
            return Finding::unknown(format!(
                "section {index} has a name that no file beside the others' can have, \
                 {section_name:?}: the kernel dumps its stack"
            ));
        }
    }
    Finding::pass()
}

/// `do_init_module()`: from here on the module's own code decides.
pub(super) fn init(_: &mut LoadInfo<'_>) -> Finding {
    Finding::open("what the module's own init returns, which only its run tells")
}
