//! The checks of the module before it gets any memory (`early_mod_check()`).

use crate::{
    errno::Errno,
    load_info::{IGNORE_VERMAGIC, LoadInfo},
    raw_elf::{SHDR_BYTES, SHF_ALLOC, Shdr},
    verdict::Finding,
};
use ko::vermagic::{Vermagic, same_magic};

/// `blacklisted()`: `module_blacklist=` on the kernel's command line.
pub(super) fn blacklist(load: &mut LoadInfo<'_>) -> Finding {
    let name = load.info_name();
    if load.kernel.blacklist.contains(&name) {
        return load
            .refuse(Errno::EPERM, format!("Module {name} is blacklisted"))
            .want("a name that module_blacklist= does not have")
            .have(name);
    }
    rewrite_section_headers(load);
    match overlaps_headers(load) {
        Some(section) => Finding::unknown(format!(
            "section {section} lies over the section headers or struct module, which the kernel \
             writes to"
        )),
        None => Finding::pass(),
    }
}

/// The section that shares bytes with the table of headers, or with `struct module`: those bytes
/// change when `rewrite_section_headers()` and `layout_sections()` write there.
fn overlaps_headers(load: &LoadInfo<'_>) -> Option<usize> {
    let begin = load.header.sections_at;
    let end = begin + load.sections.len() as u64 * SHDR_BYTES;
    let this_module = load.sections[load.index.this_module];
    let this_module_end = this_module.at(this_module.size);
    let touches = |section: &Shdr, begin: u64, end: u64| {
        section.offset < end && section.at(section.size) > begin
    };
    let bad = |(index, section): &(usize, &Shdr)| {
        !section.is_without_bytes()
            && section.size > 0
            && (touches(section, begin, end)
                || *index != load.index.this_module
                    && touches(section, this_module.offset, this_module_end))
    };
    load.sections.iter().enumerate().find(bad).map(|(index, _)| index)
}

/// `rewrite_section_headers()`: these sections are not kept in memory.
fn rewrite_section_headers(load: &mut LoadInfo<'_>) {
    let index = load.index;
    for section in [index.info, index.versions, index.extended_crcs, index.extended_names] {
        if let Some(section) = load.sections.get_mut(section) {
            section.flags &= !SHF_ALLOC;
        }
    }
}

/// `check_modinfo()`.
pub(super) fn vermagic(load: &mut LoadInfo<'_>) -> Finding {
    let magic =
        load.modinfo_value("vermagic").filter(|_| load.request.flags & IGNORE_VERMAGIC == 0);
    let wanted = load.kernel.vermagic.clone();
    let Some(magic) = magic else {
        if load.force("bad vermagic") {
            return Finding::pass().have("no vermagic: loaded by force");
        }
        return Finding::fail(Errno::ENOEXEC)
            .want(wanted)
            .have("no vermagic, and no CONFIG_MODULE_FORCE_LOAD");
    };
    if load.kernel.options.randstruct && !wanted.contains("RANDSTRUCT_") {
        return Finding::unknown(
            "the kernel shuffles its structures (CONFIG_RANDSTRUCT), and its seed is not known: \
             name a tree that has include/generated/randstruct_hash.h",
        );
    }
    let has_crcs = load.kernel.options.modversions && load.index.versions != 0;
    let kernels = Vermagic::new(wanted.as_str().into());
    let is_same = same_magic(Vermagic::new(magic), kernels, has_crcs);
    let magic = magic.lossy().into_owned();
    if is_same {
        return Finding::pass().want(wanted).have(magic);
    }
    let line = format!("{}: version magic '{magic}' should be '{wanted}'", load.info_name());
    load.refuse(Errno::ENOEXEC, line).want(wanted).have(magic)
}

/// `check_modinfo_livepatch()`.
pub(super) fn livepatch(load: &mut LoadInfo<'_>) -> Finding {
    if load.modinfo_value("livepatch").is_none() || load.kernel.options.livepatch {
        return Finding::pass();
    }
    let name = load.name.clone();
    let line =
        format!("{name}: module is marked as livepatch module, but livepatch support is disabled");
    load.refuse(Errno::ENOEXEC, line).want("CONFIG_LIVEPATCH").have("a kernel without it")
}

/// `module_patient_check_exists()`: no loaded module has the name.
pub(super) fn loaded(load: &mut LoadInfo<'_>) -> Finding {
    if load.state.doubtful(&load.name, b"").is_some() {
        return Finding::unknown(
            "a module of its name was loaded before it, and whether that one loads cannot be \
             decided offline: give one of the two",
        );
    }
    match load.state.find_module(&load.name) {
        None => Finding::pass(),
        Some(_) => Finding::fail(Errno::EEXIST)
            .want("a name that no loaded module has")
            .have(load.name.clone()),
    }
}
