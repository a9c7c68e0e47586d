//! The corpus: for each refusal of the loader a file that meets it, made from a module that was
//! built for the kernel at hand.
//!
//! It is long because it is a list: each refusal has a maker of its own.

use std::path::Path;

use loader::errno::Errno;
use loader::{kernel_facts::KernelFacts, version_rules::VersionRules};

use super::edit::{Module, header, rela, section, symbol};

/// One load of a fixture.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) file: Vec<u8>,
    pub(crate) args: &'static str,
    pub(crate) flags: u32,
}

/// Stands for no word, for a case that needs a kernel of its own.
pub(crate) const ALONE: &str = "quiet";

/// A case: some loads after each other, into a kernel without modules.
#[derive(Clone)]
pub(crate) struct Case {
    /// Its name.
    pub(crate) id: String,
    /// The purpose of the last load.
    pub(crate) shows: Shows,
    /// Words for the kernel's command line; those with [`ALONE`] have a guest of their own, where
    /// nothing has been logged or tainted before.
    pub(crate) boot: &'static str,
    pub(crate) loads: Vec<Load>,
    /// `true` if its modules do something when they start, and may fail then.
    pub(crate) own_init: bool,
    /// Where this kernel checks too little for an answer: a part of the reason that is given
    /// instead of [`Case::shows`].
    pub(crate) unknown: Option<&'static str>,
}

impl Case {
    /// Loads of modules that nobody changed, which may fail on their own.
    pub(crate) fn of_modules(id: &str, loads: Vec<Load>) -> Self {
        Self { loads, own_init: true, ..Self::new(id, Shows(None, "")) }
    }

    /// Loads that are to show something.
    pub(crate) fn new(id: &str, shows: Shows) -> Self {
        let (id, loads) = (id.into(), Vec::new());
        Self { id, shows, boot: "", loads, own_init: false, unknown: None }
    }
}

/// The prediction that makes a fixture one: the error and a part of a message.
#[derive(Clone, Copy)]
pub(crate) struct Shows(pub(crate) Option<Errno>, pub(crate) &'static str);

/// The modules of the corpus, as built.
pub(crate) struct Built {
    pub(super) plain: Module,
    gives: Module,
    again: Module,
    takes: Module,
    takes_any: Module,
    takes_gpl: Module,
    percpu: Module,
    /// A module of the kernel's own, with its signature.
    pub(crate) shipped: Option<Vec<u8>>,
    /// Modules of the kernel's own, each needed by the next; the last has a parameter that moves
    /// hardware, `io`.
    pub(crate) hardware: Vec<Vec<u8>>,
}

impl Built {
    pub(crate) fn read(folder: &Path) -> Self {
        let read = |name: &str| {
            let path = folder.join(format!("{name}.ko"));
            Module::new(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        };
        Self {
            plain: read("plain"),
            gives: read("gives"),
            again: read("again"),
            takes: read("takes"),
            takes_any: read("takes_any"),
            takes_gpl: read("takes_gpl"),
            percpu: read("percpu"),
            shipped: None,
            hardware: Vec::new(),
        }
    }

    pub(crate) fn modules(&self) -> [(&'static str, &Module); 5] {
        [
            ("plain", &self.plain),
            ("gives", &self.gives),
            ("takes", &self.takes),
            ("percpu", &self.percpu),
            ("takes_any", &self.takes_any),
        ]
    }

    pub(crate) fn gives(&self) -> &Module {
        &self.gives
    }

    pub(crate) fn plain(&self) -> &[u8] {
        &self.plain.bytes
    }
}

/// Puts the corpus together.
pub(crate) struct Maker<'a> {
    pub(super) built: &'a Built,
    pub(super) target: &'a KernelFacts,
    pub(crate) cases: Vec<Case>,
}

pub(super) const OK: Option<Errno> = None;
pub(super) const ENOEXEC: Option<Errno> = Some(Errno::ENOEXEC);
pub(super) const EINVAL: Option<Errno> = Some(Errno::EINVAL);
pub(super) const ENOENT: Option<Errno> = Some(Errno::ENOENT);
pub(super) const EPERM: Option<Errno> = Some(Errno::EPERM);
pub(super) const EBADMSG: Option<Errno> = Some(Errno::EBADMSG);

pub(super) fn load(module: &Module) -> Load {
    Load { file: module.bytes.clone(), args: "", flags: 0 }
}

impl<'a> Maker<'a> {
    pub(crate) fn all(built: &'a Built, target: &'a KernelFacts) -> Vec<Case> {
        let mut maker = Self { built, target, cases: Vec::new() };
        maker.requests();
        maker.compressed();
        maker.signatures();
        maker.headers();
        maker.ignored_fields();
        maker.names();
        maker.this_module();
        maker.symbol_tables();
        maker.version_tables();
        maker.early();
        maker.taints();
        maker.sections();
        maker.symbols();
        maker.versions();
        maker.relocations();
        maker.exports();
        maker.params();
        maker.btf();
        maker.cases
    }

    pub(super) fn add(&mut self, id: &str, shows: Shows, loads: Vec<Load>) -> &mut Case {
        self.cases.push(Case { loads, ..Case::new(id, shows) });
        self.cases.last_mut().unwrap()
    }

    /// `plain.ko`, changed.
    fn plain(
        &mut self,
        id: &str,
        errno: Option<Errno>,
        says: &'static str,
        edit: impl FnOnce(&mut Module),
    ) -> &mut Case {
        let mut module = self.built.plain.clone();
        edit(&mut module);
        self.add(id, Shows(errno, says), vec![load(&module)])
    }

    /// Two modules, the second changed.
    fn pair(
        &mut self,
        id: &str,
        shows: Shows,
        first: &Module,
        second: &Module,
        edit: impl FnOnce(&mut Module),
    ) {
        let mut second = second.clone();
        edit(&mut second);
        self.add(id, shows, vec![load(first), load(&second)]);
    }

    fn split_elf_checks(&self) -> bool {
        self.target.rules.split_elf_checks
    }

    fn requests(&mut self) {
        let plain = self.built.plain.bytes.clone();
        let load = |file: &[u8], flags| Load { file: file.to_vec(), args: "", flags };
        self.add("as-built", Shows(OK, ""), vec![load(&plain, 0)]);
        self.add("flags-unknown", Shows(EINVAL, ""), vec![load(&plain, 8)]);
        self.add("file-empty", Shows(EINVAL, ""), vec![load(b"", 0)]);
        self.add("disabled", Shows(EPERM, ""), vec![load(&plain, 0)]).boot = "nomodule";
    }

    fn headers(&mut self) {
        self.plain("elf-short", ENOEXEC, "Invalid ELF header len 40", |m| m.bytes.truncate(40));
        self.plain("elf-magic", ENOEXEC, "Invalid ELF header magic: != \x7fELF", |m| {
            m.bytes[1] = b'e'
        });
        self.plain("elf-executable", ENOEXEC, "Invalid ELF header type: 2 != 1", |m| {
            m.set_header(header::TYPE, 2);
        });
        self.plain("elf-machine", ENOEXEC, "Invalid architecture in ELF header: 183", |m| {
            m.set_header(header::MACHINE, 183);
        });
        self.plain("elf-section-size", ENOEXEC, "Invalid ELF section header size", |m| {
            m.set_header(header::SHENTSIZE, 40);
        });
        let overflow = "Invalid ELF section header overflow";
        self.plain("elf-truncated", ENOEXEC, overflow, |m| m.bytes.truncate(m.bytes.len() / 2));
        self.plain("elf-sections-far", ENOEXEC, overflow, |m| m.set_header(header::SHOFF, 1 << 40));
        self.plain("elf-sections-many", ENOEXEC, overflow, |m| m.set_header(header::SHNUM, 0xfeff));
        let zero = "ELF Spec violation: section 0 type(1)!=SH_NULL or non-zero len or addr";
        self.plain("elf-section-0", ENOEXEC, zero, |m| m.set_section(0, section::TYPE, 1));
        let zero = "ELF Spec violation: section 0 type(0)!=SH_NULL or non-zero len or addr";
        self.plain("elf-section-0-size", ENOEXEC, zero, |m| m.set_section(0, section::SIZE, 1));
        self.plain("elf-section-bounds", ENOEXEC, "Invalid ELF section in module (section ", |m| {
            let index = m.section(".modinfo");
            m.set_section(index, section::SIZE, 1 << 30);
        });
        self.plain("elf-section-wraps", ENOEXEC, "Invalid ELF section in module (section ", |m| {
            let index = m.section(".modinfo");
            m.set_section(index, section::OFFSET, u64::MAX - 8);
        });
    }

    /// The bytes that the loader looks at, and those that it does not, one by one.
    fn ignored_fields(&mut self) {
        for at in 4..16 {
            self.plain(&format!("ident-{at}"), OK, "", |m| m.bytes[at] ^= 0x55);
        }
        let fields = [("version", 20, 4), ("entry", 24, 8), ("program-headers", 32, 8)];
        for (id, at, bytes) in fields.into_iter().chain([
            ("flags", 48, 4),
            ("header-size", 52, 2),
            ("program-header-size", 54, 2),
            ("program-header-count", 56, 2),
        ]) {
            self.plain(&format!("elf-{id}"), OK, "", |m| m.set(at, bytes, u64::MAX));
        }
        for kind in [0, 2, 3, 4, 0xff00] {
            let says = "Invalid ELF header type: ";
            self.plain(&format!("elf-type-{kind}"), ENOEXEC, says, |m| {
                m.set_header(header::TYPE, kind);
            });
        }
        for machine in [0, 3, 21, 40, 243, 258] {
            let says = "Invalid architecture in ELF header: ";
            self.plain(&format!("elf-machine-{machine}"), ENOEXEC, says, |m| {
                m.set_header(header::MACHINE, machine);
            });
        }
        // The fields of a section that is kept in memory which no one reads.
        for (id, field) in [("link", section::LINK), ("info", section::INFO)] {
            self.plain(&format!("text-{id}"), OK, "", |m| {
                let index = m.section(".text");
                m.set_section(index, field, 0x7f);
            });
        }
        for name in [".text", ".modinfo", ".symtab", ".strtab", ".shstrtab", ".rela.init.text"] {
            for (id, size) in [("beyond", 1 << 40), ("wraps", u64::MAX)] {
                let errno = ENOEXEC;
                self.plain(&format!("size-{id}{name}"), errno, "", |m| {
                    let index = m.section(name);
                    m.set_section(index, section::SIZE, size);
                });
            }
        }
    }

    fn names(&mut self) {
        self.plain(
            "names-none",
            ENOEXEC,
            "Invalid ELF section name index: 0 || e_shstrndx (0)",
            |m| {
                m.set_header(header::SHSTRNDX, 0);
            },
        );
        self.plain("names-beyond", ENOEXEC, "Invalid ELF section name index: 999", |m| {
            m.set_header(header::SHSTRNDX, 999);
        });
        let after = self.split_elf_checks();
        let (errno, says) = match after {
            true => (ENOEXEC, "Invalid ELF section name table type: 1"),
            false => (OK, ""),
        };
        self.plain("names-type", errno, says, |m| {
            let index = m.section(".shstrtab");
            m.set_section(index, section::TYPE, 1);
        });
        self.plain("names-empty", ENOEXEC, "empty section name table", |m| {
            let index = m.section(".shstrtab");
            m.set_section(index, section::SIZE, 0);
        });
        let says = "ELF Spec violation: section name table isn't null terminated";
        self.plain("names-unterminated", ENOEXEC, says, |m| {
            let index = m.section(".shstrtab");
            let size = m.get(index, section::SIZE);
            m.set_section(index, section::SIZE, size - 1);
        });
        if !after {
            let says = "Invalid ELF section hdr(type 3)";
            self.plain("names-bounds", ENOEXEC, says, |m| {
                let index = m.section(".shstrtab");
                m.set_section(index, section::SIZE, 1 << 30);
            });
        }
        self.plain("name-beyond", ENOEXEC, "Invalid ELF section name in module (section ", |m| {
            let index = m.section(".text");
            let size = m.get(m.section(".shstrtab"), section::SIZE);
            m.set_section(index, section::NAME, size);
        });
    }

    /// It is long because it is a list of damaged sections.
    fn this_module(&mut self) {
        const THIS: &str = ".gnu.linkonce.this_module";
        let VersionRules { split_elf_checks, sections_counted, this_module_size, .. } =
            self.target.rules;
        let counted =
            |says: &'static str| if sections_counted { (ENOEXEC, says) } else { (OK, "") };
        let (errno, says) = counted("Only one .modinfo section must exist.");
        self.plain("modinfo-twice", errno, says, |m| {
            m.add(".modinfo", b"name=plain\0");
        });
        let says = if split_elf_checks {
            "module plain: Exactly one .gnu.linkonce.this_module section must exist."
        } else if sections_counted {
            "module plain: Only one .gnu.linkonce.this_module section must exist."
        } else {
            "plain: No module found in object"
        };
        self.plain("this-module-absent", ENOEXEC, says, |m| {
            let index = m.section(THIS);
            m.rename(index, ".not.this_module");
        });
        let (errno, twice) = counted(says);
        self.plain("this-module-twice", errno, twice, |m| {
            m.add(THIS, b"");
        });
        // Where the checks are one function, a section without bytes is not counted.
        let no_bytes = if split_elf_checks {
            "module plain: .gnu.linkonce.this_module section must have a size set"
        } else {
            says
        };
        self.plain("this-module-nobits", ENOEXEC, no_bytes, |m| {
            let index = m.section(THIS);
            m.set_section(index, section::TYPE, 8);
        })
        .unknown = (!sections_counted).then_some("its struct module has no bytes");
        // Where sections are not counted, one that is not kept is not found.
        let unkept = if sections_counted {
            "module plain: .gnu.linkonce.this_module must occupy memory during process execution"
        } else {
            says
        };
        self.plain("this-module-unkept", ENOEXEC, unkept, |m| {
            let index = m.section(THIS);
            m.set_section(index, section::FLAGS, 1);
        });
        let unchecked = (!this_module_size).then_some("struct module");
        let says = "section size must match the kernel's built struct module size at run time";
        self.plain("this-module-size", ENOEXEC, says, |m| {
            let index = m.section(THIS);
            let size = m.get(index, section::SIZE);
            m.set_section(index, section::SIZE, size - 64);
        })
        .unknown = unchecked;
        let says = "module (missing .modinfo section or name field): .gnu.linkonce.this_module";
        self.plain("this-module-size-nameless", ENOEXEC, says, |m| {
            m.info("name", None);
            let index = m.section(THIS);
            let size = m.get(index, section::SIZE);
            m.set_section(index, section::SIZE, size + 64);
        })
        .unknown = unchecked;
    }

    /// It is long because it is a list of damaged tables.
    fn symbol_tables(&mut self) {
        let says = "plain: module has no symbols (stripped?)";
        self.plain("stripped", ENOEXEC, says, |m| {
            let index = m.section(".symtab");
            m.set_section(index, section::TYPE, 1);
        });
        let is_counted = self.target.rules.sections_counted;
        let (errno, says) = if is_counted { (ENOEXEC, says) } else { (OK, "") };
        self.plain("symbols-twice", errno, says, |m| {
            let index = m.add(".more", b"");
            m.set_section(index, section::TYPE, 2);
            m.set_section(index, section::LINK, 1);
        });
        self.plain(
            "strings-none",
            ENOEXEC,
            "Invalid ELF sh_link!=SHN_UNDEF(0) or (sh_link(0)",
            |m| {
                let index = m.section(".symtab");
                m.set_section(index, section::LINK, 0);
            },
        );
        self.plain(
            "strings-beyond",
            ENOEXEC,
            "Invalid ELF sh_link!=SHN_UNDEF(-1) or (sh_link(-1)",
            |m| {
                let index = m.section(".symtab");
                m.set_section(index, section::LINK, u32::MAX.into());
            },
        );
        if !self.split_elf_checks() {
            return;
        }
        self.plain("strings-type", ENOEXEC, "Invalid ELF symbol string table type: 1", |m| {
            let (index, text) = (m.section(".symtab"), m.section(".text"));
            m.set_section(index, section::LINK, text as u64);
        });
        if !self.target.rules.symbol_names_checked {
            return;
        }
        self.plain("strings-empty", ENOEXEC, "empty symbol string table", |m| {
            let index = m.section(".strtab");
            m.set_section(index, section::SIZE, 0);
        });
        self.plain(
            "strings-no-leading-nul",
            ENOEXEC,
            "symbol string table missing leading NUL",
            |m| {
                let index = m.section(".strtab");
                let at = m.get(index, section::OFFSET) as usize;
                m.bytes[at] = b'x';
            },
        );
        self.plain(
            "strings-unterminated",
            ENOEXEC,
            "symbol string table isn't NUL terminated",
            |m| {
                let index = m.section(".strtab");
                let size = m.get(index, section::SIZE);
                m.set_section(index, section::SIZE, size - 1);
            },
        );
        let says = "symbol name out of bounds in string table";
        self.plain("symbol-name-beyond", ENOEXEC, says, |m| {
            m.set_symbol("init_module", symbol::NAME, 1 << 20);
        });
    }

    fn version_tables(&mut self) {
        if !self.target.rules.extended_versions {
            return;
        }
        let says = "extended version crc+name presence does not match";
        self.plain("extended-versions-alone", ENOEXEC, says, |m| {
            for name in ["__version_ext_names", "__version_ext_crcs"] {
                if let Some(index) = m.find(name) {
                    m.rename(index, &format!(".gone{index}"));
                }
            }
            m.add("__version_ext_crcs", &[0; 8]);
        });
        self.plain(
            "extended-versions-short",
            ENOEXEC,
            "more extended version crcs than names",
            |m| {
                for name in ["__version_ext_names", "__version_ext_crcs"] {
                    if let Some(index) = m.find(name) {
                        m.rename(index, &format!(".gone{index}"));
                    }
                }
                m.add("__version_ext_crcs", &[0; 8]);
                m.add("__version_ext_names", b"module_layout\0printk");
            },
        );
    }

    fn early(&mut self) {
        let plain = load(&self.built.plain);
        self.add("blacklisted", Shows(EPERM, "Module plain is blacklisted"), vec![plain.clone()])
            .boot = "\"module-blacklist=other,plain\" -- module_blacklist=none";
        self.plain("init-blacklisted", EPERM, "initcall plain_init blacklisted", |_| {}).boot =
            "initcall_blacklist=a,plain_init";
        let panics = self.plain("panic-on-taint", OK, "", |_| {});
        panics.boot = "panic_on_taint=0x1000";
        panics.unknown = Some("panics at its taint");
        self.plain("vermagic-absent", OK, "plain: bad vermagic: kernel tainted.", |m| {
            m.info("vermagic", None);
        });
        let says = "plain: version magic '1.2.3 SMP preempt mod_unload ' should be '";
        self.plain("vermagic-differs", ENOEXEC, says, |m| {
            m.info("vermagic", Some("1.2.3 SMP preempt mod_unload "));
            // Without versions the release counts.
            for name in ["__versions", "__version_ext_crcs", "__version_ext_names"] {
                if let Some(index) = m.find(name) {
                    m.rename(index, &format!(".gone{index}"));
                }
            }
        });
        self.plain("vermagic-flags", ENOEXEC, "plain: version magic '", |m| {
            let magic = m.info_value("vermagic").unwrap().replace("SMP ", "");
            m.info("vermagic", Some(&magic));
        });
        let basic = self.built.plain.find("__versions").is_some();
        let (errno, says) = match self.target.options.modversions && basic {
            true => (OK, ""),
            false => (ENOEXEC, "plain: version magic '9.9.9-other "),
        };
        self.plain("vermagic-release", errno, says, |m| {
            let magic = m.info_value("vermagic").unwrap();
            let flags = magic.split_once(' ').unwrap().1.to_owned();
            m.info("vermagic", Some(&format!("9.9.9-other {flags}")));
        });
        let ignored = Load { flags: 2, ..plain.clone() };
        let says = "plain: bad vermagic: kernel tainted.";
        // Forced once before, the kernel says it no more: such a case has a boot of its own.
        self.add("vermagic-ignored", Shows(OK, says), vec![ignored]).boot = ALONE;
        let (errno, says) = match self.target.options.livepatch {
            true => (OK, "plain: tainting kernel with TAINT_LIVEPATCH"),
            false => {
                (ENOEXEC, "plain: module is marked as livepatch module, but livepatch support")
            }
        };
        self.plain("livepatch", errno, says, |m| m.info("livepatch", Some("Y")));
        self.add("loaded-already", Shows(Some(Errno::EEXIST), ""), vec![plain.clone(), plain]);
        self.plain("nameless", OK, "", |m| m.info("name", None));
        self.plain("named-twice", OK, "", |m| m.info("name", Some("other")));
    }

    fn taints(&mut self) {
        let says = "plain: module license 'Proprietary' taints kernel.";
        self.plain("license-proprietary", OK, says, |m| m.info("license", Some("Proprietary")));
        self.plain("license-absent", OK, "", |m| m.info("license", None));
        // The kernel is tainted by then, and says nothing more.
        for (index, value) in ["", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "MIT"]
            .into_iter()
            .enumerate()
        {
            self.plain(&format!("license-{index}"), OK, "", |m| m.info("license", Some(value)));
        }
        let says = "plain: module is from the staging directory, the quality is unknown";
        self.plain("staging", OK, says, |m| m.info("staging", Some("Y")));
        let says = "plain: loading test module taints kernel.";
        self.plain("test", OK, says, |m| m.info("test", Some("Y")));
        self.plain("in-tree", OK, "", |m| m.info("intree", Some("Y")));
        self.plain("no-retpoline", OK, "", |m| m.info("retpoline", None));
        self.plain("offender", OK, "", |m| m.call("lve"));
        self.plain("ndiswrapper", OK, "", |m| m.call("ndiswrapper"));
    }

    fn sections(&mut self) {
        let says = "plain: section .text (index ";
        self.plain("write-execute", ENOEXEC, says, |m| {
            let index = m.section(".text");
            m.set_section(index, section::FLAGS, 7);
        });
        self.plain("obsolete-parameters", OK, "plain: Ignoring obsolete parameters", |m| {
            m.add("__obsparm", &[0; 8]);
        });
        let (errno, says) = match self.target.options.constructors {
            true => (EINVAL, "plain: has both .ctors and .init_array."),
            false => (OK, ""),
        };
        self.plain("constructors-twice", errno, says, |m| {
            m.add(".ctors", &[]);
            m.add(".init_array", &[]);
        });
        let percpu = self.built.percpu.clone();
        self.add("percpu", Shows(OK, ""), vec![load(&percpu)]);
        let mut aligned = percpu;
        let index = aligned.section(".data..percpu");
        aligned.set_section(index, section::ALIGN, 8192);
        let says = "percpu: per-cpu alignment 8192 > 4096";
        self.add("percpu-alignment", Shows(OK, says), vec![load(&aligned)]);
        let (errno, says) = match self.target.rules.module_namespaces {
            true => (EPERM, "plain: module tries to import module namespace: module:plain"),
            false => (OK, ""),
        };
        self.plain("namespace-of-modules", errno, says, |m| {
            m.info("import_ns", Some("module:plain"));
        });
        self.plain("built-in-name", EINVAL, "printk: module is already loaded", |m| {
            m.call("printk")
        });
    }

    fn symbols(&mut self) {
        let Built { gives, takes, takes_any, takes_gpl, .. } = self.built;
        self.pair("stack", Shows(OK, ""), gives, takes, |_| {});
        let says = "takes: Unknown symbol gives_gpl (err -2)";
        self.add("provider-absent", Shows(ENOENT, says), vec![load(takes)]);
        let order = vec![load(takes_any), load(gives), load(takes_any)];
        self.add("order-reversed", Shows(OK, ""), order);
        self.pair("gpl-only", Shows(ENOENT, says), gives, takes, |m| {
            m.info("license", Some("Proprietary"));
        });
        let says = "but does not import it.";
        self.pair("namespace-absent", Shows(EINVAL, says), gives, takes, |m| {
            m.info("import_ns", None);
        });
        let (errno, says) = match self.target.rules.module_namespaces {
            true => (
                EINVAL,
                "taken: module uses symbol (gives_chosen) from namespace module:takes,other-*",
            ),
            false => (OK, ""),
        };
        self.pair("not-chosen", Shows(errno, says), gives, takes, |m| m.call("taken"));
        self.pair("chosen-by-star", Shows(OK, ""), gives, takes, |m| m.call("other_one"));
        let mut proprietary = gives.clone();
        proprietary.info("license", Some("Proprietary"));
        let says =
            "takes_gpl: module using GPL-only symbols uses symbols gives_any from proprietary";
        self.pair("proprietary-provider", Shows(ENOENT, says), &proprietary, takes_gpl, |m| {
            // Whichever the linker put first.
            if m.symbol("gives_any") < m.symbol("atomic_notifier_call_chain") {
                m.exchange("gives_any", "atomic_notifier_call_chain");
            }
        });
        let says =
            "takes_any: module uses symbols gives_any from proprietary module gives, inheriting";
        self.pair("taint-inherited", Shows(OK, says), &proprietary, takes_any, |_| {});
        self.plain("symbol-common", ENOEXEC, "plain: please compile with -fno-common", |m| {
            m.set_symbol("param_ops_int", symbol::SECTION, 0xfff2);
        });
        let says = "plain: Symbol param_ops_int has an invalid section index 999 (max ";
        let unchecked = !self.target.rules.symbol_section_checked;
        self.plain("symbol-section", ENOEXEC, says, |m| {
            m.set_symbol("param_ops_int", symbol::SECTION, 999);
        })
        .unknown = unchecked.then_some("param_ops_int is of section 999, which is not there");
        self.plain(
            "symbols-many-wrong",
            ENOEXEC,
            "plain: Unknown symbol qaram_ops_byte (err -2)",
            |m| {
                m.set_symbol("param_ops_int", symbol::SECTION, 0xfff2);
                m.swap(b"\0param_ops_byte\0", b"\0qaram_ops_byte\0");
            },
        );
    }

    fn versions(&mut self) {
        let Built { gives, takes_any, .. } = self.built;
        if !self.target.options.modversions {
            return;
        }
        let extended = takes_any.find("__version_ext_crcs").is_some();
        let change = |m: &mut Module, symbol: &str| {
            let at = version_at(m, symbol);
            m.bytes[at] ^= 1;
        };
        let says = "takes_any: disagrees about version of symbol gives_any";
        self.pair("version-differs", Shows(EINVAL, says), gives, takes_any, |m| {
            change(m, "gives_any")
        });
        let says = "plain: disagrees about version of symbol module_layout";
        self.plain("version-layout", ENOEXEC, says, |m| change(m, "module_layout"));
        let (errno, says) = match extended {
            true => (OK, "takes_any: no extended symbol version for gives_any"),
            false => (EINVAL, "takes_any: no symbol version for gives_any"),
        };
        self.pair("version-absent", Shows(errno, says), gives, takes_any, |m| {
            rename_version(m, "gives_any")
        });
        let says = "plain: module_layout: kernel tainted.";
        let ignored = Load { flags: 1, ..load(&self.built.plain) };
        self.add("versions-ignored", Shows(OK, says), vec![ignored]).boot = ALONE;
        self.plain("versions-absent", OK, "", |m| {
            for name in ["__versions", "__version_ext_crcs", "__version_ext_names"] {
                if let Some(index) = m.find(name) {
                    m.rename(index, &format!(".gone{index}"));
                }
            }
        });
        let mut bare = gives.clone();
        for name in ["__kcrctab", "__kcrctab_gpl"] {
            if let Some(index) = bare.find(name) {
                bare.rename(index, &format!(".gone{index}"));
            }
        }
        let says = "gives: no versions for exported symbols: kernel tainted.";
        self.add("exports-without-versions", Shows(OK, says), vec![load(&bare)]).boot = ALONE;
    }

    fn relocations(&mut self) {
        let overflow_first = self.target.rules.overflow_before_target;
        let says = "plain: Unknown rela relocation: 99";
        self.plain("relocation-unknown", ENOEXEC, says, |m| {
            let at = m.relocation(".init.text", 0) + rela::TYPE.0;
            m.set(at, 4, 99);
        });
        let over = if overflow_first {
            "x86/modules: Invalid relocation target, existing value is nonzero for"
        } else {
            "x86/modules: Skipping invalid relocation target, existing value is nonzero for"
        };
        self.plain("relocation-over-something", ENOEXEC, over, |m| {
            over_instruction(m);
        });
        let both = if overflow_first { "overflow in relocation type 10 val " } else { over };
        self.plain("relocation-over-something-overflow", ENOEXEC, both, |m| {
            let at = over_instruction(m) + rela::TYPE.0;
            m.set(at, 4, 10);
        });
        self.plain("relocation-overflow", ENOEXEC, "overflow in relocation type 10 val ", |m| {
            let at = m.relocation(".init.text", 0) + rela::TYPE.0;
            m.set(at, 4, 10);
        });
        self.plain(
            "relocation-without-addend",
            ENOEXEC,
            "module plain: REL relocation unsupported",
            |m| {
                let index = m.section(".rela.init.text");
                m.set_section(index, section::TYPE, 9);
            },
        );
    }

    fn exports(&mut self) {
        let Built { gives, again, .. } = self.built;
        let says = "again: exports duplicate symbol gives_any (owned by gives)";
        self.pair("export-duplicate", Shows(ENOEXEC, says), gives, again, |m| {
            m.swap(b"again_any\0", b"gives_any\0");
        });
        let mut kernels = again.clone();
        kernels.swap(b"again_any\0", b"ktime_get\0");
        let says = "again: exports duplicate symbol ktime_get (owned by kernel)";
        self.add("export-duplicate-kernel", Shows(ENOEXEC, says), vec![load(&kernels)]);
        if !self.target.rules.flag_table {
            return;
        }
        let mut bare = gives.clone();
        let index = bare.section("__kflagstab");
        bare.rename(index, ".gone");
        let says = "gives: no flags for exported symbols";
        self.add("export-flags-absent", Shows(ENOEXEC, says), vec![load(&bare)]);
        let mut old = again.clone();
        let index = old.section("__ksymtab");
        old.rename(index, "__ksymtab_gpl");
        let says = "again: ignoring obsolete section __ksymtab_gpl";
        self.add("export-table-obsolete", Shows(OK, says), vec![load(&old)]);
        old.add("__kcrctab_gpl", &[0; 4]);
        let says = "again: ignoring obsolete section __kcrctab_gpl";
        self.add("export-versions-obsolete", Shows(OK, says), vec![load(&old)]);
    }

    /// Types for BPF that do not fit: a kernel either refuses the module or warns once.
    fn btf(&mut self) {
        let options = &self.target.options;
        if !options.btf || self.built.plain.find(".BTF").is_none() {
            return;
        }
        let allowed = options.btf_mismatch_allowed;
        let warns = Shows(OK, "Kernel module BTF mismatch detected, BTF debug info may be");
        let says = "failed to validate module [plain] BTF: -22";
        let shows = |errno, says| if allowed { warns } else { Shows(Some(errno), says) };
        let plain = &self.built.plain;
        let whole = plain.get(plain.section(".BTF"), section::SIZE) as u32;
        // Of a header that is longer than the kernel's all the rest must be zero.
        let long = "plain] BTF: -7";
        let cases: [(&str, Errno, &'static str, &str, usize, BtfChange); 7] = [
            ("btf-magic", Errno::EINVAL, says, ".BTF", 0, BtfChange::Xor(1)),
            ("btf-version", Errno::ENOTSUPP, "plain] BTF: -524", ".BTF", 2, BtfChange::Xor(2)),
            ("btf-flags", Errno::ENOTSUPP, "plain] BTF: -524", ".BTF", 3, BtfChange::Xor(1)),
            ("btf-header-beyond", Errno::EINVAL, says, ".BTF", 4, BtfChange::Set(whole + 1)),
            ("btf-header-long", Errno::E2BIG, long, ".BTF", 4, BtfChange::Set(whole)),
            ("btf-types", Errno::EINVAL, says, ".BTF", 12, BtfChange::Xor(1)),
            ("btf-base-magic", Errno::EINVAL, says, ".BTF.base", 1, BtfChange::Xor(1)),
        ];
        for (id, errno, says, section, at, change) in cases {
            let Some(index) = self.built.plain.find(section) else { continue };
            let mut module = self.built.plain.clone();
            let at = module.get(index, section::OFFSET) as usize + at;
            match change {
                BtfChange::Xor(byte) => module.bytes[at] ^= byte,
                BtfChange::Set(word) => module.set(at, 4, word.into()),
            }
            self.add(id, shows(errno, says), vec![load(&module)]).boot =
                if allowed { ALONE } else { "" };
        }
        let mut cut = self.built.plain.clone();
        let index = cut.section(".BTF");
        let size = cut.get(index, section::SIZE);
        cut.set_section(index, section::SIZE, size - 1);
        self.add("btf-cut", shows(Errno::EINVAL, says), vec![load(&cut)]).boot =
            if allowed { ALONE } else { "" };
        self.btf_base(allowed, warns);
    }

    /// The base that a module brings, with a name that no type of the kernel's has.
    fn btf_base(&mut self, allowed: bool, warns: Shows) {
        let Some(index) = self.built.plain.find(".BTF.base") else { return };
        let mut module = self.built.plain.clone();
        let at = module.get(index, section::OFFSET) as usize;
        let end = at + module.get(index, section::SIZE) as usize;
        // The last name of its strings, which stand at its end.
        module.bytes[end - 2] = b'Q';
        let says = "distilled base BTF type '";
        let shows = if allowed { warns } else { Shows(EINVAL, says) };
        self.add("btf-base-unknown", shows, vec![load(&module)]).boot =
            if allowed { ALONE } else { "" };
        let mut bare = self.built.plain.clone();
        bare.rename(index, ".gone");
        // Its numbers of types are then taken for the kernel's.
        let shows = if allowed { warns } else { Shows(EINVAL, "failed to validate module") };
        self.add("btf-base-absent", shows, vec![load(&bare)]).boot =
            if allowed { ALONE } else { "" };
    }

    /// It is long because it is a list of words.
    fn params(&mut self) {
        let longest: &'static str = format!("text={}", "x".repeat(1024)).leak();
        let long: &'static str = format!("text={}", "x".repeat(1025)).leak();
        let erange = Some(Errno::ERANGE);
        let enabled = if self.target.rules.enabled_is_true { OK } else { EINVAL };
        let cases: &[(&str, &'static str, Option<Errno>, &'static str)] = &[
            ("hexadecimal", "number=0x7fffffff", OK, ""),
            ("hexadecimal-large", "number=0x80000000", erange, "invalid for parameter `number'"),
            ("octal", "number=0777", OK, ""),
            ("octal-wrong", "number=089", EINVAL, "invalid for parameter `number'"),
            ("plus", "number=+5", OK, ""),
            ("minus", "number=-2147483648", OK, ""),
            ("minus-large", "number=-2147483649", erange, "invalid for parameter `number'"),
            ("words-after", "number=5x", EINVAL, "`5x' invalid for parameter `number'"),
            ("byte", "small=255", OK, ""),
            ("byte-minus", "small=-1", EINVAL, "`-1' invalid for parameter `small'"),
            ("twice", "number=1 number=2", OK, ""),
            ("bool-on", "flag=on", OK, ""),
            ("bool-off", "flag=off", OK, ""),
            ("bool-1", "flag=1", OK, ""),
            ("bool-0", "flag=0", OK, ""),
            ("bool-false", "flag=false", OK, ""),
            ("bool-enabled", "flag=enabled", enabled, ""),
            ("bool-empty", "flag=", EINVAL, "`' invalid for parameter `flag'"),
            ("text-empty", "text=", OK, ""),
            ("text-longest", longest, OK, ""),
            ("ulong", "wide=18446744073709551615", OK, ""),
            ("ulong-large", "wide=18446744073709551616", erange, "invalid for parameter `wide'"),
            ("quote-open", "text=\"a b", OK, ""),
            ("quoted-whole", "\"text=a b\"", OK, ""),
            ("quotes-alone", "\"\"", OK, "unknown parameter '' ignored"),
            ("equals-first", "=1", OK, "unknown parameter '=1' ignored"),
            ("equals-twice", "text=a=b", OK, ""),
            ("spaces", "   number=1    flag   ", OK, ""),
            ("latin-1", "text=à flag", OK, ""),
            ("upper-case", "NUMBER=1", OK, "unknown parameter 'NUMBER' ignored"),
            ("dyndbg-of", "plain.dyndbg=+p", OK, ""),
            ("dotted", "plain.colour=red", OK, "plain: unknown parameter 'plain"),
            ("dashes-only", "--", OK, "plain: parameters '' after `--' ignored"),
            ("good", "number=1 text=a small=2 flag=y wide=0xff", OK, ""),
            ("flag-bare", "flag", OK, ""),
            ("invalid", "number=x", EINVAL, "plain: `x' invalid for parameter `number'"),
            ("without-value", "number", EINVAL, "plain: `' invalid for parameter `number'"),
            (
                "out-of-range",
                "small=256",
                Some(Errno::ERANGE),
                "plain: `256' invalid for parameter `small'",
            ),
            ("negative", "wide=-1", EINVAL, "plain: `-1' invalid for parameter `wide'"),
            ("unknown", "colour=blue", OK, "plain: unknown parameter 'colour' ignored"),
            ("unknown-bare", "colour", OK, "plain: unknown parameter 'colour' ignored"),
            ("dash", "num-ber=1", OK, "plain: unknown parameter 'num-ber' ignored"),
            ("quoted", "text=\"a b\" number=3", OK, ""),
            ("dyndbg", "dyndbg=-p", OK, ""),
            ("dyndbg-bad-flag", "dyndbg=+pq", OK, "dyndbg: unknown flag 'q'"),
            ("dyndbg-no-flag", "dyndbg=p", OK, "dyndbg: bad flag-op p, at start of p"),
            ("dyndbg-empty-flag", "dyndbg=\"''\"", OK, "dyndbg: flags parse failed"),
            ("dyndbg-keyword", "dyndbg=\"colour red +p\"", OK, "unknown keyword \"colour\""),
            ("dyndbg-odd", "dyndbg=\"func +p\"", OK, "expecting pairs of match-spec <value>"),
            ("dyndbg-lines", "dyndbg=\"line 9-1 +p;line x +p\"", OK, "last-line:1 < 1st-line:9"),
            ("dyndbg-twice", "dyndbg=\"file a:3 line 2 +p\"", OK, "match-spec: line used 2x"),
            ("dyndbg-functions", "dyndbg=\"file a:f func g +p\"", OK, "func val:f overridden by g"),
            ("dyndbg-quote", "dyndbg=\"func 'a +p\"", OK, "unclosed quote: a +p"),
            ("dyndbg-many", "dyndbg=\"a b c d e f g h i j\"", OK, "too many words, legal max"),
            ("dyndbg-comment", "dyndbg=\" # none\"", OK, ""),
            ("async", "async_probe", OK, ""),
            (
                "after-dashes",
                "number=1 -- more words",
                OK,
                "plain: parameters 'more words' after `--' ignored",
            ),
            (
                "last-error",
                "number=x small=300",
                Some(Errno::ERANGE),
                "plain: `300' invalid for parameter `small'",
            ),
            ("flag-wrong", "flag=maybe", EINVAL, "plain: `maybe' invalid for parameter `flag'"),
            (
                "dangerous",
                "dangerous=1",
                OK,
                "Setting dangerous option dangerous - tainting kernel",
            ),
            ("too-long", long, Some(Errno::ENOSPC), "text: string parameter too long"),
        ];
        for &(id, args, errno, says) in cases {
            let load = Load { args, ..load(&self.built.plain) };
            // A kernel without it says one line of all queries.
            let is_query = args.starts_with("dyndbg=") && !self.target.options.dynamic_debug;
            let says = if is_query { "dyndbg param is supported only" } else { says };
            self.add(&format!("param-{id}"), Shows(errno, says), vec![load]);
        }
    }
}

/// Lets a relocation write over an instruction; returns where it stands.
fn over_instruction(module: &mut Module) -> usize {
    // One before whose place stands a part of an instruction, and no other's place.
    let mut end = 0;
    let found = (0..).find_map(|index| {
        let at = module.relocation(".init.text", index);
        let offset = module.number(at, 8);
        let is_free = offset >= end + 2;
        end = offset + 4;
        is_free.then_some((at, offset))
    });
    let (at, offset) = found.unwrap();
    module.set(at, 8, offset - 2);
    at
}

/// The change to a byte, or a word, of the types for BPF.
enum BtfChange {
    Xor(u8),
    Set(u32),
}

/// Where the CRC of a symbol stands in the table that the kernel reads.
fn version_at(module: &Module, symbol: &str) -> usize {
    let (crcs, index) =
        extended(module, symbol).unwrap_or_else(|| (basic(module), position(module, symbol)));
    let size = if module.name_of(crcs) == "__versions" { 64 } else { 4 };
    module.get(crcs, section::OFFSET) as usize + index * size
}

fn basic(module: &Module) -> usize {
    module.section("__versions")
}

fn position(module: &Module, symbol: &str) -> usize {
    let entries = module.contents(basic(module)).chunks_exact(64);
    let name = [symbol.as_bytes(), b"\0"].concat();
    entries.into_iter().position(|entry| entry[8..].starts_with(&name)).unwrap()
}

fn extended(module: &Module, symbol: &str) -> Option<(usize, usize)> {
    let crcs = module.find("__version_ext_crcs")?;
    let names = module.contents(module.section("__version_ext_names"));
    let mut names = names.split(|&byte| byte == 0);
    Some((crcs, names.position(|name| name == symbol.as_bytes()).unwrap()))
}

/// Makes the table speak of another symbol.
fn rename_version(module: &mut Module, symbol: &str) {
    let index = module.find("__version_ext_names").unwrap_or_else(|| basic(module));
    let at = module.get(index, section::OFFSET) as usize;
    let name = [symbol.as_bytes(), b"\0"].concat();
    let place = module.contents(index).windows(name.len()).position(|part| part == name).unwrap();
    module.bytes[at + place] = b'#';
}
