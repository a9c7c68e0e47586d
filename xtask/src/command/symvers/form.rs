//! The documented forms of `symvers diff --json` and `symvers explain --json`.

use serde::Serialize;
use stack::{
    symvers::SymversEntry,
    symvers_diff::{Change, ChangeKind, CrcComparison},
};

use super::explain::{Explanation, TypeText};
use crate::{command::license_word, tree::importers::Importer};

#[derive(Serialize)]
pub(super) struct DiffForm<'a> {
    format: &'static str,
    crcs_compared: bool,
    breaking: usize,
    changes: Vec<ChangeForm<'a>>,
}

#[derive(Serialize)]
struct ChangeForm<'a> {
    symbol: &'a str,
    module: &'a str,
    #[serde(flatten)]
    kind: KindForm<'a>,
    breaking: bool,
    text: String,
}

#[derive(Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
enum KindForm<'a> {
    Removed,
    Added,
    Crc { old: u32, new: u32 },
    License { old: &'static str, new: &'static str },
    Namespace { old: &'a str, new: &'a str },
    Moved { old: &'a str },
}

impl<'a> DiffForm<'a> {
    pub(super) fn new(changes: &'a [Change], crcs: CrcComparison, breaking: usize) -> Self {
        Self {
            format: "symvers-diff/2",
            crcs_compared: crcs == CrcComparison::Compare,
            breaking,
            changes: changes.iter().map(ChangeForm::from).collect(),
        }
    }
}

impl<'a> From<&'a Change> for ChangeForm<'a> {
    fn from(change: &'a Change) -> Self {
        let kind = match &change.what {
            ChangeKind::Removed => KindForm::Removed,
            ChangeKind::Added => KindForm::Added,
            &ChangeKind::Crc { old, new } => KindForm::Crc { old, new },
            &ChangeKind::License { old, new } => {
                KindForm::License { old: license_word(old), new: license_word(new) }
            }
            ChangeKind::Namespace { old, new } => KindForm::Namespace { old, new },
            ChangeKind::Moved { old } => KindForm::Moved { old },
        };
        Self {
            symbol: &change.symbol,
            module: &change.module,
            kind,
            breaking: change.breaking(),
            text: change.to_string(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ExplainForm<'a> {
    format: &'static str,
    symbol: &'a str,
    exports: Vec<ExportForm<'a>>,
    importers: Vec<ImporterForm<'a>>,
    #[serde(rename = "type")]
    kind: Option<TypeForm<'a>>,
}

#[derive(Serialize)]
struct ExportForm<'a> {
    crc: u32,
    symbol: &'a str,
    module: &'a str,
    license: &'static str,
    namespace: &'a str,
}

#[derive(Serialize)]
struct ImporterForm<'a> {
    module: &'a str,
    crc: Option<u32>,
    weak: bool,
}

#[derive(Serialize)]
struct TypeForm<'a> {
    c: &'a str,
    text: &'a str,
    crc: Option<u32>,
    blessed_crc: Option<u32>,
    changes: &'a [String],
}

impl<'a> From<&'a Explanation> for ExplainForm<'a> {
    fn from(explanation: &'a Explanation) -> Self {
        let Explanation { symbol, exports, importers, kind } = explanation;
        let importer =
            |i: &'a Importer| ImporterForm { module: &i.module, crc: i.crc, weak: i.weak };
        let kind = kind.as_ref().map(|TypeText { c, text, crc, blessed_crc, changes }| TypeForm {
            c,
            text,
            crc: *crc,
            blessed_crc: *blessed_crc,
            changes,
        });
        Self {
            format: "symvers-explain/2",
            symbol,
            exports: exports.iter().map(ExportForm::from).collect(),
            importers: importers.iter().map(importer).collect(),
            kind,
        }
    }
}

impl<'a> From<&'a SymversEntry> for ExportForm<'a> {
    fn from(entry: &'a SymversEntry) -> Self {
        let SymversEntry { crc, symbol, module, license, namespace } = entry;
        Self { crc: *crc, symbol, module, license: license_word(*license), namespace }
    }
}
