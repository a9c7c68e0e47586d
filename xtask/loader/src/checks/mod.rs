//! The checks, one small function each, and their order.
//!
//! Each names the kernel function that it models; where no file is named, that is
//! `kernel/module/main.c`. Messages are the kernel's, character for character.

mod early;
mod elf;
mod elf_pre_6_13;
mod export_tables;
mod file;
mod formation;
mod layout;
mod params;
mod relocations;
mod signature;
mod symbols;

use super::{load_info::LoadInfo, verdict::Finding, version_rules::VersionRules};

/// A check.
type Run = fn(&mut LoadInfo<'_>) -> Finding;

/// All checks of a kernel, in its order (`load_module()`, and the system call before it).
pub(super) fn in_order(rules: &VersionRules) -> &'static [(&'static str, Run)] {
    match rules.split_elf_checks {
        true => AFTER,
        false => BEFORE,
    }
}

/// What both orders begin with.
macro_rules! order {
    ($($elf:expr),* $(,)?) => {
        &[
            ("request.allowed", file::allowed as Run),
            ("request.flags", file::flags),
            ("file.empty", file::empty),
            ("file.unpack", file::unpack),
            ("signature", signature::signature),
            $($elf,)*
            ("blacklist", early::blacklist),
            ("versions.layout", early::layout_version),
            ("vermagic", early::vermagic),
            ("livepatch", early::livepatch),
            ("loaded", early::loaded),
            ("sections.write-execute", layout::write_execute),
            ("sections.layout", layout::layout),
            ("taints", layout::taints),
            ("percpu", layout::percpu),
            ("exports.sections", export_tables::obsolete),
            ("constructors", export_tables::constructors),
            ("exports.flags", export_tables::export_flags),
            ("exports.versions", export_tables::export_versions),
            ("namespaces", export_tables::module_namespaces),
            ("symbols", symbols::symbols),
            ("relocations", relocations::relocations),
            ("symbol-names", formation::symbol_names),
            ("patched", formation::patched),
            ("this-module", formation::this_module),
            ("ftrace", formation::ftrace),
            ("exports.duplicates", formation::duplicates),
            ("btf", formation::btf),
            ("params", params::params),
            ("sysfs", formation::sysfs),
            ("init", formation::init),
        ]
    };
}

/// 6.13 and later, and 6.12.117 and later of its series.
const AFTER: &[(&str, Run)] = order![
    ("elf.length", elf::length),
    ("elf.magic", elf::magic),
    ("elf.type", elf::kind),
    ("elf.machine", elf::machine),
    ("elf.section-size", elf::section_size),
    ("elf.section-table", elf::section_table),
    ("elf.section-0", elf::section_0),
    ("elf.section-bounds", elf::section_bounds),
    ("elf.section-names", elf::section_names),
    ("elf.modinfo", elf::modinfo),
    ("elf.this-module", elf::this_module),
    ("elf.symbols", elf::symbols),
    ("elf.strings", elf::strings),
    ("elf.versions", elf::versions),
    ("elf.symbol-names", elf::symbol_names),
];

/// Before.
const BEFORE: &[(&str, Run)] = order![
    ("elf.length", elf::length),
    ("elf.magic", elf::magic),
    ("elf.type", elf::kind),
    ("elf.machine", elf::machine),
    ("elf.section-size", elf::section_size),
    ("elf.section-table", elf::section_table),
    ("elf.section-names", elf_pre_6_13::section_names),
    ("elf.section-0", elf::section_0),
    ("elf.section-bounds", elf_pre_6_13::sections),
    ("elf.modinfo", elf_pre_6_13::modinfo),
    ("elf.symbols", elf_pre_6_13::symbols),
    ("elf.this-module", elf_pre_6_13::this_module),
];
