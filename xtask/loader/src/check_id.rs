//! The names of the checks, which stay the same from version to version.

use std::fmt;

/// Declares the enum, its ids and the list of all.
macro_rules! check_ids {
    ($($(#[doc = $doc:literal])* $name:ident = $id:literal,)*) => {
        /// A check of the kernel's loader.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CheckId {
            $($(#[doc = $doc])* $name,)*
        }

        impl CheckId {
            /// Every check that some kernel has.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable id, as `check` prints it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }
        }
    };
}

check_ids! {
    /// kmod takes the file: the kernel is asked only then.
    Kmod = "kmod",
    /// Modules may be loaded at all.
    RequestAllowed = "request.allowed",
    /// The flags of `finit_module()`.
    RequestFlags = "request.flags",
    /// The file has bytes.
    FileEmpty = "file.empty",
    /// The kernel unpacks the file.
    FileUnpack = "file.unpack",
    /// The signature.
    Signature = "signature",
    /// Room for an ELF header.
    ElfLength = "elf.length",
    /// The ELF magic.
    ElfMagic = "elf.magic",
    /// A relocatable file.
    ElfType = "elf.type",
    /// The processor.
    ElfMachine = "elf.machine",
    /// The size of a section header.
    ElfSectionSize = "elf.section-size",
    /// The section headers lie within the file.
    ElfSectionTable = "elf.section-table",
    /// Section 0 is empty.
    ElfSection0 = "elf.section-0",
    /// Each section lies within the file.
    ElfSectionBounds = "elf.section-bounds",
    /// The section names.
    ElfSectionNames = "elf.section-names",
    /// One `.modinfo` at most.
    ElfModinfo = "elf.modinfo",
    /// The section that becomes `struct module`.
    ElfThisModule = "elf.this-module",
    /// One symbol table.
    ElfSymbols = "elf.symbols",
    /// The strings of the symbol table.
    ElfStrings = "elf.strings",
    /// The tables of CRCs.
    ElfVersions = "elf.versions",
    /// Each symbol's name.
    ElfSymbolNames = "elf.symbol-names",
    /// `module_blacklist=`.
    Blacklist = "blacklist",
    /// The CRC of `module_layout`.
    VersionsLayout = "versions.layout",
    /// The vermagic.
    Vermagic = "vermagic",
    /// Livepatch support.
    Livepatch = "livepatch",
    /// No module of this name is loaded.
    Loaded = "loaded",
    /// No section is both writable and executable.
    SectionsWriteExecute = "sections.write-execute",
    /// The module's memory.
    SectionsLayout = "sections.layout",
    /// The taints of the load; refuses nothing.
    Taints = "taints",
    /// Per-CPU data.
    Percpu = "percpu",
    /// Export tables that newer kernels ignore; refuses nothing.
    ExportsSections = "exports.sections",
    /// Constructors.
    Constructors = "constructors",
    /// Flags of the exported symbols.
    ExportsFlags = "exports.flags",
    /// CRCs of the exported symbols.
    ExportsVersions = "exports.versions",
    /// No import of a `module:` namespace.
    Namespaces = "namespaces",
    /// Every undefined symbol is found and may be used.
    Symbols = "symbols",
    /// The relocations.
    Relocations = "relocations",
    /// Symbol names for kallsyms.
    SymbolNames = "symbol-names",
    /// Tables of code that the kernel patches.
    Patched = "patched",
    /// `init` and `exit` in `struct module`.
    ThisModule = "this-module",
    /// The table of traceable functions.
    Ftrace = "ftrace",
    /// No exported symbol is exported by another.
    ExportsDuplicates = "exports.duplicates",
    /// BTF.
    Btf = "btf",
    /// The parameters.
    Params = "params",
    /// The module's folder in `/sys/module`.
    Sysfs = "sysfs",
    /// The module's own init.
    Init = "init",
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
