//! The table of traceable functions.

use std::collections::HashSet;

use super::finalize_x86::{calls, points_to};
use crate::{load_info::LoadInfo, raw_elf::R_X86_64_64, verdict::Finding};

/// The opcode of a call.
const CALL: u8 = 0xe8;

/// `ftrace_module_init()` (`kernel/trace/ftrace.c`): at each place that the table names must be
/// the call that the compiler put there, or the kernel warns and gives tracing up.
pub(super) fn ftrace(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.ftrace {
        return Finding::skip("the kernel traces no functions (no CONFIG_DYNAMIC_FTRACE)");
    }
    let Some(table) = load.find_sec("__mcount_loc") else { return Finding::pass() };
    let count = load.sections[table].size / 8;
    let (mut named, mut called) = (Vec::new(), HashSet::new());
    for relocation in load.relas_where(|of| of == table || load.is_executable(of)) {
        if relocation.target != table {
            called.extend(calls(load, &relocation, "__fentry__"));
        } else if let Some(place) = points_to(load, &relocation) {
            named.push((place, relocation.rela));
        }
    }
    let good = named.iter().filter(|(place, rela)| {
        let is_call = load
            .sections
            .get(place.0)
            .is_some_and(|code| place.1 < code.size && load.elf.u8(code.at(place.1)) == CALL);
        rela.kind == R_X86_64_64 && rela.offset % 8 == 0 && is_call && called.contains(place)
    });
    if good.count() as u64 != count {
        return Finding::unknown("its __mcount_loc names places that hold no call of __fentry__");
    }
    Finding::pass().have(format!("{count} functions"))
}
