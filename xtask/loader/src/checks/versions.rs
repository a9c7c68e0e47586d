//! The CRCs of symbols (`kernel/module/version.c`).

use std::collections::HashMap;

use crate::{errno::Errno, kernel_state::OnceMessage, load_info::LoadInfo, verdict::Finding};
use ko::text::{SymbolName, Text};

/// `sizeof(struct modversion_info)` (`include/linux/module.h`): a long and the name.
const ENTRY_BYTES: u64 = 64;

/// The version that was wanted, and another one that was found.
pub(super) type Difference = (String, String);

/// Why a version check refuses.
pub(super) enum Disagreement {
    /// The CRC differs or is missing.
    Differs(Difference),
    /// The kernel's answer to a missing CRC cannot be decided offline; the reason.
    Unknown(String),
}

/// Why a symbol cannot be looked up.
pub(super) const EXPORTS_UNKNOWN: &str =
    "the kernel's exports are unknown: name its Module.symvers (--symvers)";

/// `check_modstruct_version()`: the layout of the kernel's own structures, by the CRC of
/// `module_layout`.
pub(super) fn module_layout(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.modversions {
        return Finding::skip("the kernel has no versions (no CONFIG_MODVERSIONS)");
    }
    let export = load.kernel.exports.get(&b"module_layout"[..]);
    let Some(crc) = export.map(|export| export.crc) else {
        return Finding::unknown(EXPORTS_UNKNOWN);
    };
    match check_version(load, "module_layout", crc) {
        Ok(()) => Finding::pass(),
        Err(Disagreement::Differs((want, have))) => {
            Finding::fail(Errno::ENOEXEC).want(want).have(have)
        }
        Err(Disagreement::Unknown(reason)) => Finding::unknown(reason),
    }
}

/// `check_version()`: the CRC with which the module was built against the exporter's own, if the
/// exporter has one.
pub(super) fn check_version(
    load: &mut LoadInfo<'_>,
    symbol: &str,
    crc: Option<u32>,
) -> Result<(), Disagreement> {
    let Some(crc) = crc else { return Ok(()) };
    let want = || format!("{} with CRC {crc:#010x}", SymbolName(symbol.into()));
    let is_extended = load.index.extended_crcs != 0;
    if !is_extended && load.index.versions == 0 {
        if load.force(symbol) {
            return Ok(());
        }
        let have = "no versions, and no CONFIG_MODULE_FORCE_LOAD".into();
        return Err(Disagreement::Differs((want(), have)));
    }
    let known = load.versions.take().unwrap_or_else(|| read_versions(load));
    let found = known.get(symbol.as_bytes()).copied();
    load.versions = Some(known);
    match found {
        Some(found) if found == u64::from(crc) => Ok(()),
        Some(found) => {
            let line = format!("{}: disagrees about version of symbol {symbol}", load.info_name());
            load.say(line);
            Err(Disagreement::Differs((want(), format!("{found:#010x}"))))
        }
        None if is_extended => {
            let line = format!("{}: no extended symbol version for {symbol}", load.info_name());
            load.say_once(OnceMessage::NoExtendedVersion, line);
            Ok(())
        }
        None => missing(load, symbol, want()),
    }
}

/// A symbol that `__versions` does not have: mainline accepts it, Debian's kernels refuse it
/// ([`crate::kernel_facts::SourcePatches`]).
fn missing(load: &mut LoadInfo<'_>, symbol: &str, want: String) -> Result<(), Disagreement> {
    let line = format!("{}: no symbol version for {symbol}", load.info_name());
    match load.kernel.patches.missing_crc_refused {
        Some(false) => {
            load.say_once(OnceMessage::NoVersion, line);
            Ok(())
        }
        Some(true) => {
            load.say(line);
            Err(Disagreement::Differs((want, "no version of it".into())))
        }
        None => Err(Disagreement::Unknown(format!(
            "{symbol} has no CRC in __versions, with which mainline loads the module and Debian's \
             kernels refuse it: name a tree with this kernel's source (kernel/module/version.c)"
        ))),
    }
}

/// The table that the kernel reads, by symbol; of two entries for one symbol it takes the first.
/// The table of a section without bytes in the file may have any size: it ends with the file.
fn read_versions<'a>(load: &LoadInfo<'a>) -> HashMap<&'a [u8], u64> {
    let mut known = HashMap::new();
    let mut add = |name: Text<'a>, crc| {
        if !load.elf.read_beyond() {
            known.entry(name.bytes()).or_insert(crc);
        }
        !load.elf.read_beyond()
    };
    if load.index.extended_crcs == 0 {
        let table = load.sections[load.index.versions];
        for entry in 0..table.size / ENTRY_BYTES {
            let at = table.at(entry * ENTRY_BYTES);
            if !add(load.elf.name(at.saturating_add(8)), load.elf.u64(at)) {
                break;
            }
        }
        return known;
    }
    let crcs = load.sections[load.index.extended_crcs];
    let mut name_at = load.sections[load.index.extended_names].offset;
    for entry in 0..crcs.size / 4 {
        let name = load.elf.string(name_at);
        if !add(name, load.elf.u32(crcs.at(4 * entry)).into()) {
            break;
        }
        name_at += name.bytes().len() as u64 + 1;
    }
    known
}
