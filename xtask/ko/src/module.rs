//! All that one module says of itself.

use object::elf as constants;
use serde::Serialize;

use super::{
    elf::{Class, Elf},
    error::Malformed,
    exports::{Export, ExportLayout, Exports},
    imports::{Import, imports},
    kmod_elf::KmodElf,
    modinfo::{Modinfo, ModinfoLine},
    params::{Param, params},
    signature::{MAGIC, Signature, signature},
    text::Text,
    vermagic::Vermagic,
    versions::{VersionTable, Versions},
};

/// One module: its ELF and the views of it.
#[derive(Clone, Debug)]
pub struct Module<'a> {
    /// Sections, symbols, relocations.
    pub elf: Elf<'a>,
    /// Its `.modinfo`.
    pub modinfo: Modinfo<'a>,
    /// Its export tables.
    pub exports: Exports<'a>,
    /// The CRCs of what it needs.
    pub versions: Versions<'a>,
    /// The signature; `None` when there is none, or it is no PKCS#7.
    pub signature: Option<Signature<'a>>,
    /// The parts that are not what their form asks for; they count as absent.
    pub damaged: Vec<Malformed>,
}

impl<'a> Module<'a> {
    /// Reads an unpacked module.
    ///
    /// # Errors
    /// The first part that is not what its form asks for.
    pub fn read(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut module = Self::read_in_part(data)?;
        match module.damaged.is_empty() {
            true => Ok(module),
            false => Err(module.damaged.swap_remove(0)),
        }
    }

    /// Reads what is there of a module, as modinfo does of a stripped, a damaged or a debug file.
    ///
    /// # Errors
    /// Not even libkmod takes the file for one.
    pub fn read_in_part(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut damaged = Vec::new();
        let (elf, modinfo) = match Elf::parse(data) {
            Ok(elf) => (elf, Modinfo::parse(&elf)),
            Err(malformed) => {
                let Ok(kmod) = KmodElf::parse(data) else { return Err(malformed) };
                damaged.push(malformed);
                (kmod.elf, kmod.modinfo().unwrap_or_default())
            }
        };
        let exports = Exports::parse(&elf).map_err(|malformed| damaged.push(malformed));
        let versions = Versions::parse(&elf).map_err(|malformed| damaged.push(malformed));
        Ok(Self {
            elf,
            modinfo,
            exports: exports.unwrap_or_default(),
            versions: versions.unwrap_or(Versions::none(&elf)),
            signature: signature(data),
            damaged,
        })
    }

    /// The name: `name=` of `.modinfo`, or, in a module from before 4.13, what
    /// `struct module` begins with (`setup_load_info()`, `kernel/module/main.c`).
    pub fn name(&self) -> Option<Text<'a>> {
        self.modinfo.get("name").or_else(|| {
            // `state` and `list` come before `name` (`struct module`, include/linux/module.h).
            let before = 3 * self.elf.class().word_bytes();
            let this_module = self.elf.bytes_named(THIS_MODULE)?;
            Some(Text::until_nul(this_module.get(before..)?)).filter(|name| !name.is_empty())
        })
    }

    /// The vermagic, taken apart.
    pub fn vermagic(&self) -> Option<Vermagic<'a>> {
        self.modinfo.get("vermagic").map(Vermagic::new)
    }

    /// The size of `struct module` in the kernel it was built for.
    pub fn struct_module_bytes(&self) -> Option<u64> {
        self.elf.section_named(THIS_MODULE).map(|section| section.size)
    }

    /// The build id: the digest of a `NT_GNU_BUILD_ID` note.
    pub fn build_id(&self) -> Option<&'a [u8]> {
        let note = self.elf.bytes_named(".note.gnu.build-id")?;
        let name_bytes = self.elf.u32_at(note, 0)? as usize;
        let id_bytes = self.elf.u32_at(note, 4)? as usize;
        let kind = self.elf.u32_at(note, 8)?;
        let start = name_bytes.checked_next_multiple_of(4)?.checked_add(12)?;
        let id = note.get(start..start.checked_add(id_bytes)?)?;
        (kind == constants::NT_GNU_BUILD_ID.0).then_some(id)
    }

    /// The processor, as the kernel's `uname -m` families are known.
    pub fn machine(&self) -> String {
        let name = match (constants::Machine(self.elf.machine()), self.elf.class()) {
            (constants::EM_X86_64, _) => "x86_64",
            (constants::EM_386, _) => "i386",
            (constants::EM_AARCH64, _) => "aarch64",
            (constants::EM_ARM, _) => "arm",
            (constants::EM_RISCV, Class::Bits64) => "riscv64",
            (constants::EM_LOONGARCH, Class::Bits64) => "loongarch64",
            (constants::EM_S390, _) => "s390x",
            (constants::EM_PPC64, _) => "powerpc64",
            (machine, _) => return format!("machine {}", machine.0),
        };
        name.to_owned()
    }

    /// Returns its imports, with the CRCs that it was built with.
    ///
    /// # Errors
    /// A damaged symbol table.
    pub fn imports(&self) -> Result<Vec<Import<'a>>, Malformed> {
        imports(&self.elf, &self.versions.index())
    }

    /// All that the module says, read at once. Of a damaged list, what comes before the damage.
    pub fn facts(&self) -> Facts<'a> {
        let Self { elf, modinfo, exports, versions, signature, damaged } = self;
        let values = |key| modinfo.all(key).collect();
        let mut damaged = damaged.clone();
        let exported = exports.iter().map_while(|one| one.map_err(|bad| damaged.push(bad)).ok());
        let exported = exported.collect();
        let imports = self.imports().map_err(|bad| damaged.push(bad)).unwrap_or_default();
        Facts {
            name: self.name(),
            license: modinfo.get("license"),
            version: modinfo.get("version"),
            srcversion: modinfo.get("srcversion"),
            description: values("description"),
            authors: values("author"),
            machine: self.machine(),
            bits: 8 * elf.class().word_bytes(),
            intree: modinfo.get("intree").is_some_and(|value| value == "Y"),
            livepatch: modinfo.get("livepatch").is_some_and(|value| value == "Y"),
            retpoline: modinfo.get("retpoline").is_some_and(|value| value == "Y"),
            vermagic: self.vermagic(),
            depends: modinfo.list("depends").collect(),
            softdeps: modinfo.all("softdep").map(SoftDep::parse).collect(),
            weakdeps: modinfo.all("weakdep").flat_map(|value| value.pieces(b' ')).collect(),
            namespaces: values("import_ns"),
            aliases: values("alias"),
            firmware: values("firmware"),
            params: params(*modinfo),
            signature: signature.clone(),
            signature_unreadable: signature.is_none() && elf.data().ends_with(MAGIC),
            struct_module_bytes: self.struct_module_bytes(),
            build_id: self.build_id().map(hex),
            btf: elf.section_named(".BTF").is_some(),
            export_layout: exports.layout,
            exports: exported,
            version_tables: [VersionTable::Basic, VersionTable::Extended]
                .into_iter()
                .filter(|&table| versions.has(table))
                .collect(),
            module_layout_crc: versions.index().crc(Text(b"module_layout")),
            imports,
            other: others(*modinfo),
            damaged: damaged.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The section that becomes `struct module`.
const THIS_MODULE: &str = ".gnu.linkonce.this_module";

/// All that a module says. A field without a source named comes from the `.modinfo` key of its
/// name.
#[derive(Clone, Debug, Serialize)]
pub struct Facts<'a> {
    /// The module's name, as `lsmod` shows it.
    pub name: Option<Text<'a>>,
    /// The license, in the words of its author.
    pub license: Option<Text<'a>>,
    /// The author's own version.
    pub version: Option<Text<'a>>,
    /// A digest of the sources, when the kernel makes one.
    pub srcversion: Option<Text<'a>>,
    /// Its descriptions.
    pub description: Vec<Text<'a>>,
    /// Its authors, each as `MODULE_AUTHOR` names one.
    pub authors: Vec<Text<'a>>,
    /// The processor it is for, from the ELF header.
    pub machine: String,
    /// 32 or 64, from the ELF header.
    pub bits: usize,
    /// `true` if it was built with the kernel.
    pub intree: bool,
    /// `true` if it patches a running kernel.
    pub livepatch: bool,
    /// `true` if it was built with retpolines.
    pub retpoline: bool,
    /// The kernel it was built for.
    pub vermagic: Option<Vermagic<'a>>,
    /// The modules it needs, as modpost found them.
    pub depends: Vec<Text<'a>>,
    /// The modules to load before and after it, if they are there.
    pub softdeps: Vec<SoftDep<'a>>,
    /// The modules it may ask for later.
    pub weakdeps: Vec<Text<'a>>,
    /// The symbol namespaces it imports (`import_ns`).
    pub namespaces: Vec<Text<'a>>,
    /// The names and device patterns it answers to (`alias`).
    pub aliases: Vec<Text<'a>>,
    /// The files it may ask user space for.
    pub firmware: Vec<Text<'a>>,
    /// The parameters it takes (`parm`, `parmtype`).
    pub params: Vec<Param<'a>>,
    /// The signature.
    pub signature: Option<Signature<'a>>,
    /// `true` if a signature is announced that is no PKCS#7.
    pub signature_unreadable: bool,
    /// The size of `.gnu.linkonce.this_module`.
    pub struct_module_bytes: Option<u64>,
    /// The build id, in hexadecimal.
    pub build_id: Option<String>,
    /// `true` if it carries type information for BPF.
    pub btf: bool,
    /// The layout of the export tables.
    pub export_layout: Option<ExportLayout>,
    /// Its exports.
    pub exports: Vec<Export<'a>>,
    /// The tables of CRCs that it has.
    pub version_tables: Vec<VersionTable>,
    /// The CRC of `struct module` and its kin when it was built.
    pub module_layout_crc: Option<u32>,
    /// Its imports.
    pub imports: Vec<Import<'a>>,
    /// The lines of `.modinfo` that no field above stands for.
    pub other: Vec<ModinfoLine<'a>>,
    /// Its faults of form, a sentence each: what hangs on them is missing above.
    pub damaged: Vec<String>,
}

/// The lines of `.modinfo` that no field of [`Facts`] stands for. Where a key has several lines and
/// one would do, the kernel takes the first (`get_modinfo()`, `kernel/module/main.c`): some modules
/// of two source files have two licenses.
fn others(modinfo: Modinfo<'_>) -> Vec<ModinfoLine<'_>> {
    let mut seen = [false; ONCE.len()];
    let mut is_shown = |line: &ModinfoLine<'_>| match line.key.bytes() {
        b"parm" | b"parmtype" => line.value.split_once(b':').is_some(),
        b"intree" | b"livepatch" | b"retpoline" if line.value != "Y" => false,
        key => match ONCE.iter().position(|once| once.as_bytes() == key) {
            Some(at) => !std::mem::replace(&mut seen[at], true),
            None => OFTEN.iter().any(|often| often.as_bytes() == key),
        },
    };
    modinfo.lines().filter(|line| !is_shown(line)).collect()
}

/// The keys of which a field shows the first line.
const ONCE: [&str; 8] =
    ["name", "license", "version", "srcversion", "vermagic", "intree", "livepatch", "retpoline"];
/// The keys of which a field shows every line.
const OFTEN: [&str; 8] =
    ["description", "author", "depends", "softdep", "weakdep", "import_ns", "alias", "firmware"];

/// A soft dependency: `softdep=pre: a b post: c`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SoftDep<'a> {
    /// The words as they stand.
    pub text: Text<'a>,
    /// To be loaded before.
    pub pre: Vec<Text<'a>>,
    /// To be loaded after.
    pub post: Vec<Text<'a>>,
}

impl<'a> SoftDep<'a> {
    /// Takes the value of a `softdep` apart; words before any `pre:` or `post:` count for neither
    /// (`kmod_softdep_parse()`, `libkmod/libkmod-config.c`).
    pub fn parse(value: Text<'a>) -> Self {
        let mut dep = Self { text: value, pre: Vec::new(), post: Vec::new() };
        let mut before = None;
        for word in value.bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            match (word, before) {
                (b"pre:", _) => before = Some(true),
                (b"post:", _) => before = Some(false),
                (_, Some(true)) => dep.pre.push(Text(word)),
                (_, Some(false)) => dep.post.push(Text(word)),
                (_, None) => {}
            }
        }
        dep
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
