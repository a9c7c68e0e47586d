//! The module's memory (`layout_and_allocate()`, `percpu_modalloc()`).

use crate::{
    errno::Errno,
    load_info::LoadInfo,
    raw_elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_NULL},
    verdict::Finding,
};

/// `PAGE_SIZE`.
const PAGE_BYTES: u64 = 4096;
/// More than any module is aligned to.
const ALIGN_MAX: u64 = 1 << 16;
/// Less than the kernel can give a module in any case.
const MEMORY_MAX: u64 = 64 << 20;
/// `PERCPU_MODULE_RESERVE` (`include/linux/percpu.h`), which all modules share.
const PERCPU_MAX: u64 = 8 << 10;
/// Where `name` stands in `struct module`.
const NAME: std::ops::Range<usize> = 24..80;

/// `module_enforce_rwx_sections()` (`kernel/module/strict_rwx.c`).
pub(super) fn write_execute(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.strict_rwx {
        return Finding::skip("the kernel does not mind (no CONFIG_STRICT_MODULE_RWX)");
    }
    let both = SHF_WRITE | SHF_EXECINSTR;
    let bad = load.sections.iter().position(|section| section.flags & both == both);
    let Some(index) = bad else { return Finding::pass() };
    let section = load.section_name(index).lossy().into_owned();
    let name = load.name.clone();
    let line = format!("{name}: section {section} (index {index}) has invalid WRITE|EXEC flags");
    load.refuse(Errno::ENOEXEC, line).want("no section both writable and executable").have(section)
}

/// `layout_sections()` and `move_module()`: they do not check what they lay out. No linker makes
/// what is singled out here, and what the kernel then does cannot be decided offline.
pub(super) fn layout(load: &mut LoadInfo<'_>) -> Finding {
    let percpu = load.index.percpu;
    if let Some(section) = load.sections.get_mut(percpu) {
        section.flags &= !SHF_ALLOC;
    }
    let mut bytes = 0u64;
    let laid_out = |&(index, _): &(usize, &_)| load.is_in_memory(index);
    for (index, section) in load.sections.iter().enumerate().filter(laid_out) {
        if section.align > ALIGN_MAX || section.align & section.align.wrapping_sub(1) != 0 {
            let align = section.align;
            return Finding::unknown(format!(
                "section {index} has the alignment {align}, which no linker gives"
            ));
        }
        if section.kind == SHT_NULL && section.size > 0 {
            return Finding::unknown(format!(
                "section {index} has no type but SHF_ALLOC, so that its bounds are not checked"
            ));
        }
        bytes = bytes.saturating_add(section.size);
    }
    if bytes > MEMORY_MAX {
        return Finding::unknown(format!("it wants {bytes} bytes of memory: only its load tells"));
    }
    let this_module = load.sections[load.index.this_module];
    if let Some(wanted) = load.kernel.this_module.filter(|wanted| wanted.bytes != this_module.size)
    {
        let (have, want) = (this_module.size, wanted.bytes);
        return Finding::unknown(format!(
            "its struct module has {have} bytes and the kernel's {want}, which this kernel does \
             not check: build it against the headers of {}",
            load.kernel.release
        ));
    }
    let struct_module = load.elf.slice(this_module.offset, this_module.size);
    if struct_module.iter().enumerate().any(|(at, &byte)| byte != 0 && !NAME.contains(&at)) {
        return Finding::unknown("its struct module has values that no build puts there");
    }
    if this_module.flags & (SHF_WRITE | SHF_EXECINSTR) != SHF_WRITE {
        return Finding::unknown("the kernel cannot write to its struct module");
    }
    Finding::pass()
}

/// `percpu_modalloc()`.
pub(super) fn percpu(load: &mut LoadInfo<'_>) -> Finding {
    let section = load.sections[load.index.percpu];
    if load.index.percpu == 0 || section.size == 0 {
        return Finding::pass();
    }
    if section.align > PAGE_BYTES {
        let (name, align) = (load.name.clone(), section.align as i64);
        load.say(format!("{name}: per-cpu alignment {align} > {PAGE_BYTES}"));
    }
    if section.size > PERCPU_MAX {
        return Finding::unknown(format!(
            "it wants {} bytes on each processor, of {PERCPU_MAX} for all modules: only its load \
             tells",
            section.size
        ));
    }
    Finding::pass().have(format!("{} bytes", section.size))
}
