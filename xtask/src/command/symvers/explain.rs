//! `symvers explain`: where a symbol comes from, which modules import it, and the type behind its
//! CRC.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    build::abi::{BLESSED_SYMTYPES, BuiltAbi},
    command::{StackArg, report_unreadable},
    kernel::KernelName,
    printer,
    problem::Result,
    tree::{
        abi_files::{merge_symtypes, read_symtypes, read_symvers},
        importers::{Importer, importers},
        walk,
    },
};
use ko::{seal::Seal, text::SymbolName};
use serde::Serialize;
use stack::{
    depmod_config::DepmodConfig, namespace::kept_for, symtype_parser, symtypes::Symtypes,
    symvers::SymversEntry,
};

/// Show where a symbol comes from, which modules import it, and the type behind its CRC
///
/// Without --symvers it is about a stack, built for the kernel. Exit status 1 when no line
/// exports it, or when its type differs from the blessed one.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The symbol; a mangled one also as Rust writes it
    symbol: String,
    /// The kernel that the stack is built for; one with MODVERSIONS can say why
    #[arg(long, value_name = "K", default_value = "lab", conflicts_with = "symvers")]
    kernel: KernelName,
    #[command(flatten)]
    stack: StackArg,
    /// A Module.symvers that may have it, instead of those of the kernel and of the stack
    #[arg(long)]
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
    #[arg(long, requires = "symtypes")]
    blessed: Option<PathBuf>,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
}

/// The findings about a symbol: the documented form of `symvers explain --json`.
#[derive(Serialize)]
struct Explanation {
    format: &'static str,
    symbol: String,
    exports: Vec<SymversEntry>,
    importers: Vec<Importer>,
    #[serde(rename = "type")]
    kind: Option<TypeText>,
}

/// The type behind the CRC.
#[derive(Serialize)]
struct TypeText {
    /// As a C programmer would write it.
    c: String,
    /// The text that gendwarfksyms wrote.
    text: String,
    /// The CRC computed from it.
    crc: Option<u32>,
    /// The CRC of the blessed text.
    blessed_crc: Option<u32>,
    /// The differences from the blessed text.
    changes: Vec<String>,
}

impl Explain {
    pub(super) fn run(mut self) -> Result<ExitCode> {
        if self.symvers.is_empty() {
            self.take_the_stack()?;
        } else {
            self.mangle()?;
        }
        let mut exports = Vec::new();
        for path in &self.symvers {
            let symvers = read_symvers(path)?;
            let own = symvers.entries().iter().filter(|entry| entry.symbol == self.symbol);
            exports.extend(own.cloned());
        }
        let (importers, unread) = self.importers()?;
        let kind = self.kind()?;
        let changed = kind.as_ref().is_some_and(|kind| !kind.changes.is_empty());
        let holds = !exports.is_empty() && !changed && !unread;
        let (format, symbol) = ("symvers-explain/2", self.symbol);
        let answer = Explanation { format, symbol, exports, importers, kind };
        if self.json {
            printer::json(&answer)?;
        } else {
            print_explanation(&answer);
        }
        Ok(ExitCode::from(u8::from(!holds)))
    }

    /// Without a file the verb is about a stack, built for the kernel.
    fn take_the_stack(&mut self) -> Result<()> {
        let stack = self.stack.chosen()?;
        let built = BuiltAbi::build(&self.kernel, &stack)?;
        self.symvers = vec![built.kernel.tree.join("Module.symvers"), built.symvers];
        self.modules.extend(built.modules);
        self.mangle()?;
        if self.symtypes.is_empty() && built.symtypes.get(&self.symbol).is_some() {
            self.symtypes.push(built.folder);
            self.blessed = Some(stack.path(BLESSED_SYMTYPES)).filter(|path| path.exists());
        }
        Ok(())
    }

    /// Takes the mangled name of a symbol that is given as Rust writes it.
    fn mangle(&mut self) -> Result<()> {
        for path in &self.symvers {
            for SymversEntry { symbol, .. } in read_symvers(path)?.entries() {
                if SymbolName(symbol.as_str().into()).rust().as_ref() == Some(&self.symbol) {
                    self.symbol.clone_from(symbol);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The importers, and whether a file could not be read.
    fn importers(&self) -> Result<(Vec<Importer>, bool)> {
        let (mut files, mut passed_over) = (walk::module_files(&self.modules)?, Vec::new());
        if let Some(dir) = &self.tree {
            let found = walk::some_modules(dir, &DepmodConfig::default())?;
            files.extend(found.modules);
            passed_over = found.unreadable;
        }
        let (importers, mut unreadable) = importers(&files, &self.symbol);
        unreadable.extend(passed_over);
        report_unreadable(&unreadable);
        Ok((importers, !unreadable.is_empty()))
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
            c: symtype_parser::as_c(text),
            text: text.to_owned(),
            crc: today.crc(&self.symbol),
            blessed_crc: blessed.as_ref().and_then(|blessed| blessed.crc(&self.symbol)),
            changes: changes.unwrap_or_default(),
        }))
    }
}

fn print_explanation(answer: &Explanation) {
    outln!("{}", answer.symbol);
    if let Some(path) = SymbolName(answer.symbol.as_str().into()).rust() {
        outln!("  = {path}");
    }
    if let Some(Seal { crate_name, .. }) = Seal::parse(&answer.symbol) {
        outln!("  the seal of the crate {crate_name}: every module that uses this build of it");
        outln!("  refers to it, and loads with no other build");
    }
    if answer.exports.is_empty() {
        outln!("  nobody exports it");
    }
    for SymversEntry { crc, module, license, namespace, .. } in &answer.exports {
        let namespace = match (kept_for(namespace), namespace.as_str()) {
            (_, "") => String::new(),
            (Some(modules), _) => format!(", kept for {modules}"),
            (None, namespace) => format!(", in the namespace {namespace}"),
        };
        outln!("  exported by {module} with {license}{namespace}; CRC {crc:#010x}");
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
        if kind.changes.is_empty() {
            outln!("  the blessed type is the same");
        } else {
            outln!("  the blessed type gives CRC {blessed:#010x}; since then");
        }
    }
    kind.changes.iter().for_each(|change| outln!("    {change}"));
}
