//! One load, from the file's bytes to the running module: what the checks share.

use std::collections::HashMap;

use super::{
    checks,
    errno::Errno,
    hint,
    kernel_facts::KernelFacts,
    kernel_state::{KernelState, LoadedModule, OnceMessage},
    modinfo_strings,
    raw_elf::{Ehdr, RawElf, SYM_BYTES, Shdr, Sym},
    taints::Taints,
    verdict::{Answer, CheckResult, Finding, Outcome, Verdict},
};
use ko::text::Text;

/// `MODULE_INIT_IGNORE_MODVERSIONS` of `finit_module()`.
pub const IGNORE_MODVERSIONS: u32 = 1;
/// `MODULE_INIT_IGNORE_VERMAGIC`.
pub const IGNORE_VERMAGIC: u32 = 2;
/// `MODULE_INIT_COMPRESSED_FILE`.
pub const COMPRESSED_FILE: u32 = 4;

/// What the kernel is asked to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadRequest<'a> {
    /// The bytes of the file, as the kernel would read them.
    pub file: &'a [u8],
    /// The parameters, as one string.
    pub args: &'a str,
    /// The flags of `finit_module()`.
    pub flags: u32,
    /// The program that asks, as lockdown names it; empty when nobody knows.
    pub program: &'a str,
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

/// A load on its way: `struct load_info` and what it leaves behind.
#[derive(Debug)]
pub(super) struct LoadInfo<'a> {
    pub(super) request: LoadRequest<'a>,
    pub(super) kernel: &'a KernelFacts,
    pub(super) state: &'a mut KernelState,
    pub(super) bytes: RawElf<'a>,
    /// `info->len`: the file without its signature.
    pub(super) len: u64,
    pub(super) header: Ehdr,
    pub(super) sections: Vec<Shdr>,
    /// Where the names of the sections begin.
    pub(super) names_at: u64,
    pub(super) index: SectionIndex,
    /// The strings of `.modinfo`.
    pub(super) modinfo: Vec<Text<'a>>,
    /// `info->name`.
    pub(super) info_name: Option<String>,
    /// `mod->name`, with which most messages begin.
    pub(super) name: String,
    /// Whether the signature was found good; none when nobody can know.
    pub(super) signed: Option<bool>,
    /// `mod->taints`.
    pub(super) taints: Taints,
    pub(super) messages: Vec<String>,
    /// The CRC that the module's tables have for a symbol; read when first asked for.
    pub(super) versions: Option<HashMap<&'a [u8], u64>>,
    /// What the symbols of the module stand for, by index.
    pub(super) values: Vec<Value>,
    pub(super) exports: Vec<super::kernel_state::NamedExport>,
}

/// What is known of a symbol's value after `simplify_symbols()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number that no address is part of.
    Number(u64),
    /// An address of kernel or module code and data, and an offset that was added to it.
    Kernel(u64),
    /// An address of memory where the file was read to: not of the kernel's upper 2 GiB.
    Far,
    /// Where per-CPU data lies, which differs.
    PerCpu,
}

/// Loads one file into `state`, or finds why it would be refused.
pub fn load<'a>(
    request: LoadRequest<'a>,
    target: &'a KernelFacts,
    state: &'a mut KernelState,
) -> Verdict {
    LoadInfo::new(request, target, state).walk(|_| false)
}

/// The verdict as far as the file and the kernel decide alone, before it comes to what is loaded;
/// none when they do not.
pub fn early(request: LoadRequest<'_>, target: &KernelFacts) -> Option<Verdict> {
    let mut state = KernelState::default();
    let verdict = LoadInfo::new(request, target, &mut state).walk(|id| id == "loaded");
    (!verdict.loads()).then_some(verdict)
}

impl<'a> LoadInfo<'a> {
    fn new(request: LoadRequest<'a>, target: &'a KernelFacts, state: &'a mut KernelState) -> Self {
        Self {
            request,
            kernel: target,
            state,
            bytes: RawElf::new(request.file),
            len: request.file.len() as u64,
            header: Ehdr::default(),
            sections: Vec::new(),
            names_at: 0,
            index: SectionIndex::default(),
            modinfo: Vec::new(),
            info_name: None,
            name: String::new(),
            signed: Some(false),
            taints: Taints::default(),
            messages: Vec::new(),
            versions: None,
            values: Vec::new(),
            exports: Vec::new(),
        }
    }

    fn walk(mut self, ends_at: impl Fn(&str) -> bool) -> Verdict {
        let mut walked = Vec::new();
        let mut answer = Answer::Loads;
        for &(id, run) in checks::in_order(&self.kernel.rules) {
            if ends_at(id) {
                break;
            }
            let mut finding = run(&mut self);
            let decided = matches!(finding.outcome, Outcome::Unknown(_));
            if self.bytes.read_beyond() && !decided {
                finding = Finding::unknown(
                    "the kernel reads beyond the end of the file, where nobody knows what lies",
                );
            }
            let hint = hint::hint_for(id, &finding, &self);
            let Finding { outcome, want, have } = finding;
            walked.push(CheckResult { id, outcome: outcome.clone(), want, have, hint });
            match outcome {
                Outcome::Fail(errno) => answer = Answer::Refused(errno),
                Outcome::Unknown(reason) => answer = Answer::Unknown(reason),
                Outcome::Pass | Outcome::Skip(_) | Outcome::Open(_) => continue,
            }
            break;
        }
        if matches!(answer, Answer::Unknown(_)) {
            self.exports = super::module_exports::read(&self).unwrap_or_default();
        }
        let Self { name, taints, messages, exports, info_name, state, .. } = self;
        let module = LoadedModule { name: name.clone(), taints, exports };
        match answer {
            Answer::Loads => state.add_module(module),
            Answer::Unknown(_) => state.doubt(module),
            Answer::Refused(_) => {}
        }
        let name = if name.is_empty() { info_name.unwrap_or_default() } else { name };
        Verdict { name, answer, messages, taints, checks: walked }
    }

    /// Logs a line as `printk()` does, which cuts what is longer than [`LINE_BYTES`].
    pub(super) fn say(&mut self, mut line: String) {
        if line.len() > LINE_BYTES {
            let mut end = LINE_BYTES;
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.truncate(end);
        }
        self.messages.push(line);
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

    /// `add_taint_module()`: the kernel and the module both carry it.
    pub(super) fn taint(&mut self, taint: Taints) {
        self.taint_kernel(taint);
        self.taints.add(taint);
    }

    /// `add_taint()` (`kernel/panic.c`): lock debugging trusts no kernel with code that nobody
    /// saw, and says so, also where it is not built in.
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

    /// `info->name` where it is known to be there.
    pub(super) fn info_name(&self) -> String {
        self.info_name.clone().unwrap_or_else(|| self.name.clone())
    }

    /// The name of a section.
    pub(super) fn section_name(&self, index: usize) -> Text<'a> {
        let offset = self.sections.get(index).map_or(0, |section| u64::from(section.name));
        self.bytes.name(self.names_at.saturating_add(offset))
    }

    pub(super) fn section_is(&self, index: usize, name: &str) -> bool {
        let offset = u64::from(self.sections[index].name);
        self.bytes.has_string(self.names_at.saturating_add(offset), name)
    }

    /// `find_sec()`: the first section of this name that is kept in memory.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        (1..self.sections.len())
            .find(|&index| self.sections[index].is_alloc() && self.section_is(index, name))
    }

    /// The sections of this name, kept in memory or not (`find_any_unique_sec()`).
    pub(super) fn find_any(&self, name: &str) -> Vec<usize> {
        (1..self.sections.len()).filter(|&index| self.section_is(index, name)).collect()
    }

    /// The first value of a key of `.modinfo`.
    pub(super) fn modinfo_value(&self, key: &str) -> Option<Text<'a>> {
        modinfo_strings::values(&self.modinfo, key).next()
    }

    /// All values of a key of `.modinfo`.
    pub(super) fn modinfo_values(&self, key: &str) -> Vec<Text<'a>> {
        modinfo_strings::values(&self.modinfo, key).collect()
    }

    /// Reads `.modinfo` and, from it, the name.
    pub(super) fn read_modinfo(&mut self) {
        let section = self.sections.get(self.index.info).copied().unwrap_or_default();
        self.modinfo = modinfo_strings::strings(&self.bytes, &section);
    }

    /// How many symbols there are.
    pub(super) fn symbol_count(&self) -> u64 {
        self.sections.get(self.index.symbols).map_or(0, |section| section.size / SYM_BYTES)
    }

    /// The symbol at an index, if the table has it.
    pub(super) fn symbol(&self, index: u64) -> Option<Sym> {
        let section = self.sections.get(self.index.symbols)?;
        let at = section.offset.checked_add(index.checked_mul(SYM_BYTES)?)?;
        (index < self.symbol_count()).then(|| Sym::read(&self.bytes, at))
    }

    /// The name of a symbol.
    pub(super) fn symbol_name(&self, symbol: &Sym) -> Text<'a> {
        let strings = self.sections.get(self.index.strings).map_or(0, |section| section.offset);
        self.bytes.name(strings.saturating_add(u64::from(symbol.name)))
    }

    /// `try_to_force_load()` (`kernel/module/main.c`): where the kernel allows it, the module
    /// loads all the same, and both are tainted.
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

/// `PRINTKRB_RECORD_MAX` (`kernel/printk/internal.h`), less the NUL and the two bytes of the level.
const LINE_BYTES: usize = 1024 - 3;
