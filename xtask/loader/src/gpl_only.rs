//! GPL-only symbols: which licenses may use them, and from whom.
//!
//! Three rules of `kernel/module/main.c`, all here: which license is GPL-compatible
//! ([`is_compatible`]), when a GPL-only symbol is hidden from a module ([`is_visible`]), and that a
//! user of GPL-only symbols may not use a proprietary module's ([`inherit_taint`]). The kernel
//! reports a hidden symbol as one that nothing exports.

use crate::{kernel_facts::Export, taints::Taints};

/// The licenses that `license_is_gpl_compatible()` knows (`include/linux/license.h`).
const COMPATIBLE: [&str; 6] =
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];

/// `true` if a module of this license may use GPL-only symbols.
pub fn is_compatible(license: &str) -> bool {
    COMPATIBLE.contains(&license)
}

/// `true` if `find_symbol()` shows an export to a module; `gpl_ok` says that the module carries no
/// `TAINT_PROPRIETARY_MODULE`.
pub fn is_visible(export: &Export, gpl_ok: bool) -> bool {
    gpl_ok || !export.gpl_only
}

/// `inherit_taint()`: `module` uses a symbol of the proprietary module `owner` and becomes
/// proprietary itself; returned is the line that the kernel logs, unless it was so before.
///
/// # Errors
/// The module has used a GPL-only symbol before: the symbol is refused with this line.
pub fn inherit_taint(
    module: &str,
    taints: Taints,
    symbol: &str,
    owner: &str,
    using_gpl_only: bool,
) -> Result<Option<String>, String> {
    if using_gpl_only {
        return Err(format!(
            "{module}: module using GPL-only symbols uses symbols {symbol} from proprietary \
             module {owner}."
        ));
    }
    let line = || {
        format!(
            "{module}: module uses symbols {symbol} from proprietary module {owner}, inheriting \
             taint."
        )
    };
    Ok((!taints.has(Taints::PROPRIETARY)).then(line))
}
