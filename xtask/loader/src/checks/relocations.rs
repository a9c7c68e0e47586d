//! The relocations (`apply_relocations()`, and `__write_relocate_add()` of
//! `arch/x86/kernel/module.c`).

use std::collections::HashMap;

use super::super::{
    errno::Errno,
    load_info::{LoadInfo, Value},
    raw_elf::{RELA_BYTES, Rela, SHF_RELA_LIVEPATCH},
    verdict::{ADDRESS, Finding},
};

const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;
const SHT_RELA: u32 = 4;

const R_NONE: u32 = 0;
const R_64: u32 = 1;
const R_PC32: u32 = 2;
const R_PLT32: u32 = 4;
const R_32: u32 = 10;
const R_32S: u32 = 11;
const R_PC64: u32 = 24;

/// Module and kernel code lie in the upper 2 GiB; what is further from a symbol than this may not.
const NEAR: u64 = 1 << 30;

/// The bytes of a section that relocations have written, one bit each.
type Written = HashMap<usize, Vec<u64>>;

/// `apply_relocations()`.
pub(super) fn relocations(load: &mut LoadInfo<'_>) -> Finding {
    let mut written = Written::new();
    for index in 1..load.sections.len() {
        let table = load.sections[index];
        let target = table.info as usize;
        if target >= usize::from(load.header.section_count) || !is_relocated(load, target) {
            continue;
        }
        if table.flags & SHF_RELA_LIVEPATCH != 0 {
            return Finding::unknown(format!("section {index} is a livepatch's own relocations"));
        }
        let finding = match table.kind {
            SHT_REL => rel_unsupported(load),
            SHT_RELA => table_of(load, index, target, &mut written),
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
    // `layout_symtab()` keeps the symbols and their strings.
    let kept = [load.index.symbols, load.index.strings].contains(&target);
    load.sections[target].is_alloc() || kept || (percpu && target == load.index.percpu)
}

/// `apply_relocate()` of `include/linux/moduleloader.h`: x86-64 has no relocations without addend.
fn rel_unsupported(load: &mut LoadInfo<'_>) -> Option<Finding> {
    let line = format!("module {}: REL relocation unsupported", load.name);
    Some(load.refuse(Errno::ENOEXEC, line).want("relocations with addends").have("SHT_REL"))
}

fn table_of(
    load: &mut LoadInfo<'_>,
    index: usize,
    target: usize,
    written: &mut Written,
) -> Option<Finding> {
    let table = load.sections[index];
    for entry in 0..table.size / RELA_BYTES {
        let rela = Rela::read(&load.bytes, table.offset + entry * RELA_BYTES);
        let place = Place { table: index, entry, target };
        if let Some(finding) = one(load, &place, &rela, written) {
            return Some(finding);
        }
    }
    None
}

/// Where a relocation stands, and in which section it writes.
struct Place {
    table: usize,
    entry: u64,
    target: usize,
}

impl Place {
    fn of(&self, what: &str) -> String {
        let Self { table, entry, .. } = self;
        format!("relocation {entry} of section {table} {what}")
    }
}

fn one(
    load: &mut LoadInfo<'_>,
    place: &Place,
    rela: &Rela,
    written: &mut Written,
) -> Option<Finding> {
    // The kernel reads the symbol before it looks at the type, and checks neither its index nor
    // where the relocation writes.
    let Some(&value) = load.values.get(rela.symbol as usize) else {
        return Some(Finding::unknown(place.of("is against a symbol that is not there")));
    };
    let size = match rela.kind {
        R_NONE => return None,
        R_64 | R_PC64 => 8,
        R_32 | R_32S | R_PC32 | R_PLT32 => 4,
        kind => {
            let line = format!("module: {}: Unknown rela relocation: {kind}", load.name);
            let finding = load.refuse(Errno::ENOEXEC, line);
            return Some(finding.want("a type that modules use").have(kind.to_string()));
        }
    };
    let section = load.sections[place.target];
    if rela.offset.checked_add(size).is_none_or(|end| end > section.size) {
        return Some(Finding::unknown(place.of("writes outside its section")));
    }
    if let Some(finding) = overflow(load, place, rela, value) {
        return Some(finding);
    }
    if mark(written.entry(place.target).or_default(), rela.offset, size) {
        return Some(Finding::unknown(place.of("writes where another has written")));
    }
    let existing = match section.kind {
        SHT_NOBITS => &[],
        _ => load.bytes.slice(section.offset + rela.offset, size),
    };
    match existing.iter().any(|&byte| byte != 0) {
        true => Some(nonzero(load, place, rela)),
        false => None,
    }
}

/// Marks bytes as written; whether one of them was before.
fn mark(bits: &mut Vec<u64>, offset: u64, size: u64) -> bool {
    let mut again = false;
    for at in offset..offset + size {
        let (word, bit) = ((at / 64) as usize, 1 << (at % 64));
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        again |= bits[word] & bit != 0;
        bits[word] |= bit;
    }
    again
}

/// `R_X86_64_32` and `R_X86_64_32S` must hold the whole value.
fn overflow(load: &mut LoadInfo<'_>, place: &Place, rela: &Rela, value: Value) -> Option<Finding> {
    if ![R_32, R_32S].contains(&rela.kind) {
        return None;
    }
    let fits = |value: u64| match rela.kind {
        R_32 => value == u64::from(value as u32),
        _ => value as i64 == i64::from(value as i32),
    };
    let shown = match value {
        Value::Number(number) => {
            let number = number.wrapping_add_signed(rela.addend);
            if fits(number) {
                return None;
            }
            format!("{number:x}")
        }
        Value::Kernel(offset) => {
            if offset >= NEAR || rela.addend.unsigned_abs() >= NEAR {
                return Some(Finding::unknown(place.of("is too far from its symbol")));
            }
            if rela.kind == R_32S {
                return None;
            }
            ADDRESS.to_owned()
        }
        Value::PerCpu if rela.kind == R_32S => return None,
        Value::PerCpu => {
            return Some(Finding::unknown(place.of("is of per-CPU data, whose place differs")));
        }
        Value::Far => ADDRESS.to_owned(),
    };
    let (kind, Place { table, entry, .. }) = (rela.kind, place);
    let line = match load.kernel.rules.percpu_relocations {
        true => format!(
            "module: overflow in relocation type {kind} val {shown} sec {table} idx {entry}"
        ),
        false => format!("module: overflow in relocation type {kind} val {shown}"),
    };
    load.say(line);
    let line = format!("module: `{}' likely not compiled with -mcmodel=kernel", load.name);
    let finding = load.refuse(Errno::ENOEXEC, line);
    Some(finding.want("a value of 32 bits").have(place.of("has more")))
}

/// The place that a relocation fills must be empty in the file.
fn nonzero(load: &mut LoadInfo<'_>, place: &Place, rela: &Rela) -> Finding {
    let (kind, Place { table, entry, .. }) = (rela.kind, place);
    let which = match load.kernel.rules.percpu_relocations {
        true => format!("sec {table}, idx {entry}, type {kind}"),
        false => format!("type {kind}"),
    };
    let line = format!(
        "module: x86/modules: Invalid relocation target, existing value is nonzero for {which}, \
         loc {ADDRESS}, val {ADDRESS}"
    );
    load.refuse(Errno::ENOEXEC, line)
        .want("zeros where a relocation writes")
        .have(place.of("writes over something"))
}
