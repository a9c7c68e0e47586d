//! `symvers`: what a Module.symvers says, and what a change of it does to importers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use serde::Serialize;

use crate::{
    command::expected,
    module::{
        damage::Damage,
        facts::Module,
        file::{Buffer, FileError},
        imports::undefined,
        text::Text,
    },
    problem::{OrProblem, Problem, Result},
    stack::{
        compare::{Change, Crcs, compare},
        read::side_by_side,
        symtypes::Symtypes,
        symvers::{Entry, Symvers},
        tree::{self, Config, ModuleFile},
        typetext,
    },
};

/// Read Module.symvers: what is exported, and what a change of it breaks
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(expected::Check),
    Bless(expected::Bless),
    Diff(Diff),
    Explain(Explain),
}

/// What an update does to those who import: each difference, and whether it breaks them
///
/// Exit status 1 when something breaks. CRCs are compared only if both files hold any.
#[derive(Debug, clap::Args)]
struct Diff {
    /// The Module.symvers that modules were built against
    old: PathBuf,
    /// The Module.symvers they are to run against
    new: PathBuf,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
}

/// Where a symbol comes from, who imports it, and why its CRC is what it is
///
/// Exit status 1 when nobody exports it, or when the CRC differs from the blessed one.
#[derive(Debug, clap::Args)]
struct Explain {
    /// The symbol
    symbol: String,
    /// A Module.symvers: of the kernel, of the stack
    #[arg(long, required = true)]
    symvers: Vec<PathBuf>,
    /// Module files that may import it
    #[arg(long, num_args = 1..)]
    modules: Vec<PathBuf>,
    /// A tree of modules that may import it
    #[arg(long)]
    tree: Option<PathBuf>,
    /// Type texts that gendwarfksyms hashed (make KBUILD_SYMTYPES=1): files, or directories to
    /// search for *.symtypes
    #[arg(long, num_args = 1..)]
    symtypes: Vec<PathBuf>,
    /// The blessed type texts
    #[arg(long)]
    blessed: Option<PathBuf>,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
}

/// The form of `symvers explain --json`.
#[derive(Debug, Serialize)]
struct ExplainJson {
    format: &'static str,
    symbol: String,
    exports: Vec<Entry>,
    importers: Vec<Importer>,
    #[serde(rename = "type")]
    kind: Option<TypeText>,
}

/// A module that imports the symbol.
#[derive(Debug, Serialize)]
struct Importer {
    module: String,
    /// The CRC it was built with.
    crc: Option<u32>,
    weak: bool,
}

/// The type behind the CRC.
#[derive(Debug, Serialize)]
struct TypeText {
    /// As a C programmer would write it.
    c: String,
    /// What gendwarfksyms wrote.
    text: String,
    /// The CRC computed from it.
    crc: Option<u32>,
    /// The CRC of the blessed text.
    blessed_crc: Option<u32>,
    /// What differs from the blessed text.
    changes: Vec<String>,
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A file that cannot be read, or that modpost would refuse.
    pub fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Check(check) => check.run(),
            Action::Bless(bless) => bless.run(),
            Action::Diff(diff) => diff.run(),
            Action::Explain(explain) => explain.run(),
        }
    }
}

/// Reads a Module.symvers.
///
/// # Errors
/// A file that cannot be read is the request's fault; one that modpost would refuse does not hold.
pub fn read(path: &Path) -> Result<Symvers> {
    let bytes = fs::read(path).or_usage(|| format!("cannot read {}", path.display()))?;
    Symvers::parse(bytes)
        .map_err(|error| Problem::does_not_hold(format!("{}: {error}", path.display())))
}

/// The form of `symvers diff --json`.
#[derive(Debug, Serialize)]
struct DiffJson<'a> {
    format: &'static str,
    crcs_compared: bool,
    breaking: usize,
    changes: Vec<JudgedChange<'a>>,
}

#[derive(Debug, Serialize)]
struct JudgedChange<'a> {
    #[serde(flatten)]
    change: &'a Change,
    breaking: bool,
    text: String,
}

impl Diff {
    fn run(self) -> Result<ExitCode> {
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        let crcs = Crcs::of(&old, &new);
        let changes = compare(&old, &new, crcs);
        let breaking = changes.iter().filter(|change| change.breaking()).count();
        if self.json {
            print_json(&changes, crcs, breaking)?;
        } else {
            print_text(&changes, crcs, breaking);
        }
        Ok(ExitCode::from(u8::from(breaking > 0)))
    }
}

fn print_json(changes: &[Change], crcs: Crcs, breaking: usize) -> Result<()> {
    let judged = |change| JudgedChange {
        breaking: Change::breaking(change),
        text: change.to_string(),
        change,
    };
    super::print_json(&DiffJson {
        format: "symvers-diff/1",
        crcs_compared: crcs == Crcs::Compare,
        breaking,
        changes: changes.iter().map(judged).collect(),
    })
}

fn print_text(changes: &[Change], crcs: Crcs, breaking: usize) {
    for change in changes {
        let mark = if change.breaking() { "breaks" } else { "      " };
        outln!("{mark}  {change}");
    }
    if crcs == Crcs::Ignore {
        outln!("CRCs not compared: one side was built without MODVERSIONS");
    }
    let changes = match changes.len() {
        1 => "1 change".into(),
        many => format!("{many} changes"),
    };
    outln!("{changes}, {breaking} breaking");
}

impl Explain {
    fn run(self) -> Result<ExitCode> {
        let mut exports = Vec::new();
        for path in &self.symvers {
            let symvers = read(path)?;
            let own = symvers.entries().iter().filter(|entry| entry.symbol == self.symbol);
            exports.extend(own.cloned());
        }
        let (importers, unread) = self.importers()?;
        let kind = self.kind()?;
        let changed = kind.as_ref().is_some_and(|kind| !kind.changes.is_empty());
        let holds = !exports.is_empty() && !changed && !unread;
        let symbol = self.symbol;
        let answer = ExplainJson { format: "symvers-explain/1", symbol, exports, importers, kind };
        match self.json {
            true => super::print_json(&answer)?,
            false => print_explanation(&answer),
        }
        Ok(ExitCode::from(u8::from(!holds)))
    }

    /// Who imports the symbol, and whether a file could not be read.
    fn importers(&self) -> Result<(Vec<Importer>, bool)> {
        let mut files = Vec::new();
        for path in &self.modules {
            files.push(tree::one(path).or_usage(|| format!("cannot read {}", path.display()))?);
        }
        if let Some(dir) = &self.tree {
            let found = tree::modules(dir, &Config::default());
            files.extend(found.or_usage(|| format!("cannot read {}", dir.display()))?);
        }
        let all: Vec<&ModuleFile> = files.iter().collect();
        let symbol = Text::from(self.symbol.as_str());
        let found = side_by_side(&all, |buffer, file| importer(buffer, file, symbol));
        let (mut importers, mut unread) = (Vec::new(), false);
        for (file, found) in files.iter().zip(found.into_iter().flatten()) {
            match found {
                Ok(importer) => importers.extend(importer),
                Err(error) => {
                    unread = true;
                    eprintln!("error: {}: {error}", file.full.display());
                }
            }
        }
        Ok((importers, unread))
    }

    fn kind(&self) -> Result<Option<TypeText>> {
        let mut today = Symtypes::default();
        for path in &self.symtypes {
            merge_symtypes(path, &mut today)?;
        }
        let blessed = self.blessed.as_deref().map(read_symtypes).transpose()?;
        let Some(text) = today.get(&self.symbol) else { return Ok(None) };
        let changes = blessed.as_ref().map(|blessed| blessed.changes(&today, &self.symbol));
        Ok(Some(TypeText {
            c: typetext::as_c(text),
            text: text.to_owned(),
            crc: today.crc(&self.symbol),
            blessed_crc: blessed.as_ref().and_then(|blessed| blessed.crc(&self.symbol)),
            changes: changes.unwrap_or_default(),
        }))
    }
}

/// Whether one module imports the symbol, and with which CRC it was built.
fn importer(
    buffer: &mut Buffer,
    file: &ModuleFile,
    symbol: Text<'_>,
) -> std::result::Result<Option<Importer>, FileError> {
    let module = Module::read(buffer.read(&file.full)?)?;
    let mut own = None;
    for found in undefined(&module.elf)? {
        let found = found?;
        if found.name()? == symbol {
            own = Some(found);
            break;
        }
    }
    let weak = |bind| bind == object::elf::STB_WEAK.0;
    let found = own.map(|found| Importer {
        module: file.name.clone(),
        crc: module.versions.index().crc(symbol),
        weak: weak(found.bind),
    });
    Ok::<_, Damage>(found).map_err(FileError::from)
}

/// Reads a `.symtypes` file.
///
/// # Errors
/// A file that cannot be read, or that gendwarfksyms did not write.
pub fn read_symtypes(path: &Path) -> Result<Symtypes> {
    let text = fs::read_to_string(path).or_usage(|| format!("cannot read {}", path.display()))?;
    Symtypes::parse(&text)
        .map_err(|error| Problem::does_not_hold(format!("{}: {error}", path.display())))
}

/// Adds a file, or every `*.symtypes` below a directory.
fn merge_symtypes(path: &Path, into: &mut Symtypes) -> Result<()> {
    if !path.is_dir() {
        into.merge(read_symtypes(path)?);
        return Ok(());
    }
    let entries = fs::read_dir(path).or_usage(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let entry = entry.or_usage(|| format!("cannot read {}", path.display()))?;
        let (path, kind) = (entry.path(), entry.file_type());
        let is_dir = kind.is_ok_and(|kind| kind.is_dir());
        if is_dir || path.extension().is_some_and(|extension| extension == "symtypes") {
            merge_symtypes(&path, into)?;
        }
    }
    Ok(())
}

fn print_explanation(answer: &ExplainJson) {
    outln!("{}", answer.symbol);
    if answer.exports.is_empty() {
        outln!("  nobody exports it");
    }
    for Entry { crc, module, licence, namespace, .. } in &answer.exports {
        let namespace = match namespace.as_str() {
            "" => String::new(),
            namespace => format!(", in the namespace {namespace}"),
        };
        outln!("  exported by {module} with {licence}{namespace}; CRC {crc:#010x}");
    }
    for Importer { module, crc, weak } in &answer.importers {
        let weak = if *weak { ", weakly" } else { "" };
        let crc = crc.map_or(String::new(), |crc| {
            let differs = answer.exports.last().is_some_and(|export| export.crc != crc);
            let end = if differs { ", another one: it would be refused" } else { "" };
            format!(", built with CRC {crc:#010x}{end}")
        });
        outln!("  imported by {module}{weak}{crc}");
    }
    if let Some(kind) = &answer.kind {
        print_type(kind);
    }
}

fn print_type(kind: &TypeText) {
    outln!("  type {}", kind.c);
    outln!("  hashed as {}", kind.text);
    match kind.crc {
        Some(crc) => outln!("  which, every type in it unfolded, gives CRC {crc:#010x}"),
        None => outln!("  a type that it leads to has no text here, so its CRC cannot be computed"),
    }
    if let Some(blessed) = kind.blessed_crc {
        match kind.changes.is_empty() {
            true => outln!("  the blessed type is the same"),
            false => outln!("  the blessed type gives CRC {blessed:#010x}; since then"),
        }
    }
    kind.changes.iter().for_each(|change| outln!("    {change}"));
}
