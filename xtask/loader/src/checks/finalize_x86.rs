//! The parts of the module that `module_finalize()` and its successors take unchecked
//! (`arch/x86/kernel/module.c`, `kernel/module/kallsyms.c`): where a table is not as a compiler
//! makes it, what the kernel does cannot be decided offline.

use std::collections::HashSet;

use crate::{
    load_info::{LoadInfo, SectionRela},
    raw_elf::{R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32, SHF_WRITE, SHT_NOBITS, Shdr},
    verdict::Finding,
};

/// `add_kallsyms()` (`kernel/module/kallsyms.c`) reads every symbol's name out of the strings in
/// memory. Kernels with `symbol_names_checked` have checked before that it is there.
pub(super) fn symbol_names(load: &mut LoadInfo<'_>) -> Finding {
    if load.kernel.rules.symbol_names_checked {
        return Finding::pass();
    }
    let Some(strings) = load.sections.get(load.index.strings).copied() else {
        return Finding::unknown("its symbols have no strings");
    };
    let last = strings.size.checked_sub(1).map(|last| load.elf.u8(strings.at(last)));
    let outside = (0..load.symbol_count())
        .map_while(|index| load.symbol(index))
        .any(|symbol| u64::from(symbol.name) >= strings.size);
    if outside || last != Some(0) {
        return Finding::unknown("the names of its symbols reach beyond their strings");
    }
    Finding::pass()
}

/// Tables of places in the code, 32 bits each and relative to themselves, with the first bytes that
/// may stand at a place, where that matters. `module_finalize()` patches what it finds there, and
/// warns, once, of other instructions (`arch/x86/kernel/alternative.c`, 7.3): `apply_retpolines()`
/// wants a call or a jump, or the prefix of one, `apply_returns()` a jump.
const PATCHED: [(&str, &[u8]); 5] = [
    (".retpoline_sites", &[0xe8, 0xe9, 0x0f, 0x2e]),
    (".return_sites", &[0xe9]),
    (".call_sites", &[]),
    (".ibt_endbr_seal", &[]),
    (".orc_unwind_ip", &[]),
];

/// `module_finalize()`: it follows these tables as they are, with `SHF_ALLOC` or without.
pub(super) fn patched(load: &mut LoadInfo<'_>) -> Finding {
    for (name, opcodes) in PATCHED {
        let Some(&index) = load.find_any_sec(name).last() else { continue };
        let section = load.sections[index];
        if section.size > 0 && (!section.is_alloc() || !is_filled(load, index, opcodes)) {
            return Finding::unknown(format!("its {name} names places that are not its code"));
        }
    }
    if !returns_are_thunks(load) {
        return Finding::unknown("its .return_sites names places that are no return");
    }
    let entries = |name: &str, bytes: u64| {
        load.find_any_sec(name).last().map(|&index| load.sections[index].size / bytes)
    };
    if entries(".orc_unwind", 6) != entries(".orc_unwind_ip", 4) {
        return Finding::unknown("its .orc_unwind does not fit its .orc_unwind_ip");
    }
    Finding::pass()
}

/// Where the symbol of a relocation points to: a section and an offset in it.
pub(super) fn points_to(load: &LoadInfo<'_>, relocation: &SectionRela) -> Option<(usize, u64)> {
    let symbol = load.symbol(u64::from(relocation.rela.symbol))?;
    Some((usize::from(symbol.section), symbol.value.wrapping_add_signed(relocation.rela.addend)))
}

/// The place of the opcode, when a relocation is the distance of a call or jump to this symbol.
pub(super) fn calls(
    load: &LoadInfo<'_>,
    relocation: &SectionRela,
    symbol: &str,
) -> Option<(usize, u64)> {
    let rela = &relocation.rela;
    let is_call = [R_X86_64_PC32, R_X86_64_PLT32].contains(&rela.kind) && rela.addend == -4;
    let called = load.symbol(u64::from(rela.symbol)).filter(|_| is_call)?;
    load.symbol_is_named(&called, symbol).then(|| (relocation.target, rela.offset.wrapping_sub(1)))
}

/// `apply_returns()` (`arch/x86/kernel/alternative.c`): each place must jump to the return thunk,
/// or the kernel warns, once.
fn returns_are_thunks(load: &LoadInfo<'_>) -> bool {
    let Some(&index) = load.find_any_sec(".return_sites").last() else { return true };
    let (mut sites, mut thunks) = (Vec::new(), HashSet::new());
    for relocation in load.relas_where(|of| of == index || load.is_executable(of)) {
        if relocation.target == index {
            let Some(place) = points_to(load, &relocation) else { return false };
            sites.push(place);
        } else {
            thunks.extend(calls(load, &relocation, "__x86_return_thunk"));
        }
    }
    sites.iter().all(|site| thunks.contains(site))
}

/// `true` if each entry of such a table has a relocation, to code that begins with one of these.
fn is_filled(load: &LoadInfo<'_>, index: usize, opcodes: &[u8]) -> bool {
    let begins = |code: &Shdr, at: u64| {
        let is_there = code.kind != SHT_NOBITS && at < code.size;
        opcodes.is_empty() || is_there && opcodes.contains(&load.elf.u8(code.at(at)))
    };
    let mut places = HashSet::new();
    for relocation in load.relas_of(index) {
        let Some((section, at)) = points_to(load, &relocation) else { return false };
        let Some(code) = load.sections.get(section) else { return false };
        let is_code = code.is_alloc() && code.is_executable() && at <= code.size;
        if relocation.rela.kind == R_X86_64_PC32 && is_code && begins(code, at) {
            places.insert(relocation.rela.offset);
        }
    }
    let size = load.sections[index].size;
    size % 4 == 0 && (0..size / 4).all(|entry| places.contains(&(4 * entry)))
}

/// The kernel takes from `struct module` where init and exit are, and checks neither.
pub(super) fn this_module(load: &mut LoadInfo<'_>) -> Finding {
    let Some(wanted) = load.kernel.this_module else {
        return Finding::open("where the kernel's struct module has init and exit");
    };
    let is_odd = |relocation: &SectionRela| {
        let rela = &relocation.rela;
        let is_known = rela.offset == wanted.init_at || Some(rela.offset) == wanted.exit_at;
        !is_known || rela.kind != R_X86_64_64 || rela.addend != 0 || !is_function(load, relocation)
    };
    let odd = load.relas_of(load.index.this_module).find(is_odd);
    match odd {
        None => Finding::pass(),
        Some(relocation) => Finding::unknown(format!(
            "byte {} of its struct module is not what a build puts there",
            relocation.rela.offset
        )),
    }
}

/// `true` if a relocation points to a function of the module itself.
fn is_function(load: &LoadInfo<'_>, relocation: &SectionRela) -> bool {
    let Some((section, at)) = points_to(load, relocation) else { return false };
    let is_code =
        |code: &Shdr| code.is_alloc() && code.is_executable() && code.flags & SHF_WRITE == 0;
    load.sections.get(section).is_some_and(|code| is_code(code) && at < code.size)
}
