//! Memory and the marks of a load (`layout_and_allocate()`, `module_augment_kernel_taints()`).

use super::super::{
    errno::Errno,
    kernel_state::OnceMessage,
    load_info::LoadInfo,
    raw_elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE},
    taints::Taints,
    verdict::Finding,
};

const SHT_NULL: u32 = 0;
/// `PAGE_SIZE`.
const PAGE_BYTES: u64 = 4096;
/// More than any module is aligned to.
const ALIGN_MAX: u64 = 1 << 16;
/// Below what the kernel can give a module in any case.
const MEMORY_MAX: u64 = 64 << 20;
/// `PERCPU_MODULE_RESERVE` (`include/linux/percpu.h`), which all modules share.
const PERCPU_MAX: u64 = 8 << 10;

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

/// `layout_sections()` and `move_module()`: they do not check what they lay out, so what no
/// linker makes ends nobody knows how.
pub(super) fn layout(load: &mut LoadInfo<'_>) -> Finding {
    let percpu = load.index.percpu;
    if let Some(section) = load.sections.get_mut(percpu) {
        section.flags &= !SHF_ALLOC;
    }
    let mut bytes = 0u64;
    for (index, section) in load.sections.iter().enumerate().filter(|(_, s)| s.is_alloc()) {
        if section.align > ALIGN_MAX || section.align & section.align.wrapping_sub(1) != 0 {
            let align = section.align;
            return Finding::unknown(format!(
                "the alignment of section {index}, {align}, is none that a linker gives"
            ));
        }
        if section.kind == SHT_NULL && section.size > 0 {
            return Finding::unknown(format!(
                "section {index} has no type but is kept in memory: its bounds are not checked"
            ));
        }
        bytes = bytes.saturating_add(section.size);
    }
    if bytes > MEMORY_MAX {
        return Finding::unknown(format!("it wants {bytes} bytes of memory"));
    }
    let this_module = load.sections[load.index.this_module];
    let struct_module = load.bytes.slice(this_module.offset, this_module.size);
    let name = 24..80;
    if struct_module.iter().enumerate().any(|(at, &byte)| byte != 0 && !name.contains(&at)) {
        return Finding::unknown("its struct module has values that no build puts there");
    }
    if this_module.flags & (SHF_WRITE | SHF_EXECINSTR) != SHF_WRITE {
        return Finding::unknown("the kernel cannot write to its struct module");
    }
    Finding::pass()
}

/// `module_augment_kernel_taints()`: it refuses nothing.
pub(super) fn taints(load: &mut LoadInfo<'_>) -> Finding {
    let name = load.name.clone();
    let was_proprietary = load.state.taints.has(Taints::PROPRIETARY);
    if load.modinfo_value("intree").is_none() {
        if !load.state.taints.has(Taints::OUT_OF_TREE) {
            load.say(format!("{name}: loading out-of-tree module taints kernel."));
        }
        load.taint(Taints::OUT_OF_TREE);
    }
    retpoline(load);
    if load.modinfo_value("staging").is_some() {
        load.taint(Taints::STAGING);
        load.say(format!(
            "{name}: module is from the staging directory, the quality is unknown, you have been \
             warned."
        ));
    }
    if load.modinfo_value("livepatch").is_some() {
        load.taint(Taints::LIVEPATCH);
        load.say_once(
            OnceMessage::Livepatch,
            format!("{name}: tainting kernel with TAINT_LIVEPATCH"),
        );
    }
    license(load);
    if load.modinfo_value("test").is_some() {
        if !load.state.taints.has(Taints::TEST) {
            load.say(format!("{name}: loading test module taints kernel."));
        }
        load.taint(Taints::TEST);
    }
    if load.signed == Some(false) {
        load.say_once(
            OnceMessage::Unsigned,
            format!(
                "{name}: module verification failed: signature and/or required key missing - \
                 tainting kernel"
            ),
        );
        load.taint(Taints::UNSIGNED);
    }
    match name.as_str() {
        "ndiswrapper" => load.taint_kernel(Taints::PROPRIETARY),
        "driverloader" | "lve" => load.taint(Taints::PROPRIETARY),
        _ => {}
    }
    if !was_proprietary && load.state.taints.has(Taints::PROPRIETARY) {
        load.say(format!("{name}: module license taints kernel."));
    }
    Finding::pass().have(load.taints.to_string())
}

/// `check_modinfo_retpoline()` and `retpoline_module_ok()` (`arch/x86/kernel/cpu/bugs.c`).
fn retpoline(load: &mut LoadInfo<'_>) {
    let vulnerable = load.kernel.spectre_v2 == Some(true) && load.kernel.options.retpoline;
    if vulnerable && load.modinfo_value("retpoline").is_none() {
        load.say("Spectre V2 : System may be vulnerable to spectre v2".into());
        let name = load.name.clone();
        load.say(format!("{name}: loading module not compiled with retpoline compiler."));
    }
}

/// `module_license_taint_check()` and `license_is_gpl_compatible()` (`include/linux/license.h`).
fn license(load: &mut LoadInfo<'_>) {
    let license = load.modinfo_value("license").map(|text| text.lossy().into_owned());
    let license = license.unwrap_or_else(|| "unspecified".into());
    if GPL_COMPATIBLE.contains(&license.as_str()) {
        return;
    }
    if !load.state.taints.has(Taints::PROPRIETARY) {
        let name = load.name.clone();
        load.say(format!("{name}: module license '{license}' taints kernel."));
    }
    load.taint(Taints::PROPRIETARY);
}

/// The licenses that `license_is_gpl_compatible()` knows.
const GPL_COMPATIBLE: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

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
    match section.size > PERCPU_MAX {
        true => Finding::unknown(format!("it wants {} bytes on each processor", section.size)),
        false => Finding::pass().have(format!("{} bytes", section.size)),
    }
}
