//! Every symbol that the module needs (`simplify_symbols()`).

use std::{collections::HashSet, ops::ControlFlow};

use super::versions::{Difference, Disagreement, EXPORTS_UNKNOWN, check_version};
use crate::{
    errno::Errno,
    gpl_only,
    hint::Cause,
    kernel_facts::Export,
    load_info::{LoadInfo, SymbolValue},
    raw_elf::Sym,
    taints::Taints,
    verdict::Finding,
};
use ko::text::{SymbolName, Text};
use stack::namespace::kept_for;

const SHN_UNDEF: u16 = object::elf::SHN_UNDEF.0;
/// `SHN_LIVEPATCH` (`include/uapi/linux/elf.h`).
const SHN_LIVEPATCH: u16 = 0xff20;
const SHN_ABS: u16 = object::elf::SHN_ABS.0;
const SHN_COMMON: u16 = object::elf::SHN_COMMON.0;
const STB_WEAK: u8 = object::elf::STB_WEAK.0;

/// The state that `simplify_symbols()` carries from symbol to symbol.
#[derive(Default)]
struct Progress<'a> {
    /// The namespaces that the module imports.
    imported: HashSet<&'a [u8]>,
    using_gpl_only: bool,
    errno: Option<Errno>,
    wrong: Vec<Difference>,
    cause: Option<Cause>,
    /// The module's license, for a reader.
    license: String,
}

/// The longest license that is shown of a module.
const LICENSE_CHARS_MAX: usize = 64;

/// The number of wrong symbols that are told apart.
const WRONG_MAX: usize = 1000;

impl Progress<'_> {
    /// Notes a symbol that is wrong.
    fn wrong(&mut self, errno: Errno, cause: Option<Cause>, difference: Difference) {
        self.errno = Some(errno);
        self.cause = self.cause.into_iter().chain(cause).min();
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push(difference);
        }
    }
}

/// `simplify_symbols()`: it goes on after a symbol that is wrong, and the last error counts.
pub(super) fn symbols(load: &mut LoadInfo<'_>) -> Finding {
    let imported = load.modinfo_values("import_ns").into_iter().map(Text::bytes).collect();
    let license = load.modinfo_value("license").unwrap_or("no license".into());
    let license = license.lossy().chars().take(LICENSE_CHARS_MAX).collect();
    let mut progress = Progress { imported, license, ..Progress::default() };
    load.values = vec![SymbolValue::Number(0)];
    if let Some(zero) = load.symbol(0) {
        load.values[0] = SymbolValue::Number(zero.value);
    }
    for index in 1..load.symbol_count() {
        let Some(symbol) = load.symbol(index) else { break };
        let value = match value(load, &symbol, &mut progress) {
            ControlFlow::Continue(value) => value,
            ControlFlow::Break(unknown) => return unknown,
        };
        load.values.push(value);
    }
    let Some(errno) = progress.errno else { return Finding::pass() };
    let (want, have): (Vec<_>, Vec<_>) = progress.wrong.into_iter().unzip();
    Finding::fail(errno).want(want.join("; ")).have(have.join("; ")).because(progress.cause)
}

fn value(
    load: &mut LoadInfo<'_>,
    symbol: &Sym,
    so_far: &mut Progress<'_>,
) -> ControlFlow<Finding, SymbolValue> {
    let name = load.symbol_name(symbol).lossy().into_owned();
    let plain = SymbolValue::Number(symbol.value);
    let wrong = |so_far: &mut Progress<'_>, want: String, have: String| {
        so_far.wrong(Errno::ENOEXEC, None, (want, have));
        ControlFlow::Continue(plain)
    };
    match symbol.section {
        SHN_COMMON if name.starts_with("__gnu_lto") => ControlFlow::Continue(plain),
        SHN_COMMON => {
            let line = format!("{}: please compile with -fno-common", load.name);
            load.say(line);
            wrong(so_far, format!("{name} in a section"), "a common symbol".into())
        }
        SHN_ABS | SHN_LIVEPATCH => ControlFlow::Continue(plain),
        SHN_UNDEF => undefined(load, symbol, &name, so_far),
        section if section >= load.header.section_count => {
            if !load.kernel.rules.symbol_section_checked {
                let reason = format!(
                    "{name} is of section {section}, which is not there, and this kernel does not \
                     check that"
                );
                return ControlFlow::Break(Finding::unknown(reason));
            }
            let max = i64::from(load.header.section_count) - 1;
            let line = format!(
                "{}: Symbol {name} has an invalid section index {section} (max {max})",
                load.name
            );
            load.say(line);
            wrong(so_far, format!("{name} in a section up to {max}"), format!("in {section}"))
        }
        section if usize::from(section) == load.index.percpu => {
            ControlFlow::Continue(SymbolValue::PerCpu)
        }
        section => ControlFlow::Continue(defined(load, symbol, usize::from(section))),
    }
}

/// A symbol of the module's own: an address in its memory, or, of a section that is not kept, in
/// the copy of the file.
fn defined(load: &LoadInfo<'_>, symbol: &Sym, section: usize) -> SymbolValue {
    if load.is_in_memory(section) {
        return SymbolValue::Kernel(symbol.value);
    }
    SymbolValue::Far
}

/// The outcome for one symbol that others define.
enum Resolved {
    Found,
    /// `NULL`: a weak symbol may go without.
    Absent(Cause, Difference),
    Refused(Cause, Difference),
    /// It cannot be decided offline; the reason.
    Unknown(String),
}

fn undefined(
    load: &mut LoadInfo<'_>,
    symbol: &Sym,
    name: &str,
    so_far: &mut Progress<'_>,
) -> ControlFlow<Finding, SymbolValue> {
    if load.kernel.exports.is_empty() {
        return ControlFlow::Break(Finding::unknown(EXPORTS_UNKNOWN));
    }
    if let Some(module) = load.state.doubtful("", name.as_bytes()) {
        let reason = match module {
            "" => format!("a module that cannot be read may export {name}: see what is said of it"),
            _ => format!(
                "{name} is {module}'s, and whether that one loads cannot be decided: see what is \
                 said of it"
            ),
        };
        return ControlFlow::Break(Finding::unknown(reason));
    }
    let plain = SymbolValue::Number(symbol.value);
    let (errno, cause, difference) = match resolve(load, name, so_far) {
        Resolved::Found => return ControlFlow::Continue(SymbolValue::Kernel(0)),
        Resolved::Unknown(reason) => return ControlFlow::Break(Finding::unknown(reason)),
        // x86's linker may ask for the latter (`ignore_undef_symbol()`).
        Resolved::Absent(..) if symbol.bind == STB_WEAK || name == "_GLOBAL_OFFSET_TABLE_" => {
            return ControlFlow::Continue(plain);
        }
        Resolved::Absent(cause, difference) => (Errno::ENOENT, cause, difference),
        Resolved::Refused(cause, difference) => (Errno::EINVAL, cause, difference),
    };
    let line = format!("{}: Unknown symbol {name} (err -{})", load.name, errno.number());
    load.say(line);
    so_far.wrong(errno, Some(cause), difference);
    ControlFlow::Continue(plain)
}

/// `resolve_symbol()`.
fn resolve(load: &mut LoadInfo<'_>, name: &str, so_far: &mut Progress<'_>) -> Resolved {
    let gpl_ok = !load.taints.has(Taints::PROPRIETARY);
    let found = load.state.find_symbol(load.kernel, name.as_bytes(), gpl_ok);
    let is_kernels = found.is_some_and(|found| found.owner.is_none());
    let unread = load.state.unread_exporter(name.as_bytes()).filter(|_| !is_kernels);
    if let Some(owner) = unread {
        return Resolved::Unknown(format!(
            "whether {name} may be used depends on {owner}, which is loaded from a file that was \
             not found: put {owner}.ko beside this one"
        ));
    }
    let Some(found) = found else { return absent(load, name, so_far) };
    let export = found.export.clone();
    let owner = found.owner.map(|owner| (owner.name.clone(), owner.taints));
    so_far.using_gpl_only |= export.gpl_only;
    if let Some((owner, taints)) = owner {
        if taints.has(Taints::PROPRIETARY) && !inherit_taint(load, name, &owner, so_far) {
            let symbol = SymbolName(name.into());
            let want =
                format!("{symbol} from a GPL-compatible module, as others used are GPL-only");
            let difference = (want, format!("from proprietary {owner}"));
            return Resolved::Absent(Cause::ProprietaryProvider, difference);
        }
    }
    match check_version(load, name, export.crc) {
        Ok(()) => {}
        Err(Disagreement::Unknown(reason)) => return Resolved::Unknown(reason),
        Err(Disagreement::Differs(difference)) => {
            return Resolved::Refused(Cause::VersionDiffers, difference);
        }
    }
    match verify_namespace(load, name, &export, so_far) {
        Ok(()) => Resolved::Found,
        Err(difference) => {
            let kept = std::str::from_utf8(&export.namespace).ok().and_then(kept_for);
            let is_kept = load.kernel.rules.module_namespaces && kept.is_some();
            let (imported, kept) = (Cause::NamespaceNotImported, Cause::KeptForOthers);
            Resolved::Refused(if is_kept { kept } else { imported }, difference)
        }
    }
}

/// Why a symbol is not found: nothing exports it, or not to this module.
fn absent(load: &LoadInfo<'_>, name: &str, so_far: &Progress<'_>) -> Resolved {
    let symbol = SymbolName(name.into());
    if load.state.find_symbol(load.kernel, name.as_bytes(), true).is_none() {
        let want = format!("{symbol} from the kernel or a loaded module");
        if let Some(seal) = load.state.other_seal(name) {
            return Resolved::Absent(Cause::CrateDiffers, (want, seal));
        }
        return Resolved::Absent(Cause::NotExported, (want, "nobody who exports it".into()));
    }
    let want = format!("a GPL-compatible license, for {symbol}");
    Resolved::Absent(Cause::GplOnly, (want, so_far.license.clone()))
}

/// `inherit_taint()`: whether the module may use a proprietary module's symbol.
fn inherit_taint(
    load: &mut LoadInfo<'_>,
    symbol: &str,
    owner: &str,
    so_far: &Progress<'_>,
) -> bool {
    let (name, taints) = (load.name.clone(), load.taints);
    match gpl_only::inherit_taint(&name, taints, symbol, owner, so_far.using_gpl_only) {
        Err(line) => {
            load.say(line);
            false
        }
        Ok(line) => {
            line.into_iter().for_each(|line| load.say(line));
            // Only the module is tainted here: the kernel has been since its owner was loaded.
            load.taints.add(Taints::PROPRIETARY);
            true
        }
    }
}

/// `verify_namespace_is_imported()`.
fn verify_namespace(
    load: &mut LoadInfo<'_>,
    symbol: &str,
    export: &Export,
    so_far: &Progress<'_>,
) -> Result<(), Difference> {
    let namespace = String::from_utf8_lossy(&export.namespace).into_owned();
    if namespace.is_empty() || so_far.imported.contains(export.namespace.as_slice()) {
        return Ok(());
    }
    if load.kernel.rules.module_namespaces
        && stack::namespace::admits_module(&namespace, &load.name)
    {
        return Ok(());
    }
    let line = format!(
        "{}: module uses symbol ({symbol}) from namespace {namespace}, but does not import it.",
        load.name
    );
    load.say(line);
    if load.kernel.options.missing_namespaces {
        return Ok(());
    }
    let symbol = SymbolName(symbol.into());
    match kept_for(&namespace).filter(|_| load.kernel.rules.module_namespaces) {
        Some(modules) => Err((format!("{symbol}, kept for {modules}"), load.name.clone())),
        None => Err((format!("import of namespace {namespace}, for {symbol}"), "none".into())),
    }
}
