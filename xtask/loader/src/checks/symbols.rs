//! Every symbol that the module needs (`simplify_symbols()`).

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use super::super::{
    errno::Errno,
    kernel_facts::Export,
    kernel_state::OnceMessage,
    load_info::{LoadInfo, Value},
    raw_elf::{Shdr, Sym},
    taints::Taints,
    verdict::Finding,
};
use ko::text::Text;

const SHN_UNDEF: u16 = 0;
const SHN_LIVEPATCH: u16 = 0xff20;
const SHN_ABS: u16 = 0xfff1;
const SHN_COMMON: u16 = 0xfff2;
const STB_WEAK: u8 = 2;
/// `sizeof(struct modversion_info)` (`include/linux/module.h`): a long and the name.
const VERSION_BYTES: u64 = 64;

/// What was wanted and what was found, of a version that does not agree.
type Differs = (String, String);

/// `check_version()` (`kernel/module/version.c`): the CRC with which the module was built against
/// the exporter's own, if that has one.
pub(super) fn version_agrees(
    load: &mut LoadInfo<'_>,
    symbol: &str,
    crc: Option<u32>,
) -> Result<(), Differs> {
    let Some(crc) = crc else { return Ok(()) };
    let extended = load.index.extended_crcs != 0;
    if !extended && load.index.versions == 0 {
        return match load.force(symbol) {
            true => Ok(()),
            false => Err((
                format!("{symbol} with CRC {crc:#010x}"),
                "no versions, and no CONFIG_MODULE_FORCE_LOAD".into(),
            )),
        };
    }
    let known = load.versions.take().unwrap_or_else(|| read_versions(load));
    let found = known.get(symbol.as_bytes()).copied();
    load.versions = Some(known);
    match found {
        Some(found) if found == u64::from(crc) => Ok(()),
        Some(found) => Err(disagree(load, symbol, crc, found)),
        None if extended => {
            let line = format!("{}: no extended symbol version for {symbol}", load.info_name());
            load.say_once(OnceMessage::NoExtendedVersion, line);
            Ok(())
        }
        None => {
            let line = format!("{}: no symbol version for {symbol}", load.info_name());
            load.say(line);
            Err((format!("{symbol} with CRC {crc:#010x}"), "no version of it".into()))
        }
    }
}

/// The table that the kernel reads, by symbol; of two entries for one it takes the first.
fn read_versions<'a>(load: &LoadInfo<'a>) -> HashMap<&'a [u8], u64> {
    let mut known = HashMap::new();
    let mut add = |name: Text<'a>, crc| {
        known.entry(name.bytes()).or_insert(crc);
    };
    if load.index.extended_crcs == 0 {
        let table = load.sections[load.index.versions];
        for entry in 0..table.size / VERSION_BYTES {
            let at = table.offset + entry * VERSION_BYTES;
            add(load.bytes.name(at + 8), load.bytes.u64(at));
        }
        return known;
    }
    let crcs = load.sections[load.index.extended_crcs];
    let mut name_at = load.sections[load.index.extended_names].offset;
    for entry in 0..crcs.size / 4 {
        let name = load.bytes.string(name_at);
        add(name, load.bytes.u32(crcs.offset + 4 * entry).into());
        name_at += name.bytes().len() as u64 + 1;
    }
    known
}

fn disagree(load: &mut LoadInfo<'_>, symbol: &str, crc: u32, found: u64) -> Differs {
    let line = format!("{}: disagrees about version of symbol {symbol}", load.info_name());
    load.say(line);
    (format!("{symbol} with CRC {crc:#010x}"), format!("{found:#010x}"))
}

/// What `simplify_symbols()` carries from symbol to symbol.
#[derive(Default)]
struct Progress<'a> {
    /// The namespaces that the module imports.
    imported: HashSet<&'a [u8]>,
    using_gpl_only: bool,
    errno: Option<Errno>,
    wrong: Vec<Differs>,
}

/// `simplify_symbols()`: it goes on after a symbol that is wrong, and the last error counts.
pub(super) fn symbols(load: &mut LoadInfo<'_>) -> Finding {
    let imported = load.modinfo_values("import_ns").into_iter().map(Text::bytes).collect();
    let mut progress = Progress { imported, ..Progress::default() };
    load.values = vec![Value::Number(0)];
    if let Some(zero) = load.symbol(0) {
        load.values[0] = Value::Number(zero.value);
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
    Finding::fail(errno).want(want.join("; ")).have(have.join("; "))
}

fn value(
    load: &mut LoadInfo<'_>,
    symbol: &Sym,
    so_far: &mut Progress<'_>,
) -> ControlFlow<Finding, Value> {
    let name = load.symbol_name(symbol).lossy().into_owned();
    let plain = Value::Number(symbol.value);
    let wrong = |so_far: &mut Progress<'_>, want: String, have: String| {
        so_far.errno = Some(Errno::ENOEXEC);
        so_far.wrong.push((want, have));
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
            let max = i64::from(load.header.section_count) - 1;
            let line = format!(
                "{}: Symbol {name} has an invalid section index {section} (max {max})",
                load.name
            );
            load.say(line);
            wrong(so_far, format!("{name} in a section up to {max}"), format!("in {section}"))
        }
        section if usize::from(section) == load.index.percpu => {
            ControlFlow::Continue(Value::PerCpu)
        }
        section => ControlFlow::Continue(defined(load, symbol, usize::from(section))),
    }
}

/// A symbol of the module's own: an address in its memory, or, of a section that is not kept, in
/// the memory where the file was read to.
fn defined(load: &LoadInfo<'_>, symbol: &Sym, section: usize) -> Value {
    // `layout_symtab()` keeps these two (`kernel/module/kallsyms.c`).
    let kept = [load.index.symbols, load.index.strings].contains(&section);
    match kept || load.sections.get(section).is_some_and(Shdr::is_alloc) {
        true => Value::Kernel(symbol.value),
        false => Value::Far,
    }
}

/// What became of one symbol that others define.
enum Resolved {
    Found,
    /// `NULL`: a weak symbol may go without.
    Absent(Differs),
    Refused(Errno, Differs),
}

fn undefined(
    load: &mut LoadInfo<'_>,
    symbol: &Sym,
    name: &str,
    so_far: &mut Progress<'_>,
) -> ControlFlow<Finding, Value> {
    if load.kernel.exports.is_empty() {
        return ControlFlow::Break(Finding::unknown("what the kernel exports is not known"));
    }
    if let Some(module) = load.state.doubtful("", name.as_bytes()) {
        let reason = format!("{name} is {module}'s, of which nobody can know whether it loads");
        return ControlFlow::Break(Finding::unknown(reason));
    }
    let (errno, wrong) = match resolve(load, name, so_far) {
        Resolved::Found => return ControlFlow::Continue(Value::Kernel(0)),
        // x86's linker may ask for the latter (`ignore_undef_symbol()`).
        Resolved::Absent(_) if symbol.bind == STB_WEAK || name == "_GLOBAL_OFFSET_TABLE_" => {
            return ControlFlow::Continue(Value::Number(symbol.value));
        }
        Resolved::Absent(wrong) => (Errno::ENOENT, wrong),
        Resolved::Refused(errno, wrong) => (errno, wrong),
    };
    let line = format!("{}: Unknown symbol {name} (err -{})", load.name, errno.number());
    load.say(line);
    so_far.errno = Some(errno);
    so_far.wrong.push(wrong);
    ControlFlow::Continue(Value::Number(symbol.value))
}

/// `resolve_symbol()`.
fn resolve(load: &mut LoadInfo<'_>, name: &str, so_far: &mut Progress<'_>) -> Resolved {
    let gpl_ok = !load.taints.has(Taints::PROPRIETARY);
    let found = load.state.find_symbol(load.kernel, name.as_bytes(), gpl_ok);
    let Some(found) = found else { return Resolved::Absent(absent(load, name)) };
    let export = found.export.clone();
    let owner = found.owner.map(|owner| (owner.name.clone(), owner.taints));
    so_far.using_gpl_only |= export.gpl_only;
    if let Some((owner, taints)) = owner {
        if taints.has(Taints::PROPRIETARY) && !inherit(load, name, &owner, so_far) {
            let want = format!("{name} from a GPL-compatible module, as others used are GPL-only");
            return Resolved::Absent((want, format!("from proprietary {owner}")));
        }
    }
    if let Err(differs) = version_agrees(load, name, export.crc) {
        return Resolved::Refused(Errno::EINVAL, differs);
    }
    match namespace_is_open(load, name, &export, so_far) {
        Ok(()) => Resolved::Found,
        Err(differs) => Resolved::Refused(Errno::EINVAL, differs),
    }
}

/// Why a symbol is not found: nobody exports it, or not to this module.
fn absent(load: &LoadInfo<'_>, name: &str) -> Differs {
    match load.state.find_symbol(load.kernel, name.as_bytes(), true) {
        None => {
            (format!("{name} from the kernel or a loaded module"), "nobody who exports it".into())
        }
        Some(_) => {
            let want = format!("a GPL-compatible license, for {name}");
            let license = load.modinfo_value("license").map(|text| text.lossy().into_owned());
            (want, license.unwrap_or_else(|| "no license".into()))
        }
    }
}

/// `inherit_taint()`: whoever uses a proprietary module is tainted as it is, and may not use
/// GPL-only symbols as well.
fn inherit(load: &mut LoadInfo<'_>, symbol: &str, owner: &str, so_far: &Progress<'_>) -> bool {
    let name = load.name.clone();
    if so_far.using_gpl_only {
        load.say(format!(
            "{name}: module using GPL-only symbols uses symbols {symbol} from proprietary module \
             {owner}."
        ));
        return false;
    }
    if !load.taints.has(Taints::PROPRIETARY) {
        load.say(format!(
            "{name}: module uses symbols {symbol} from proprietary module {owner}, inheriting \
             taint."
        ));
        // The module's alone: the kernel has it from the owner.
        load.taints.add(Taints::PROPRIETARY);
    }
    true
}

/// `verify_namespace_is_imported()`.
fn namespace_is_open(
    load: &mut LoadInfo<'_>,
    symbol: &str,
    export: &Export,
    so_far: &Progress<'_>,
) -> Result<(), Differs> {
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
    match load.kernel.options.missing_namespaces {
        true => Ok(()),
        false => Err((format!("import of namespace {namespace}, for {symbol}"), "none".into())),
    }
}
