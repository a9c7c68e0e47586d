//! What to do about a check that fails: for a reader who has not seen it before.

use super::{
    load_info::LoadInfo,
    verdict::{Finding, Outcome},
};

/// The hint for a finding; empty where nothing is to be done.
pub(super) fn hint_for(id: &str, finding: &Finding, load: &LoadInfo<'_>) -> String {
    match finding.outcome {
        Outcome::Fail(_) => failed(id, load),
        _ => String::new(),
    }
}

fn failed(id: &str, load: &LoadInfo<'_>) -> String {
    let release = &load.kernel.release;
    let line = load.messages.last().map_or("", |line| line.as_str());
    match id {
        "request.allowed" => {
            "boot without nomodule, and leave kernel.modules_disabled alone".into()
        }
        "file.unpack" | "elf.magic" if is_packed(load) => {
            "unpack the file first (unxz, unzstd or gunzip), or load it with modprobe or insmod of \
             kmod, which do so"
                .into()
        }
        "elf.magic" => "give the .ko file: this is no ELF file".into(),
        "elf.type" => "give the .ko file that Kbuild made, not a program or library".into(),
        "elf.machine" => "build it for this processor: make ARCH=x86 …".into(),
        "elf.length" | "elf.section-table" | "elf.section-bounds" => {
            "the file is cut short or damaged: copy it again, or build it again".into()
        }
        "elf.symbols" => {
            "the file was stripped of its symbols: strip no more than debugging information \
             (strip --strip-debug)"
                .into()
        }
        "elf.this-module" => format!("build it against the headers of {release}"),
        "signature" => "sign it with a key that the kernel trusts (scripts/sign-file)".into(),
        "blacklist" => "take its name out of module_blacklist= on the kernel's command line".into(),
        "versions.layout" | "vermagic" => {
            format!("build it against this very kernel: make KDIR=/lib/modules/{release}/build")
        }
        "livepatch" => "a livepatch needs a kernel with CONFIG_LIVEPATCH".into(),
        "loaded" => "it is loaded already: rmmod it first".into(),
        "sections.write-execute" => "no section may be both written and executed: see the \
             assembler or linker script that makes it"
            .into(),
        "exports.flags" | "exports.versions" => {
            format!("build the exporting module again, against {release}")
        }
        "namespaces" => "take the MODULE_IMPORT_NS of a module: namespace out: who may use it, \
             its exporter says"
            .into(),
        "symbols" => symbols(line, load),
        "relocations" => "build it with the kernel's own flags, by Kbuild".into(),
        "exports.duplicates" => {
            "unload the other module first, or give the symbol another name".into()
        }
        "params" => "give values that the parameters take: modinfo -p FILE.ko lists them".into(),
        "sysfs" => "give the module another name: this one is built into the kernel".into(),
        _ => "build it again: no Kbuild makes such a file".into(),
    }
}

fn symbols(line: &str, load: &LoadInfo<'_>) -> String {
    let said = |what: &str| load.messages.iter().any(|line| line.contains(what));
    if said("disagrees about version of symbol") || said("no symbol version for") {
        return "the symbol's type has changed since it was built: build it again, with \
                KBUILD_EXTRA_SYMBOLS naming the provider's own Module.symvers"
            .into();
    }
    if said("but does not import it") {
        return "add MODULE_IMPORT_NS of that namespace (imports_ns in Rust's module!)".into();
    }
    if said("from proprietary module") {
        return "a module that uses GPL-only symbols may not use a proprietary one's".into();
    }
    if line.contains("Unknown symbol") && load.taints.has(super::taints::Taints::PROPRIETARY) {
        return "its license is not GPL-compatible, so EXPORT_SYMBOL_GPL symbols are hidden from \
                it: see MODULE_LICENSE"
            .into();
    }
    if line.contains("Unknown symbol") {
        return "load the module that exports it first; modprobe does so when depmod knows both"
            .into();
    }
    "build it with the kernel's own flags, by Kbuild".into()
}

fn is_packed(load: &LoadInfo<'_>) -> bool {
    use ko::compression::Compression;
    Compression::detect(load.bytes.bytes()) != Compression::None
}
