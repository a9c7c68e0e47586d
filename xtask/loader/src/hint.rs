//! Remedies for a refusal, for a reader who has not met it before.

use crate::{check_id::CheckId, kernel_facts::KernelFacts};

/// Why a check failed, where the check alone does not say it. Of several symbols that fail for
/// different causes the first in this order decides over the hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// The file is compressed, and the kernel was given its compressed bytes.
    Compressed,
    /// The crate that the module uses is there in another build: its seal has another name.
    CrateDiffers,
    /// The kernel's XZ decoder knows CRC32 and no other check.
    XzCheck,
    /// The compressed bytes are damaged, or of a form that the kernel's decoder lacks.
    CompressedForm,
    /// A CRC differs, or is missing.
    VersionDiffers,
    /// A namespace is not imported.
    NamespaceNotImported,
    /// The symbol is for other modules alone.
    KeptForOthers,
    /// A user of GPL-only symbols uses a symbol of a proprietary module.
    ProprietaryProvider,
    /// The symbol is GPL-only, the module's license is not GPL-compatible.
    GplOnly,
    /// Nobody exports the symbol.
    NotExported,
    /// The file was changed after it was signed, or the signature is of other bytes.
    SignatureDiffers,
    /// The signature has signed attributes, as `openssl cms` makes them by default.
    SignedAttributes,
    /// A certificate in the signature has a kind of key that the kernel cannot compute.
    KeyKind,
    /// The bytes before the marker are no signature.
    SignatureDamaged,
}

/// Returns the remedy for a file that kmod does not take.
pub(super) const FOR_KMOD: &str = "unpack it, or pack it again in one piece: xz --check=crc32 FILE";

/// Returns the remedy for a check that refused; empty where there is none.
/// It is long because it names every check, so that the compiler misses none.
pub(super) fn hint_for(id: CheckId, cause: Option<Cause>, kernel: &KernelFacts) -> String {
    if let Some(cause) = cause {
        return hint_for_cause(cause).into();
    }
    let release = &kernel.release;
    match id {
        CheckId::Kmod => FOR_KMOD,
        CheckId::RequestAllowed => "boot without nomodule, and leave kernel.modules_disabled alone",
        CheckId::ElfMagic => "give the .ko file: this is no ELF file",
        CheckId::ElfType => "give the .ko file that Kbuild made, not a program or library",
        CheckId::ElfMachine => "build it for this processor: make ARCH=x86 …",
        CheckId::ElfLength | CheckId::ElfSectionTable | CheckId::ElfSectionBounds => {
            "the file is cut short or damaged: copy it again, or build it again"
        }
        CheckId::ElfSymbols => {
            "the file was stripped of its symbols: strip no more than debugging information \
             (strip --strip-debug)"
        }
        CheckId::ElfThisModule => return format!("build it against the headers of {release}"),
        CheckId::Signature => "sign it with a key that the kernel trusts (scripts/sign-file)",
        CheckId::Blacklist => "take its name out of module_blacklist= on the kernel's command line",
        CheckId::VersionsLayout | CheckId::Vermagic => {
            return format!(
                "build it against this very kernel: make KDIR=/lib/modules/{release}/build"
            );
        }
        CheckId::Livepatch => "a livepatch needs a kernel with CONFIG_LIVEPATCH",
        CheckId::Loaded => "it is loaded already: rmmod it first",
        CheckId::SectionsWriteExecute => {
            "no section may be both written and executed: see the assembler or linker script that \
             makes it"
        }
        CheckId::ExportsFlags | CheckId::ExportsVersions => {
            return format!("build the exporting module again, against {release}");
        }
        CheckId::Namespaces => {
            "take the MODULE_IMPORT_NS of a module: namespace out: its exporter says which modules \
             may use it"
        }
        CheckId::Symbols | CheckId::Relocations => {
            "build it with the kernel's own flags, by Kbuild"
        }
        CheckId::ExportsDuplicates => {
            "unload the other module first, or give the symbol another name"
        }
        CheckId::Params => "give values that the parameters take: modinfo -p FILE.ko lists them",
        CheckId::Sysfs => "give the module another name: this one is built into the kernel",
        CheckId::Init => "take its init out of initcall_blacklist= on the kernel's command line",
        CheckId::RequestFlags => "give finit_module() the flags 1, 2 and 4 only",
        CheckId::FileEmpty => "the file is empty: copy it again, or build it again",
        CheckId::FileUnpack => {
            "unpack the file first (unxz, unzstd or gunzip): this kernel does not do so"
        }
        CheckId::ElfSectionSize
        | CheckId::ElfSection0
        | CheckId::ElfSectionNames
        | CheckId::ElfModinfo
        | CheckId::ElfStrings
        | CheckId::ElfVersions
        | CheckId::ElfSymbolNames
        | CheckId::Constructors => "build it again: no Kbuild makes such a file",
        // These refuse nothing, or leave the answer open.
        CheckId::SectionsLayout
        | CheckId::Taints
        | CheckId::Percpu
        | CheckId::ExportsSections
        | CheckId::SymbolNames
        | CheckId::Patched
        | CheckId::ThisModule
        | CheckId::Ftrace
        | CheckId::Btf => "",
    }
    .into()
}

/// Returns the next step where the answer is not known; empty where the reason says it itself.
pub(super) fn hint_for_unknown(reason: &str) -> String {
    if reason.contains(": ") {
        return String::new();
    }
    "build it again: no build makes such a file, and the kernel takes it unchecked".into()
}

fn hint_for_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Compressed => {
            "unpack the file first (unxz, unzstd or gunzip), or load it with modprobe or insmod of \
             kmod, which do so"
        }
        Cause::CrateDiffers => {
            "the crate has changed since it was built: build it again, against the lib*.rmeta and \
             the Module.symvers of the build that is loaded"
        }
        Cause::XzCheck => {
            "compress it with xz --check=crc32: the kernel's decoder knows no other check"
        }
        Cause::CompressedForm => {
            "compress it again with xz --check=crc32, which the kernel's decoder reads"
        }
        Cause::VersionDiffers => {
            "the symbol's type has changed since it was built: build it again, with \
             KBUILD_EXTRA_SYMBOLS naming the provider's own Module.symvers"
        }
        Cause::NamespaceNotImported => {
            "add MODULE_IMPORT_NS of that namespace (imports_ns in Rust's module!)"
        }
        Cause::KeptForOthers => {
            "use another symbol: its exporter names the modules that may use it \
             (EXPORT_SYMBOL_FOR_MODULES), and no import changes that"
        }
        Cause::ProprietaryProvider => {
            "a module that uses GPL-only symbols may not use a proprietary one's"
        }
        Cause::GplOnly => {
            "its license is not GPL-compatible, so EXPORT_SYMBOL_GPL symbols are hidden from it: \
             see MODULE_LICENSE"
        }
        Cause::NotExported => {
            "load the module that exports it first; modprobe does so when depmod knows both"
        }
        Cause::SignatureDiffers => {
            "the file was changed after it was signed (strip, objcopy): sign it again, or take \
             the signature off"
        }
        Cause::SignedAttributes => {
            "sign it with scripts/sign-file, or with openssl cms -noattr: the kernel refuses signed \
             attributes"
        }
        Cause::KeyKind => {
            "sign it with an RSA key, or leave its certificate out: this kernel cannot verify ECDSA \
             (no CONFIG_CRYPTO_ECDSA)"
        }
        Cause::SignatureDamaged => "sign it again with scripts/sign-file, or copy it again",
    }
}
