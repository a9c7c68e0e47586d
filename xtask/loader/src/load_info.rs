//! The state of one load, which the checks share: `struct load_info` and what it leaves behind.

use std::collections::HashMap;

use crate::{
    errno::Errno,
    kernel_facts::KernelFacts,
    kernel_state::{KernelState, NamedExport, OnceMessage},
    modinfo_strings,
    raw_elf::{Ehdr, RELA_BYTES, RawElf, Rela, SHT_RELA, SYM_BYTES, Shdr, Sym},
    taints::Taints,
    verdict::Finding,
};
use ko::{compression::Compression, text::Text};

/// `MODULE_INIT_IGNORE_MODVERSIONS` of `finit_module()`.
pub const IGNORE_MODVERSIONS: u32 = 1;
/// `MODULE_INIT_IGNORE_VERMAGIC`.
pub const IGNORE_VERMAGIC: u32 = 2;
/// `MODULE_INIT_COMPRESSED_FILE`.
pub const COMPRESSED_FILE: u32 = 4;

/// A request to load a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadRequest<'a> {
    /// The bytes of the file, as the kernel would read them.
    pub file: &'a [u8],
    /// The parameters, as one string.
    pub args: &'a [u8],
    /// The flags of `finit_module()`.
    pub flags: u32,
    /// The name of the process that asks, as lockdown logs it; empty when it is not known.
    pub program: &'a str,
}

impl<'a> LoadRequest<'a> {
    /// Returns kmod's request for a compressed file (`do_finit_module()`,
    /// `libkmod/libkmod-module.c` of kmod 34): the kernel unpacks the file when the compression is
    /// the kernel's own. None where kmod unpacks the file itself.
    pub fn compressed(file: &'a [u8], kernel: &KernelFacts) -> Option<Self> {
        let compression = Compression::detect(file);
        let is_kernels = kernel.options.unpacks == Some(compression);
        is_kernels.then(|| Self { file, flags: COMPRESSED_FILE, ..Self::default() })
    }
}

/// The sections that the loader remembers by their index; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SectionIndex {
    pub(super) info: usize,
    pub(super) this_module: usize,
    pub(super) symbols: usize,
    pub(super) strings: usize,
    pub(super) versions: usize,
    pub(super) extended_crcs: usize,
    pub(super) extended_names: usize,
    pub(super) percpu: usize,
}

/// A load under way.
#[derive(Debug)]
pub(super) struct LoadInfo<'a> {
    pub(super) request: LoadRequest<'a>,
    pub(super) kernel: &'a KernelFacts,
    pub(super) state: &'a mut KernelState,
    /// `true` if the kernel has unpacked the file itself.
    pub(super) is_unpacked: bool,
    pub(super) elf: RawElf<'a>,
    /// `info->len`: the length of the file without its signature.
    pub(super) len: u64,
    pub(super) header: Ehdr,
    pub(super) sections: Vec<Shdr>,
    /// Where the section names begin.
    pub(super) names_at: u64,
    pub(super) index: SectionIndex,
    /// The strings of `.modinfo`.
    pub(super) modinfo: Vec<Text<'a>>,
    /// `info->name`.
    pub(super) info_name: Option<String>,
    /// `mod->name`, with which most messages begin.
    pub(super) name: String,
    /// `info->sig_ok`; none when it cannot be decided offline.
    pub(super) sig_ok: Option<bool>,
    /// `mod->taints`.
    pub(super) taints: Taints,
    pub(super) messages: Vec<String>,
    /// The bytes of [`LoadInfo::messages`].
    message_bytes: usize,
    /// The CRC that the module's tables have for a symbol; read when first asked for.
    pub(super) versions: Option<HashMap<&'a [u8], u64>>,
    /// The values of the symbols, by index.
    pub(super) values: Vec<SymbolValue>,
    pub(super) exports: Vec<NamedExport>,
}

/// The facts about a symbol's value after `simplify_symbols()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymbolValue {
    /// A number that no address is part of.
    Number(u64),
    /// An address of kernel or module code and data, plus this offset.
    Kernel(u64),
    /// An address in the copy of the file, outside the kernel's upper 2 GiB.
    Far,
    /// An address of per-CPU data, which differs from boot to boot.
    PerCpu,
}

/// A relocation of a `SHT_RELA` section.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectionRela {
    /// The section that holds it.
    pub(super) table: usize,
    /// Its number there.
    pub(super) entry: u64,
    /// The section that it changes.
    pub(super) target: usize,
    pub(super) rela: Rela,
}

/// `PRINTKRB_RECORD_MAX` (`kernel/printk/internal.h`), less the NUL and the two bytes of the level.
pub(super) const LINE_BYTES: usize = 1024 - 3;
/// `PREFIX_MAX` (`kernel/printk/internal.h`), by which lines are shorter before 6.3.
const PREFIX_BYTES: usize = 32;

/// The bytes of messages that are kept: the kernel's own log holds as many at most.
const LOG_BYTES_MAX: usize = 1 << 20;

impl<'a> LoadInfo<'a> {
    pub(super) fn new(
        request: LoadRequest<'a>,
        kernel: &'a KernelFacts,
        state: &'a mut KernelState,
    ) -> Self {
        Self {
            request,
            kernel,
            state,
            is_unpacked: false,
            elf: RawElf::new(request.file),
            len: request.file.len() as u64,
            header: Ehdr::default(),
            sections: Vec::new(),
            names_at: 0,
            index: SectionIndex::default(),
            modinfo: Vec::new(),
            info_name: None,
            name: String::new(),
            sig_ok: Some(false),
            taints: Taints::default(),
            messages: Vec::new(),
            message_bytes: 0,
            versions: None,
            values: Vec::new(),
            exports: Vec::new(),
        }
    }

    /// `true` if the load logs more than is kept: then its messages are not known.
    pub(super) fn logs_too_much(&self) -> bool {
        self.message_bytes > LOG_BYTES_MAX
    }

    /// Logs a line as `printk()` does, which cuts what is longer than [`LINE_BYTES`].
    pub(super) fn say(&mut self, mut line: String) {
        let has_prefix = !self.kernel.rules.log_lines_fill_records;
        let line_bytes = LINE_BYTES - if has_prefix { PREFIX_BYTES } else { 0 };
        if line.len() > line_bytes {
            let mut end = line_bytes;
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.truncate(end);
        }
        self.message_bytes += line.len();
        if !self.logs_too_much() {
            self.messages.push(line);
        }
    }

    /// Logs a line that the kernel logs once in its life.
    pub(super) fn say_once(&mut self, what: OnceMessage, line: String) {
        if self.state.is_first(what) {
            self.say(line);
        }
    }

    /// Refuses, with the line that says so.
    pub(super) fn refuse(&mut self, errno: Errno, line: String) -> Finding {
        self.say(line);
        Finding::fail(errno)
    }

    /// `add_taint_module()`: both the kernel and the module carry the taint.
    pub(super) fn taint(&mut self, taint: Taints) {
        self.taint_kernel(taint);
        self.taints.add(taint);
    }

    /// `add_taint()` (`kernel/panic.c`): lock debugging is given up for good, and the line is
    /// logged also where lock debugging is not built in.
    pub(super) fn taint_kernel(&mut self, taint: Taints) {
        if [Taints::PROPRIETARY, Taints::FORCED].contains(&taint) {
            let line = "Disabling lock debugging due to kernel taint";
            self.say_once(OnceMessage::LockDebugging, line.into());
        }
        self.state.taints.add(taint);
    }

    /// `info->name`, or what the kernel prints where there is none.
    pub(super) fn info_name_or_note(&self) -> String {
        let note = || "(missing .modinfo section or name field)".into();
        self.info_name.clone().unwrap_or_else(note)
    }

    /// `info->name`, from `elf.symbol-names` on.
    pub(super) fn info_name(&self) -> String {
        self.info_name.clone().unwrap_or_else(|| self.name.clone())
    }

    /// The name of a section.
    pub(super) fn section_name(&self, index: usize) -> Text<'a> {
        let offset = self.sections.get(index).map_or(0, |section| u64::from(section.name));
        self.elf.name(self.names_at.saturating_add(offset))
    }

    /// `true` if a section has this name.
    pub(super) fn section_is_named(&self, index: usize, name: &str) -> bool {
        let offset = self.sections.get(index).map_or(0, |section| u64::from(section.name));
        self.elf.has_string(self.names_at.saturating_add(offset), name)
    }

    /// `find_sec()`: the first section of this name with `SHF_ALLOC`.
    pub(super) fn find_sec(&self, name: &str) -> Option<usize> {
        (1..self.sections.len())
            .find(|&index| self.sections[index].is_alloc() && self.section_is_named(index, name))
    }

    /// All sections of this name, with `SHF_ALLOC` or without (`find_any_unique_sec()`).
    pub(super) fn find_any_sec(&self, name: &str) -> Vec<usize> {
        (1..self.sections.len()).filter(|&index| self.section_is_named(index, name)).collect()
    }

    /// `layout_symtab()` (`kernel/module/kallsyms.c`) keeps the symbol table and its strings in
    /// memory, whatever their flags.
    pub(super) fn is_in_memory(&self, index: usize) -> bool {
        [self.index.symbols, self.index.strings].contains(&index)
            || self.sections.get(index).is_some_and(Shdr::is_alloc)
    }

    /// `true` if a section is code.
    pub(super) fn is_executable(&self, index: usize) -> bool {
        self.sections.get(index).is_some_and(Shdr::is_executable)
    }

    /// The first value of a key of `.modinfo`.
    pub(super) fn modinfo_value(&self, key: &str) -> Option<Text<'a>> {
        modinfo_strings::values(&self.modinfo, key).next()
    }

    /// All values of a key of `.modinfo`.
    pub(super) fn modinfo_values(&self, key: &str) -> Vec<Text<'a>> {
        modinfo_strings::values(&self.modinfo, key).collect()
    }

    /// Reads `.modinfo`.
    pub(super) fn read_modinfo(&mut self) {
        let section = self.sections.get(self.index.info).copied().unwrap_or_default();
        self.modinfo = modinfo_strings::strings(&self.elf, &section);
    }

    /// The number of symbols.
    pub(super) fn symbol_count(&self) -> u64 {
        self.sections.get(self.index.symbols).map_or(0, |section| section.size / SYM_BYTES)
    }

    /// The symbol at an index, if the table has it.
    pub(super) fn symbol(&self, index: u64) -> Option<Sym> {
        let section = self.sections.get(self.index.symbols)?;
        let at = section.at(index.checked_mul(SYM_BYTES)?);
        (index < self.symbol_count()).then(|| Sym::read(&self.elf, at))
    }

    /// The name of a symbol.
    pub(super) fn symbol_name(&self, symbol: &Sym) -> Text<'a> {
        let strings = self.sections.get(self.index.strings).copied().unwrap_or_default();
        self.elf.name(strings.at(u64::from(symbol.name)))
    }

    /// `true` if a symbol has this name; reads no further than it has to.
    pub(super) fn symbol_is_named(&self, symbol: &Sym, name: &str) -> bool {
        let strings = self.sections.get(self.index.strings).copied().unwrap_or_default();
        self.elf.has_string(strings.at(u64::from(symbol.name)), name)
    }

    /// The relocations with addend of the sections that `wanted` picks, in the order of the file.
    pub(super) fn relas_where(
        &self,
        wanted: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = SectionRela> {
        let tables = self.sections.iter().enumerate();
        let tables = tables.filter(move |(_, s)| s.kind == SHT_RELA && wanted(s.info as usize));
        let mut bytes = 0u64;
        let fits = move |(_, table): &(usize, &Shdr)| {
            bytes = bytes.saturating_add(table.size);
            self.elf.holds_tables(bytes)
        };
        tables.take_while(fits).flat_map(move |(table, section)| {
            (0..section.size / RELA_BYTES).map(move |entry| SectionRela {
                table,
                entry,
                target: section.info as usize,
                rela: Rela::read(&self.elf, section.at(entry * RELA_BYTES)),
            })
        })
    }

    /// The relocations of one section.
    pub(super) fn relas_of(&self, target: usize) -> impl Iterator<Item = SectionRela> {
        self.relas_where(move |of| of == target)
    }

    /// `try_to_force_load()` (`kernel/module/main.c`): a kernel with `CONFIG_MODULE_FORCE_LOAD`
    /// loads the module all the same, and taints both.
    pub(super) fn force(&mut self, reason: &str) -> bool {
        if !self.kernel.options.force_load {
            return false;
        }
        if !self.state.taints.has(Taints::FORCED) {
            self.say(format!("{}: {reason}: kernel tainted.", self.name));
        }
        self.taint(Taints::FORCED);
        true
    }
}
