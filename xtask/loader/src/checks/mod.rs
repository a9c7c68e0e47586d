//! The checks, one small function each, and their order.
//!
//! Each function names the kernel function that it models; where no file is named, that is
//! `kernel/module/main.c`. Messages are the kernel's, character for character.

mod btf;
mod dyndbg;
mod early;
mod elf;
mod elf_pre_6_13;
mod export_tables;
mod file;
mod finalize_x86;
mod ftrace;
mod layout;
mod params;
mod relocations;
mod signature;
mod symbols;
mod sysfs;
mod taints;
mod versions;

pub(super) use signature::verify_file;

use crate::{
    check_id::CheckId, load_info::LoadInfo, verdict::Finding, version_rules::VersionRules,
};

/// A check.
type Run = fn(&mut LoadInfo<'_>) -> Finding;

/// All checks of a kernel, in its order (`load_module()`, and the system call before it).
pub(super) fn in_order(rules: &VersionRules) -> &'static [(CheckId, Run)] {
    if rules.split_elf_checks { SPLIT_ELF } else { PRE_6_13 }
}

/// Puts the checks of the ELF that depend on the version between those that every kernel has.
macro_rules! order {
    ($($elf:expr),* $(,)?) => {
        &[
            (CheckId::RequestAllowed, file::allowed as Run),
            (CheckId::RequestFlags, file::flags),
            (CheckId::FileEmpty, file::empty),
            (CheckId::FileUnpack, file::unpack),
            (CheckId::Signature, signature::signature),
            (CheckId::ElfLength, elf::length),
            (CheckId::ElfMagic, elf::magic),
            (CheckId::ElfType, elf::kind),
            (CheckId::ElfMachine, elf::machine),
            (CheckId::ElfSectionSize, elf::section_size),
            (CheckId::ElfSectionTable, elf::section_table),
            $($elf,)*
            (CheckId::Blacklist, early::blacklist),
            (CheckId::VersionsLayout, versions::module_layout),
            (CheckId::Vermagic, early::vermagic),
            (CheckId::Livepatch, early::livepatch),
            (CheckId::Loaded, early::loaded),
            (CheckId::SectionsWriteExecute, layout::write_execute),
            (CheckId::SectionsLayout, layout::layout),
            (CheckId::Taints, taints::taints),
            (CheckId::Percpu, layout::percpu),
            (CheckId::ExportsSections, export_tables::obsolete),
            (CheckId::Constructors, export_tables::constructors),
            (CheckId::ExportsFlags, export_tables::export_flags),
            (CheckId::ExportsVersions, export_tables::export_versions),
            (CheckId::Namespaces, export_tables::module_namespaces),
            (CheckId::Symbols, symbols::symbols),
            (CheckId::Relocations, relocations::relocations),
            (CheckId::SymbolNames, finalize_x86::symbol_names),
            (CheckId::Patched, finalize_x86::patched),
            (CheckId::ThisModule, finalize_x86::this_module),
            (CheckId::Ftrace, ftrace::ftrace),
            (CheckId::ExportsDuplicates, export_tables::duplicates),
            (CheckId::Btf, btf::btf),
            (CheckId::Params, params::params),
            (CheckId::Sysfs, sysfs::sysfs),
            (CheckId::Init, sysfs::init),
        ]
    };
}

/// 6.13 and later, and 6.12.117 and later of its series.
const SPLIT_ELF: &[(CheckId, Run)] = order![
    (CheckId::ElfSection0, elf::section_0),
    (CheckId::ElfSectionBounds, elf::section_bounds),
    (CheckId::ElfSectionNames, elf::section_names),
    (CheckId::ElfModinfo, elf::modinfo),
    (CheckId::ElfThisModule, elf::this_module),
    (CheckId::ElfSymbols, elf::symbols),
    (CheckId::ElfStrings, elf::strings),
    (CheckId::ElfVersions, elf::versions),
    (CheckId::ElfSymbolNames, elf::symbol_names),
];

/// Earlier kernels.
const PRE_6_13: &[(CheckId, Run)] = order![
    (CheckId::ElfSectionNames, elf_pre_6_13::section_names),
    (CheckId::ElfSection0, elf::section_0),
    (CheckId::ElfSectionBounds, elf_pre_6_13::sections),
    (CheckId::ElfModinfo, elf_pre_6_13::modinfo),
    (CheckId::ElfSymbols, elf_pre_6_13::symbols),
    (CheckId::ElfThisModule, elf_pre_6_13::this_module),
];
