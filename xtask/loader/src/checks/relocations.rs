//! The relocations (`apply_relocations()`, and `__write_relocate_add()` of
//! `arch/x86/kernel/module.c`).

use std::collections::HashMap;

use crate::{
    errno::Errno,
    load_info::{LoadInfo, SectionRela, SymbolValue},
    log_line::ADDRESS,
    raw_elf::{
        R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PC64,
        R_X86_64_PLT32, RELA_BYTES, Rela, SHF_RELA_LIVEPATCH, SHT_NOBITS, SHT_REL, SHT_RELA,
    },
    struct_module::ThisModule,
    verdict::Finding,
};

/// Module and kernel code lie in the upper 2 GiB; an address this far from a symbol may not.
const NEAR: u64 = 1 << 30;

/// The bytes of a section that relocations have written, one bit each.
type Written = HashMap<usize, Vec<u64>>;

/// `apply_relocations()`.
pub(super) fn relocations(load: &mut LoadInfo<'_>) -> Finding {
    let mut written = Written::new();
    let mut bytes = 0u64;
    for index in 1..load.sections.len() {
        let table = load.sections[index];
        let target = table.info as usize;
        if target >= usize::from(load.header.section_count) || !is_relocated(load, target) {
            continue;
        }
        if table.flags & SHF_RELA_LIVEPATCH != 0 {
            return Finding::unknown(format!(
                "section {index} is a livepatch's own relocations, which are not modeled: only \
                 its load tells"
            ));
        }
        if table.kind == SHT_RELA {
            bytes = bytes.saturating_add(table.size);
            if !load.elf.holds_tables(bytes) {
                break;
            }
        }
        let finding = match table.kind {
            SHT_REL => Some(rel_unsupported(load)),
            SHT_RELA => apply_table(load, index, target, &mut written),
            _ => None,
        };
        if let Some(finding) = finding {
            return finding;
        }
    }
    Finding::pass()
}

fn is_relocated(load: &LoadInfo<'_>, target: usize) -> bool {
    let percpu = load.kernel.rules.percpu_relocations && target != 0;
    load.is_in_memory(target) || (percpu && target == load.index.percpu)
}

/// `apply_relocate()` (`include/linux/moduleloader.h`): x86-64 has no relocations without addend.
fn rel_unsupported(load: &mut LoadInfo<'_>) -> Finding {
    let line = format!("module {}: REL relocation unsupported", load.name);
    load.refuse(Errno::ENOEXEC, line).want("relocations with addends").have("SHT_REL")
}

fn apply_table(
    load: &mut LoadInfo<'_>,
    table: usize,
    target: usize,
    written: &mut Written,
) -> Option<Finding> {
    let section = load.sections[table];
    (0..section.size / RELA_BYTES).find_map(|entry| {
        let rela = Rela::read(&load.elf, section.at(entry * RELA_BYTES));
        apply(load, &SectionRela { table, entry, target, rela }, written)
    })
}

/// An answer about one relocation that no check of the kernel's protects.
fn unchecked(place: &SectionRela, what: &str) -> Option<Finding> {
    let SectionRela { table, entry, .. } = place;
    Some(Finding::unknown(format!("relocation {entry} of section {table} {what}")))
}

fn apply(load: &mut LoadInfo<'_>, place: &SectionRela, written: &mut Written) -> Option<Finding> {
    let rela = &place.rela;
    // The kernel reads the symbol before it looks at the type. It checks neither the symbol's
    // index nor where the relocation writes.
    let Some(&value) = load.values.get(rela.symbol as usize) else {
        return unchecked(place, "is against a symbol that is not there");
    };
    let size = match rela.kind {
        R_X86_64_NONE => return None,
        R_X86_64_64 | R_X86_64_PC64 => 8,
        R_X86_64_32 | R_X86_64_32S | R_X86_64_PC32 | R_X86_64_PLT32 => 4,
        kind => {
            let line = format!("module: {}: Unknown rela relocation: {kind}", load.name);
            let finding = load.refuse(Errno::ENOEXEC, line);
            return Some(finding.want("a type that modules use").have(kind.to_string()));
        }
    };
    let section = load.sections[place.target];
    if rela.offset.checked_add(size).is_none_or(|end| end > section.size) {
        return unchecked(place, "writes outside its section");
    }
    let overflow_first = load.kernel.rules.overflow_before_target;
    if let Some(finding) = overflow_first.then(|| overflow(load, place, value)).flatten() {
        return Some(finding);
    }
    if is_filled(load, place) {
        return unchecked(place, "writes to what the kernel has filled by then");
    }
    if mark(written.entry(place.target).or_default(), rela.offset, size) {
        return unchecked(place, "writes where another has written");
    }
    let existing = match section.kind {
        SHT_NOBITS => &[],
        _ => load.elf.slice(section.at(rela.offset), size),
    };
    if existing.iter().any(|&byte| byte != 0) {
        return Some(nonzero(load, place));
    }
    if overflow_first { None } else { overflow(load, place, value) }
}

/// `true` if a place is in memory that differs from the file: the symbols' values are set by
/// then, and so is `struct module` but for init and exit.
fn is_filled(load: &LoadInfo<'_>, place: &SectionRela) -> bool {
    let at = place.rela.offset;
    let is_own = |known: ThisModule| at == known.init_at || Some(at) == known.exit_at;
    place.target == load.index.symbols
        || place.target == load.index.this_module
            && load.kernel.this_module.is_some_and(|known| !is_own(known))
}

/// Marks bytes as written; whether one of them was before.
fn mark(bits: &mut Vec<u64>, offset: u64, size: u64) -> bool {
    let mut is_again = false;
    for at in offset..offset + size {
        let (word, bit) = ((at / 64) as usize, 1 << (at % 64));
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        is_again |= bits[word] & bit != 0;
        bits[word] |= bit;
    }
    is_again
}

/// `R_X86_64_32` and `R_X86_64_32S` must hold the whole value.
fn overflow(load: &mut LoadInfo<'_>, place: &SectionRela, value: SymbolValue) -> Option<Finding> {
    let rela = &place.rela;
    if ![R_X86_64_32, R_X86_64_32S].contains(&rela.kind) {
        return None;
    }
    let fits = |value: u64| match rela.kind {
        R_X86_64_32 => value == u64::from(value as u32),
        _ => value as i64 == i64::from(value as i32),
    };
    let shown = match value {
        SymbolValue::Number(number) => {
            let number = number.wrapping_add_signed(rela.addend);
            if fits(number) {
                return None;
            }
            format!("{number:x}")
        }
        SymbolValue::Kernel(offset) => {
            if offset >= NEAR || rela.addend.unsigned_abs() >= NEAR {
                return unchecked(place, "is too far from its symbol");
            }
            if rela.kind == R_X86_64_32S {
                return None;
            }
            ADDRESS.to_owned()
        }
        SymbolValue::PerCpu if rela.kind == R_X86_64_32S => return None,
        SymbolValue::PerCpu => {
            return unchecked(place, "is of per-CPU data, whose address differs");
        }
        SymbolValue::Far => ADDRESS.to_owned(),
    };
    let SectionRela { table, entry, rela: Rela { kind, .. }, .. } = place;
    let mut line = format!("module: overflow in relocation type {kind} val {shown}");
    if load.kernel.rules.percpu_relocations {
        line.push_str(&format!(" sec {table} idx {entry}"));
    }
    load.say(line);
    let line = format!("module: `{}' likely not compiled with -mcmodel=kernel", load.name);
    let finding = load.refuse(Errno::ENOEXEC, line);
    let have = format!("relocation {entry} of section {table} has more");
    Some(finding.want("a value of 32 bits").have(have))
}

/// The bytes that a relocation fills must be zero in the file.
fn nonzero(load: &mut LoadInfo<'_>, place: &SectionRela) -> Finding {
    let SectionRela { table, entry, rela: Rela { kind, .. }, .. } = place;
    let which = if load.kernel.rules.percpu_relocations {
        format!("sec {table}, idx {entry}, type {kind}")
    } else {
        format!("type {kind}")
    };
    let what =
        if load.kernel.rules.overflow_before_target { "Invalid" } else { "Skipping invalid" };
    let line = format!(
        "module: x86/modules: {what} relocation target, existing value is nonzero for {which}, loc \
         {ADDRESS}, val {ADDRESS}"
    );
    load.refuse(Errno::ENOEXEC, line)
        .want("zeros where a relocation writes")
        .have(format!("relocation {entry} of section {table} writes over something"))
}
