//! BTF: type information for BPF.

use crate::{
    btf::{Misfit, has_parts, parse_module},
    kernel_state::OnceMessage,
    load_info::LoadInfo,
    log_line::LINES,
    verdict::Finding,
};

/// `btf_module_notify()` (`kernel/bpf/btf.c`): the types must fit the kernel's own, or the module
/// is refused, unless the kernel was built to take it all the same.
pub(super) fn btf(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.btf {
        return Finding::skip("the kernel reads no BTF (no CONFIG_DEBUG_INFO_BTF_MODULES)");
    }
    let Some(bytes) = section(load, ".BTF") else { return Finding::pass().have("no .BTF") };
    let base = section(load, ".BTF.base").filter(|_| load.kernel.rules.btf_base);
    let Some(kernel) = &load.kernel.btf else { return without_kernels(load, bytes) };
    let fit = parse_module(bytes, base, kernel, &load.kernel.rules);
    let Err(Misfit { errno, lines, what }) = fit else {
        return Finding::pass().have(if base.is_some() { "with a base of its own" } else { "" });
    };
    if lines.is_empty() {
        // The verifier names the type (`btf_verifier_log_type()`).
        load.say(format!("BPF: {LINES}"));
    }
    lines.into_iter().for_each(|line| load.say(line));
    if load.kernel.options.btf_mismatch_allowed {
        let line = "Kernel module BTF mismatch detected, BTF debug info may be unavailable for \
                    some modules";
        load.say_once(OnceMessage::BtfMismatch, line.into());
        return Finding::pass().have(format!("BTF that does not fit: {what}"));
    }
    let line = format!("failed to validate module [{}] BTF: -{}", load.name, errno.number());
    load.refuse(errno, line).want("BTF that fits the kernel's own").have(what)
}

/// The bytes of a section (`any_section_objs()`); none where it is absent or empty.
fn section<'a>(load: &LoadInfo<'a>, name: &str) -> Option<&'a [u8]> {
    let index = *load.find_any_sec(name).first()?;
    let section = load.sections[index];
    (section.size > 0).then(|| load.elf.slice(section.offset, section.size))
}

/// The answer without the kernel's own types: those of its own release fit.
fn without_kernels(load: &LoadInfo<'_>, bytes: &[u8]) -> Finding {
    if load.kernel.options.btf_mismatch_allowed {
        return Finding::open("whether the kernel warns about its BTF, as its own is not known");
    }
    let magic = load.modinfo_value("vermagic").map(|magic| magic.lossy().into_owned());
    let is_same_release = magic.is_some_and(|magic| {
        magic.split(' ').next().is_some_and(|release| release == load.kernel.release)
    });
    if is_same_release && has_parts(bytes) {
        return Finding::pass();
    }
    Finding::unknown(
        "its .BTF may not fit the kernel's types, which are not known: name a tree with the \
         kernel's vmlinux, or take .BTF out (objcopy --remove-section .BTF)",
    )
}
