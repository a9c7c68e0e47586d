//! The changes between two Module.symvers, and the importers that they break.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use super::{
    namespace::{kept_for, still_importable},
    symvers::{Symvers, SymversEntry},
};
use ko::{license::License, seal::Seal, text::SymbolName};
use serde::Serialize;

/// The comparison of CRCs: a kernel without MODVERSIONS writes 0 for every symbol.
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
    /// The kind of the change.
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
    /// One of several modules no longer exports it.
    OneLess {
        /// A module that still does.
        other: String,
    },
    /// Names of a crate have another hash in them, and are else as they were.
    Rebuilt {
        /// Their number.
        count: usize,
    },
}

impl Change {
    /// `true` if some module built against the old side is refused by the new one.
    ///
    /// The rules are those of `resolve_symbol()` in `kernel/module/main.c`: it looks a symbol up
    /// by name alone, so a move breaks nobody once depmod has run again.
    pub fn breaking(&self) -> bool {
        match &self.what {
            ChangeKind::Removed | ChangeKind::Crc { .. } | ChangeKind::Rebuilt { .. } => true,
            ChangeKind::Added | ChangeKind::Moved { .. } | ChangeKind::OneLess { .. } => false,
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
            ChangeKind::OneLess { other } => {
                write!(f, "{symbol} is no longer exported by {module}, but still by {other}")
            }
            ChangeKind::Rebuilt { count } => {
                let names = if *count == 1 { "name has" } else { "names have" };
                write!(
                    f,
                    "{count} {names} another hash for the crate {symbol} in {module}, as another \
                     compiler or other options give it: modules in Rust are built again"
                )
            }
        }
    }
}

fn write_namespace_change(
    f: &mut fmt::Formatter<'_>,
    old: &str,
    new: &str,
    breaking: bool,
) -> fmt::Result {
    let (kept_before, kept) = (kept_for(old), kept_for(new));
    match (kept_before, kept) {
        (Some(before), Some(now)) => write!(f, "is kept for {now}, and was for {before}")?,
        (Some(before), None) => write!(f, "is no longer kept for {before}")?,
        (None, Some(now)) => write!(f, "is kept for {now}")?,
        (None, None) if new.is_empty() => write!(f, "left the namespace {old}")?,
        (None, None) if old.is_empty() => write!(f, "entered the namespace {new}")?,
        (None, None) => write!(f, "went from the namespace {old} to {new}")?,
    }
    if kept_before.is_some() && kept.is_none() && !new.is_empty() {
        write!(f, ", and entered the namespace {new}")?;
    }
    f.write_str(match (breaking, kept, new) {
        (true, Some(_), _) => ": another module is refused, whatever it imports",
        (true, None, _) => ": a module that does not import it is refused",
        (false, None, "") if kept_before.is_some() => ": any module may use it",
        (false, None, "") => ": importing it is no longer needed",
        (false, ..) => ": every module that could use it still can",
    })
}

/// Every difference between two Module.symvers, by symbol.
///
/// Keyed by the symbol and, where several modules export the same one, by the module, too. Modules
/// are compared by name: the path before it is the builder's.
pub fn compare(old: &Symvers, new: &Symvers, crcs: CrcComparison) -> Vec<Change> {
    let mut pairs: BTreeMap<&str, [Vec<&SymversEntry>; 2]> = BTreeMap::new();
    for (side, symvers) in [old, new].into_iter().enumerate() {
        for entry in symvers.entries() {
            pairs.entry(&entry.symbol).or_default()[side].push(entry);
        }
    }
    let changes = |pair: [Vec<&SymversEntry>; 2]| match (&*pair[0], &*pair[1]) {
        ([old], [new]) => compare_both(old, new, crcs),
        (old, new) => compare_exporters(old, new, crcs),
    };
    fold_rebuilt(pairs.into_values().flat_map(changes).collect())
}

/// Compares the lines of one symbol, module by module.
fn compare_exporters(
    old: &[&SymversEntry],
    new: &[&SymversEntry],
    crcs: CrcComparison,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let of = |entries: &[&SymversEntry], module: &SymversEntry| {
        entries.iter().position(|entry| entry.module_name() == module.module_name())
    };
    for before in old {
        match (of(new, before), new.first()) {
            (Some(now), _) => changes.extend(compare_both(before, new[now], crcs)),
            (None, Some(other)) => {
                let other = other.module_name().to_string();
                changes.push(change(before, ChangeKind::OneLess { other }));
            }
            (None, None) => changes.push(change(before, ChangeKind::Removed)),
        }
    }
    let is_added = |entry: &&&SymversEntry| of(old, entry).is_none();
    changes.extend(new.iter().filter(is_added).map(|entry| change(entry, ChangeKind::Added)));
    changes
}

/// Tells names that are gone and there again, as Rust writes them, once for each crate: a mangled
/// name has a hash of the compiler and of its options in it.
fn fold_rebuilt(changes: Vec<Change>) -> Vec<Change> {
    let name = |change: &Change| {
        let is_rust = change.symbol.starts_with("_R");
        let path = is_rust.then(|| SymbolName(change.symbol.as_str().into()).rust()).flatten()?;
        Some((change.module.clone(), path))
    };
    let mut added: HashMap<_, usize> = HashMap::new();
    for change in changes.iter().filter(|change| change.what == ChangeKind::Added) {
        *added.entry(name(change)).or_default() += 1;
    }
    let mut rebuilt: HashMap<_, usize> = HashMap::new();
    for change in changes.iter().filter(|change| change.what == ChangeKind::Removed) {
        let key = name(change);
        let left = added.get_mut(&key).filter(|left| key.is_some() && **left > 0);
        if let Some(left) = left {
            *left -= 1;
            *rebuilt.entry(key).or_default() += 1;
        }
    }
    let (mut of_added, mut of_removed) = (rebuilt.clone(), rebuilt.clone());
    let mut take = |change: &Change| {
        let side = match change.what {
            ChangeKind::Added => &mut of_added,
            ChangeKind::Removed => &mut of_removed,
            _ => return false,
        };
        side.get_mut(&name(change)).is_some_and(|left| {
            let is_one = *left > 0;
            *left = left.saturating_sub(1);
            is_one
        })
    };
    let mut kept: Vec<Change> = changes.into_iter().filter(|change| !take(change)).collect();
    let mut crates: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (key, count) in rebuilt {
        let Some((module, path)) = key else { continue };
        let begin = path.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let crate_name = begin.split("::").next().unwrap_or_default().to_owned();
        *crates.entry((crate_name, module)).or_default() += count;
    }
    kept.extend(crates.into_iter().map(|((symbol, module), count)| Change {
        symbol,
        module,
        what: ChangeKind::Rebuilt { count },
    }));
    kept
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
    fn a_protected_symbol_is_told_by_the_modules_that_may_use_it() {
        let line = |namespace: &str| format!("0x1\ta\tp\tEXPORT_SYMBOL_GPL\t{namespace}");
        let to = |old: &str, new: &str, words: &str, breaking: bool| {
            check(&line(old), &line(new), words, breaking);
        };
        let refused = "is kept for m9: another module is refused, whatever it imports";
        to("", "module:m9", refused, true);
        to("N", "module:m9", refused, true);
        to("module:m9", "", "is no longer kept for m9: any module may use it", false);
        to("module:a", "module:a,b", "is kept for a,b, and was for a: every module", false);
        to("module:a,b", "module:b", "is kept for b, and was for a,b: another module", true);
        let entered =
            "is no longer kept for a, and entered the namespace N: a module that does not";
        to("module:a", "N", entered, true);
    }

    #[test]
    fn a_symbol_of_several_modules_is_compared_module_by_module() {
        let (of_p, of_q) = ("0x1\ta\tp\tEXPORT_SYMBOL\t", "0x2\ta\tq\tEXPORT_SYMBOL\t");
        let said = |old: &[&str], new: &[&str]| {
            let found = compare(&symvers(old), &symvers(new), CrcComparison::Compare);
            found.iter().map(|c| (c.to_string(), c.breaking())).collect::<Vec<_>>()
        };
        assert_eq!(said(&[of_p, of_q], &[of_q, of_p]), []);
        let less = "a is no longer exported by q, but still by p";
        assert_eq!(said(&[of_p, of_q], &[of_p]), [(less.into(), false)]);
        assert_eq!(said(&[of_p], &[of_p, of_q]), [("a is new in q".into(), false)]);
        assert_eq!(said(&[of_p, of_q], &[]).len(), 2);
        assert_eq!(symvers(&[of_p, of_q]).exported_twice(), [("a", vec!["p", "q"])]);
        assert!(symvers(&[of_p]).exported_twice().is_empty());
    }

    #[test]
    fn names_with_another_hash_are_told_once() {
        let line = |hash: &str, name: &str| {
            let bytes = name.len();
            format!("0x0\t_RNvCs{hash}_6kernel{bytes}{name}\tvmlinux\tEXPORT_SYMBOL_GPL\t")
        };
        let of = |hash: &str, names: &[&str]| {
            let lines: Vec<String> = names.iter().map(|name| line(hash, name)).collect();
            symvers(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let (old, new) = (of("1", &["one", "two", "gone"]), of("2", &["one", "two", "more"]));
        let found = compare(&old, &new, CrcComparison::Ignore);
        let said: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:#?}");
        assert!(said.iter().any(|line| line.starts_with("kernel::gone is no longer")), "{said:#?}");
        let rebuilt = "2 names have another hash for the crate kernel in vmlinux";
        assert!(said[2].starts_with(rebuilt) && found[2].breaking(), "{said:#?}");
    }

    #[test]
    fn without_modversions_crcs_are_not_compared() {
        let old = symvers(&[PLAIN]);
        let new = symvers(&["0x00000000\ta\tp\tEXPORT_SYMBOL\t"]);
        assert_eq!(CrcComparison::between(&old, &new), CrcComparison::Ignore);
        assert_eq!(compare(&old, &new, CrcComparison::between(&old, &new)), []);
    }
}
