//! The documented form of `inspect --json`.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    path::{Path, PathBuf},
};

use ko::{
    exports::{Export, ExportLayout, SymbolKind},
    imports::Import,
    module::{Facts, Module, SoftDep},
    params::Param,
    signature::Signature,
    text::{SymbolName, Text},
    vermagic::Vermagic,
    versions::VersionTable,
};
use loader::kernel_facts::KernelFacts;
use serde::{Serialize, Serializer};

use super::verification::{Answer, Verification};
use crate::command::license_word;
use crate::tree::section_reader::{FileError, ModuleBuffer};

/// The whole answer. Each file is read when its turn comes to be written: the forms of a whole
/// tree of modules would take a hundred megabytes.
#[derive(Serialize)]
pub(super) struct InspectForm<'a> {
    format: &'static str,
    modules: Files<'a>,
}

struct Files<'a> {
    files: &'a [PathBuf],
    kernel: Option<&'a KernelFacts>,
    buffer: RefCell<ModuleBuffer>,
    failed: &'a Cell<bool>,
}

impl<'a> InspectForm<'a> {
    /// The form of these files, their signatures verified for a kernel; `failed` is set when one
    /// of them is no module.
    pub(super) fn new(
        files: &'a [PathBuf],
        kernel: Option<&'a KernelFacts>,
        failed: &'a Cell<bool>,
    ) -> Self {
        let buffer = RefCell::default();
        Self { format: "inspect/2", modules: Files { files, kernel, buffer, failed } }
    }
}

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.files.iter().map(|file| OneFile { file, all: self }))
    }
}

struct OneFile<'a> {
    file: &'a Path,
    all: &'a Files<'a>,
}

impl Serialize for OneFile<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let file = self.file.display().to_string();
        let mut buffer = self.all.buffer.borrow_mut();
        let facts = buffer.read(self.file).and_then(|bytes| {
            let verification = self.all.kernel.map(|kernel| Verification::of(bytes, kernel));
            Ok((Module::read(bytes)?.facts().map_err(FileError::from)?, verification))
        });
        match facts {
            Ok((facts, verification)) => FileForm {
                file,
                facts: ModuleForm::from(&facts),
                verification: verification.as_ref().map(VerificationForm::from),
            }
            .serialize(serializer),
            Err(error) => {
                self.all.failed.set(true);
                errln!("error: {file}: {error}");
                ErrorForm { file, error: error.to_string() }.serialize(serializer)
            }
        }
    }
}

#[derive(Serialize)]
struct ErrorForm {
    file: String,
    error: String,
}

#[derive(Serialize)]
struct FileForm<'a> {
    file: String,
    #[serde(flatten)]
    facts: ModuleForm<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<VerificationForm<'a>>,
}

#[derive(Serialize)]
struct VerificationForm<'a> {
    release: &'a str,
    verifies: &'static str,
    by: Option<&'a str>,
    keyring: Option<String>,
    errno: Option<String>,
    reason: String,
    keyrings: &'a [String],
}

impl<'a> From<&'a Verification> for VerificationForm<'a> {
    fn from(verification: &'a Verification) -> Self {
        let Verification { release, answer, keyrings } = verification;
        let (by, keyring) = match answer {
            Answer::Good { subject, keyring } => (Some(&**subject), Some(keyring.to_string())),
            _ => (None, None),
        };
        let errno = match answer {
            Answer::Bad(errno) => Some(errno.to_string()),
            _ => None,
        };
        let (verifies, reason) = (answer.word(), answer.to_string());
        Self { release, verifies, by, keyring, errno, reason, keyrings }
    }
}

/// Text of a module, with U+FFFD for what is not UTF-8.
type Lossy<'a> = Cow<'a, str>;

fn lossy<'a>(texts: &[Text<'a>]) -> Vec<Lossy<'a>> {
    texts.iter().map(|text| text.lossy()).collect()
}

#[derive(Serialize)]
struct ModuleForm<'a> {
    name: Option<Lossy<'a>>,
    license: Option<Lossy<'a>>,
    version: Option<Lossy<'a>>,
    srcversion: Option<Lossy<'a>>,
    description: Vec<Lossy<'a>>,
    authors: Vec<Lossy<'a>>,
    machine: &'a str,
    bits: usize,
    intree: bool,
    livepatch: bool,
    retpoline: bool,
    vermagic: Option<VermagicForm<'a>>,
    depends: Vec<Lossy<'a>>,
    softdeps: Vec<SoftDepForm<'a>>,
    weakdeps: Vec<Lossy<'a>>,
    namespaces: Vec<Lossy<'a>>,
    aliases: Vec<Lossy<'a>>,
    firmware: Vec<Lossy<'a>>,
    params: Vec<ParamForm<'a>>,
    signature: Option<SignatureForm<'a>>,
    signature_unreadable: bool,
    struct_module_bytes: Option<u64>,
    build_id: Option<&'a str>,
    btf: bool,
    export_layout: Option<&'static str>,
    exports: Vec<ExportForm<'a>>,
    version_tables: Vec<&'static str>,
    module_layout_crc: Option<u32>,
    imports: Vec<ImportForm<'a>>,
    other: Vec<OtherForm<'a>>,
}

impl<'a> From<&'a Facts<'a>> for ModuleForm<'a> {
    fn from(facts: &'a Facts<'a>) -> Self {
        Self {
            name: facts.name.map(Text::lossy),
            license: facts.license.map(Text::lossy),
            version: facts.version.map(Text::lossy),
            srcversion: facts.srcversion.map(Text::lossy),
            description: lossy(&facts.description),
            authors: lossy(&facts.authors),
            machine: &facts.machine,
            bits: facts.bits,
            intree: facts.intree,
            livepatch: facts.livepatch,
            retpoline: facts.retpoline,
            vermagic: facts.vermagic.map(VermagicForm::from),
            depends: lossy(&facts.depends),
            softdeps: facts.softdeps.iter().map(SoftDepForm::from).collect(),
            weakdeps: lossy(&facts.weakdeps),
            namespaces: lossy(&facts.namespaces),
            aliases: lossy(&facts.aliases),
            firmware: lossy(&facts.firmware),
            params: facts.params.iter().map(ParamForm::from).collect(),
            signature: facts.signature.as_ref().map(SignatureForm::from),
            signature_unreadable: facts.signature_unreadable,
            struct_module_bytes: facts.struct_module_bytes,
            build_id: facts.build_id.as_deref(),
            btf: facts.btf,
            export_layout: facts.export_layout.map(|layout| match layout {
                ExportLayout::Flags => "flags",
                ExportLayout::Split => "split",
            }),
            exports: facts.exports.iter().map(ExportForm::from).collect(),
            version_tables: facts.version_tables.iter().map(table_word).collect(),
            module_layout_crc: facts.module_layout_crc,
            imports: facts.imports.iter().map(ImportForm::from).collect(),
            other: facts
                .other
                .iter()
                .map(|line| OtherForm { key: line.key.lossy(), value: line.value.lossy() })
                .collect(),
        }
    }
}

fn table_word(table: &VersionTable) -> &'static str {
    match table {
        VersionTable::Basic => "basic",
        VersionTable::Extended => "extended",
    }
}

#[derive(Serialize)]
struct VermagicForm<'a> {
    whole: Lossy<'a>,
    release: Lossy<'a>,
    flags: Vec<Lossy<'a>>,
}

impl<'a> From<Vermagic<'a>> for VermagicForm<'a> {
    fn from(vermagic: Vermagic<'a>) -> Self {
        Self {
            whole: vermagic.whole.lossy(),
            release: vermagic.release().lossy(),
            flags: vermagic.flags().map(Text::lossy).collect(),
        }
    }
}

#[derive(Serialize)]
struct SoftDepForm<'a> {
    text: Lossy<'a>,
    pre: Vec<Lossy<'a>>,
    post: Vec<Lossy<'a>>,
}

impl<'a> From<&SoftDep<'a>> for SoftDepForm<'a> {
    fn from(soft: &SoftDep<'a>) -> Self {
        Self { text: soft.text.lossy(), pre: lossy(&soft.pre), post: lossy(&soft.post) }
    }
}

#[derive(Serialize)]
struct ParamForm<'a> {
    name: Lossy<'a>,
    #[serde(rename = "type")]
    kind: Option<Lossy<'a>>,
    description: Option<Lossy<'a>>,
}

impl<'a> From<&Param<'a>> for ParamForm<'a> {
    fn from(param: &Param<'a>) -> Self {
        Self {
            name: param.name.lossy(),
            kind: param.kind.map(Text::lossy),
            description: param.description.map(Text::lossy),
        }
    }
}

#[derive(Serialize)]
struct SignatureForm<'a> {
    id: &'static str,
    signer: Lossy<'a>,
    key: String,
    hash: &'a str,
    signature: String,
}

impl<'a> From<&'a Signature<'a>> for SignatureForm<'a> {
    fn from(signature: &'a Signature<'a>) -> Self {
        Self {
            id: signature.id,
            signer: signature.signer.lossy(),
            key: signature.key.to_string(),
            hash: &signature.hash,
            signature: signature.signature.to_string(),
        }
    }
}

/// A symbol's name, and its path for a mangled Rust name.
#[derive(Serialize)]
struct SymbolForm<'a> {
    symbol: Lossy<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rust: Option<String>,
}

impl<'a> From<SymbolName<'a>> for SymbolForm<'a> {
    fn from(name: SymbolName<'a>) -> Self {
        Self { symbol: name.0.lossy(), rust: name.rust() }
    }
}

#[derive(Serialize)]
struct ExportForm<'a> {
    #[serde(flatten)]
    symbol: SymbolForm<'a>,
    license: &'static str,
    namespace: Lossy<'a>,
    crc: Option<u32>,
    kind: &'static str,
}

impl<'a> From<&Export<'a>> for ExportForm<'a> {
    fn from(export: &Export<'a>) -> Self {
        Self {
            symbol: export.symbol.into(),
            license: license_word(export.license),
            namespace: export.namespace.lossy(),
            crc: export.crc,
            kind: kind_word(export.kind),
        }
    }
}

#[derive(Serialize)]
struct ImportForm<'a> {
    #[serde(flatten)]
    symbol: SymbolForm<'a>,
    weak: bool,
    crc: Option<u32>,
}

impl<'a> From<&Import<'a>> for ImportForm<'a> {
    fn from(import: &Import<'a>) -> Self {
        Self { symbol: import.symbol.into(), weak: import.weak, crc: import.crc }
    }
}

#[derive(Serialize)]
struct OtherForm<'a> {
    key: Lossy<'a>,
    value: Lossy<'a>,
}

/// The word for what kind of thing is exported, in the form and in the text.
pub(super) fn kind_word(kind: SymbolKind) -> &'static str {
    match kind {
        SymbolKind::Function => "function",
        SymbolKind::Data => "data",
        SymbolKind::Unknown => "unknown",
    }
}
