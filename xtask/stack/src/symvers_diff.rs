//! What changed between two Module.symvers, and which importers it breaks.

use std::{collections::BTreeMap, fmt};

use super::{
    namespace::still_importable,
    symvers::{Symvers, SymversEntry},
};
use ko::{license::License, seal::Seal, text::SymbolName};
use serde::Serialize;

/// Whether CRCs are compared: a kernel without MODVERSIONS writes 0 for every symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcComparison {
    /// Both sides come from kernels with MODVERSIONS.
    Compare,
    /// One side does not.
    Ignore,
}

impl CrcComparison {
    /// Compares when both sides hold any CRC at all.
    pub fn between(old: &Symvers, new: &Symvers) -> Self {
        if old.has_crcs() && new.has_crcs() { Self::Compare } else { Self::Ignore }
    }
}

/// One difference in one symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The symbol.
    pub symbol: String,
    /// Its exporter: the new one, or the old one of a removed symbol.
    pub module: String,
    /// What differs.
    #[serde(flatten)]
    pub what: ChangeKind,
}

/// The kinds of difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum ChangeKind {
    /// No module exports it any more.
    Removed,
    /// It was not exported before.
    Added,
    /// Its type changed.
    Crc {
        /// The CRC before.
        old: u32,
        /// The CRC now.
        new: u32,
    },
    /// `EXPORT_SYMBOL` became `EXPORT_SYMBOL_GPL`, or the other way round.
    License {
        /// The class before.
        old: License,
        /// The class now.
        new: License,
    },
    /// Importers have to import another namespace, or none.
    Namespace {
        /// The namespace before, empty for none.
        old: String,
        /// The namespace now, empty for none.
        new: String,
    },
    /// Another module exports it now.
    Moved {
        /// The exporter before.
        old: String,
    },
}

impl Change {
    /// Whether some module built against the old side is refused by the new one.
    ///
    /// The rules are those of `resolve_symbol()` in `kernel/module/main.c`: it looks a symbol up
    /// by name alone, so a move breaks nobody once depmod has run again.
    pub fn breaking(&self) -> bool {
        match &self.what {
            ChangeKind::Removed | ChangeKind::Crc { .. } => true,
            ChangeKind::Added | ChangeKind::Moved { .. } => false,
            ChangeKind::License { new, .. } => *new == License::GplOnly,
            ChangeKind::Namespace { old, new } => !still_importable(old, new),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { symbol, module, what } = self;
        let seal = Seal::parse(symbol);
        let symbol = SymbolName(symbol.as_str().into());
        match what {
            ChangeKind::Removed => {
                write!(f, "{symbol} is no longer exported by {module}: ")?;
                match seal {
                    Some(Seal { crate_name, .. }) => write!(
                        f,
                        "the crate {crate_name} changed, and a module built against the one \
                         before does not load"
                    ),
                    None => f.write_str("an importer does not load"),
                }
            }
            ChangeKind::Added => write!(f, "{symbol} is new in {module}"),
            ChangeKind::Crc { old, new } => write!(
                f,
                "the type of {symbol} changed, its CRC is {new:#010x} and was {old:#010x}: \
                 a module built against the old one is refused"
            ),
            ChangeKind::License { new: License::GplOnly, .. } => write!(
                f,
                "{symbol} became EXPORT_SYMBOL_GPL: a module without a GPL-compatible license \
                 no longer finds it"
            ),
            ChangeKind::License { new: License::Any, .. } => {
                write!(f, "{symbol} became EXPORT_SYMBOL: any module may use it")
            }
            ChangeKind::Namespace { old, new } => {
                write!(f, "{symbol} ")?;
                write_namespace_change(f, old, new, self.breaking())
            }
            ChangeKind::Moved { old } => write!(
                f,
                "{symbol} moved from {old} to {module}: importers still find it, \
                 after depmod has run again"
            ),
        }
    }
}

fn write_namespace_change(
    f: &mut fmt::Formatter<'_>,
    old: &str,
    new: &str,
    breaking: bool,
) -> fmt::Result {
    match (old, new) {
        (_, "") => return write!(f, "left the namespace {old}: importing it is no longer needed"),
        ("", _) => write!(f, "entered the namespace {new}")?,
        _ => write!(f, "went from the namespace {old} to {new}")?,
    }
    let end = if breaking {
        ": a module that does not import it is refused"
    } else {
        ": every module that could use it still can"
    };
    f.write_str(end)
}

/// Every difference between two Module.symvers, by symbol.
///
/// Keyed by the symbol and, where two external modules export the same one, by the last line, as
/// modpost reads it. Modules are compared by name: the path before it is the builder's.
pub fn compare(old: &Symvers, new: &Symvers, crcs: CrcComparison) -> Vec<Change> {
    let mut pairs: BTreeMap<&str, (Option<&SymversEntry>, Option<&SymversEntry>)> = BTreeMap::new();
    for entry in old.entries() {
        pairs.entry(&entry.symbol).or_default().0 = Some(entry);
    }
    for entry in new.entries() {
        pairs.entry(&entry.symbol).or_default().1 = Some(entry);
    }
    let changes = |pair| match pair {
        (Some(old), Some(new)) => compare_both(old, new, crcs),
        (Some(old), None) => vec![change(old, ChangeKind::Removed)],
        (None, Some(new)) => vec![change(new, ChangeKind::Added)],
        (None, None) => Vec::new(),
    };
    pairs.into_values().flat_map(changes).collect()
}

fn compare_both(old: &SymversEntry, new: &SymversEntry, crcs: CrcComparison) -> Vec<Change> {
    let mut changes = Vec::new();
    if crcs == CrcComparison::Compare && old.crc != new.crc {
        changes.push(change(new, ChangeKind::Crc { old: old.crc, new: new.crc }));
    }
    if old.license != new.license {
        changes.push(change(new, ChangeKind::License { old: old.license, new: new.license }));
    }
    if old.namespace != new.namespace {
        let (old, namespace) = (old.namespace.clone(), new.namespace.clone());
        changes.push(change(new, ChangeKind::Namespace { old, new: namespace }));
    }
    if old.module_name() != new.module_name() {
        changes.push(change(new, ChangeKind::Moved { old: old.module_name().to_string() }));
    }
    changes
}

fn change(entry: &SymversEntry, what: ChangeKind) -> Change {
    Change { symbol: entry.symbol.clone(), module: entry.module_name().to_string(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symvers(lines: &[&str]) -> Symvers {
        Symvers::parse(lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap()
    }

    fn changes(old: &str, new: &str) -> Vec<(String, bool)> {
        compare(&symvers(&[old]), &symvers(&[new]), CrcComparison::Compare)
            .iter()
            .map(|change| (change.to_string(), change.breaking()))
            .collect()
    }

    /// The one difference between two lines: its sentence holds `words`, and it breaks or not.
    fn check(old: &str, new: &str, words: &str, breaking: bool) {
        let found = changes(old, new);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0.contains(words), "{found:?}");
        assert_eq!(found[0].1, breaking, "{found:?}");
    }

    const PLAIN: &str = "0x1\ta\tp/p\tEXPORT_SYMBOL\t";

    #[test]
    fn names_of_a_crate_are_shown_as_its_source_has_them() {
        let line = |symbol: &str| {
            Symvers::parse(format!("0x0\t{symbol}\tprovider\tEXPORT_SYMBOL_GPL\t\n")).unwrap()
        };
        let said = |symbol: &str| {
            let changes = compare(&line(symbol), &Symvers::default(), CrcComparison::Ignore);
            changes[0].to_string()
        };
        let seal = "provider_abi_0123456789abcdef is no longer exported by provider: the crate \
                    provider changed, and a module built against the one before does not load";
        assert_eq!(said("provider_abi_0123456789abcdef"), seal);
        let sums = "provider::sums is no longer exported by provider: an importer does not load";
        assert_eq!(said("_RNvCs1_8provider4sums"), sums);
    }

    #[test]
    fn equal_but_for_the_builders_path_is_no_change() {
        assert_eq!(changes(PLAIN, "0x1\ta\t/home/me/p\tEXPORT_SYMBOL\t"), []);
    }

    #[test]
    fn each_kind_is_named_and_judged() {
        check(PLAIN, "0x2\ta\tp\tEXPORT_SYMBOL\t", "0x00000002 and was 0x00000001", true);
        check(PLAIN, "0x1\ta\tp\tEXPORT_SYMBOL_GPL\t", "became EXPORT_SYMBOL_GPL", true);
        check("0x1\ta\tp\tEXPORT_SYMBOL_GPL\t", PLAIN, "became EXPORT_SYMBOL:", false);
        check(PLAIN, "0x1\ta\tp\tEXPORT_SYMBOL\tN", "entered the namespace N", true);
        check("0x1\ta\tp\tEXPORT_SYMBOL\tN", PLAIN, "left the namespace N", false);
        check(PLAIN, "0x1\ta\tq\tEXPORT_SYMBOL\t", "moved from p to q", false);
    }

    #[test]
    fn removed_breaks_and_added_does_not() {
        let other = symvers(&["0x1\tb\tp\tEXPORT_SYMBOL\t"]);
        let found = compare(&symvers(&[PLAIN]), &other, CrcComparison::Compare);
        let found: Vec<_> = found.iter().map(|c| (c.symbol.as_str(), c.breaking())).collect();
        assert_eq!(found, [("a", true), ("b", false)]);
    }

    #[test]
    fn without_modversions_crcs_are_not_compared() {
        let old = symvers(&[PLAIN]);
        let new = symvers(&["0x00000000\ta\tp\tEXPORT_SYMBOL\t"]);
        assert_eq!(CrcComparison::between(&old, &new), CrcComparison::Ignore);
        assert_eq!(compare(&old, &new, CrcComparison::between(&old, &new)), []);
    }
}
