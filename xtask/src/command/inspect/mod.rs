//! `inspect`: what a module says about itself.

mod form;
mod part;
mod verification;

use std::{
    cell::Cell,
    fmt::Display,
    path::{Path, PathBuf},
    process::ExitCode,
};

use self::{
    form::{InspectForm, tell},
    part::facts,
    verification::Verification,
};
use crate::command::judge_args::JudgeArgs;
use crate::printer::{self, Shown as _};
use crate::problem::Result;
use crate::tree::section_reader::{FileError, ModuleBuffer};
use ko::exports::{Export, ExportLayout};
use ko::imports::Import;
use ko::modinfo::ModinfoLine;
use ko::module::{Facts, SoftDep};
use ko::params::Param;
use ko::signature::Signature;
use ko::text::Text;
use ko::versions::VersionTable;
use loader::kernel_facts::KernelFacts;

/// Show what a module says about itself, without loading it
///
/// Of a stripped or damaged file it shows what is there. Exit status 1 when a file is no module, 2
/// when one cannot be read; the others are shown all the same.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The modules: .ko, .ko.xz, .ko.zst or .ko.gz
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The kernel that its signature is verified for; without one it is only shown.
    #[command(flatten)]
    kernel: JudgeArgs,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// The kernel's facts cannot be had. An error of a file is its answer and ends nothing.
    pub fn run(self) -> Result<ExitCode> {
        let status = Cell::new(0);
        let kernel = self.kernel.is_named().then(|| self.kernel.facts()).transpose()?;
        let kernel = kernel.as_ref().map(|facts| &facts.target);
        if self.json {
            printer::json(&InspectForm::new(&self.files, kernel, &status))?;
            return Ok(ExitCode::from(status.get()));
        }
        let mut buffer = ModuleBuffer::default();
        for file in &self.files {
            if let Err(error) = show(&mut buffer, file, kernel) {
                tell(file, &error, &status);
            }
        }
        Ok(ExitCode::from(status.get()))
    }
}

fn show(
    buffer: &mut ModuleBuffer,
    file: &Path,
    kernel: Option<&KernelFacts>,
) -> Result<(), FileError> {
    let (bytes, refusal) = buffer.read_beside_kmod(file)?;
    let facts = facts(bytes, refusal.as_ref())?;
    let verification = kernel.map(|kernel| Verification::of(bytes, kernel));
    print_text(file, &facts, verification.as_ref());
    optional("kmod", refusal);
    listed("damaged", &facts.damaged);
    outln!("");
    Ok(())
}

/// One line of the terminal form: a label of fixed width, then the fact.
fn line(label: &str, fact: impl Display) {
    outln!("  {label:<14}{fact}");
}

fn optional(label: &str, fact: Option<impl Display>) {
    if let Some(fact) = fact {
        line(label, fact);
    }
}

/// A list on one line, or nothing.
fn joined<T: Display>(label: &str, items: &[T]) {
    if !items.is_empty() {
        let items: Vec<String> = items.iter().map(ToString::to_string).collect();
        line(label, items.join(", "));
    }
}

/// A list with one item a line, or nothing.
fn listed<T: Display>(label: &str, items: &[T]) {
    for (index, item) in items.iter().enumerate() {
        line(if index == 0 { label } else { "" }, item);
    }
}

fn print_text(file: &Path, facts: &Facts<'_>, verification: Option<&Verification>) {
    outln!("{}", file.shown());
    print_identity(facts);
    print_signature(facts, verification);
    print_kernel(facts);
    print_relations(facts);
    print_params(&facts.params);
    for ModinfoLine { key, value } in &facts.other {
        line(&key.to_string(), value);
    }
    print_exports(facts.export_layout, &facts.exports);
    print_imports(facts);
}

fn print_identity(facts: &Facts<'_>) {
    optional("name", facts.name);
    listed("description", &facts.description);
    listed("author", &facts.authors);
    optional("license", facts.license);
    optional("version", facts.version);
    optional("srcversion", facts.srcversion);
    optional("build id", facts.build_id.as_deref());
}

/// The signature, and what a kernel says of it.
fn print_signature(facts: &Facts<'_>, verification: Option<&Verification>) {
    match (&facts.signature, facts.signature_unreadable) {
        (Some(Signature { id, signer, hash, key, .. }), _) => {
            line("signature", format!("{id}, {hash}, by {signer}"));
            line("", format!("with the key whose certificate has the serial number {key}"));
        }
        (None, true) => line("signature", "announced, but unreadable"),
        (None, false) => line("signature", "none"),
    }
    if let Some(Verification { release, answer, keyrings, .. }) = verification {
        line("verifies", format!("{} on {release}: {answer}", answer.word()));
        if answer.wants_key() {
            line("", format!("its certificate would have to be in {}", keyrings.join(", ")));
        }
    }
}

fn print_kernel(facts: &Facts<'_>) {
    if let Some(vermagic) = &facts.vermagic {
        line("built for", format!("release {}", vermagic.release()));
        for flag in vermagic.flags() {
            line("", format!("{flag}: {}", flag_meaning(flag)));
        }
    }
    line("processor", format!("{}, {} bits", facts.machine, facts.bits));
    optional("struct module", facts.struct_module_bytes.map(|bytes| format!("{bytes} bytes")));
    let marks = [
        (facts.intree, "built with the kernel (intree)"),
        (facts.livepatch, "patches a running kernel (livepatch)"),
        (facts.retpoline, "built with retpolines"),
        (facts.btf, "carries type information (BTF)"),
    ];
    let marks: Vec<&str> = marks.iter().filter(|(set, _)| *set).map(|(_, text)| *text).collect();
    listed("marks", &marks);
}

/// Returns the meaning of a flag of a vermagic.
fn flag_meaning(flag: Text<'_>) -> &'static str {
    match flag.bytes() {
        b"SMP" => "for several processors (CONFIG_SMP)",
        b"preempt" => "preemptible (CONFIG_PREEMPT_BUILD)",
        b"preempt_rt" => "real-time (CONFIG_PREEMPT_RT)",
        b"mod_unload" => "modules can be unloaded (CONFIG_MODULE_UNLOAD)",
        b"modversions" => "symbols have CRCs (CONFIG_MODVERSIONS)",
        flag if flag.starts_with(b"RANDSTRUCT_") => "structures are shuffled by this seed",
        _ => "a flag of this processor",
    }
}

fn print_relations(facts: &Facts<'_>) {
    joined("depends", &facts.depends);
    for SoftDep { pre, post, .. } in &facts.softdeps {
        joined("soft, before", pre);
        joined("soft, after", post);
    }
    joined("weak", &facts.weakdeps);
    joined("namespaces", &facts.namespaces);
    listed("aliases", &facts.aliases);
    listed("firmware", &facts.firmware);
}

fn print_params(params: &[Param<'_>]) {
    let one = |Param { name, kind, description }: &Param<'_>| {
        let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
        let text = description.map(|text| format!(": {text}")).unwrap_or_default();
        format!("{name}{kind}{text}")
    };
    listed("parameters", &params.iter().map(one).collect::<Vec<_>>());
}

fn print_exports(layout: Option<ExportLayout>, exports: &[Export<'_>]) {
    let Some(layout) = layout else { return line("exports", "nothing") };
    let layout = match layout {
        ExportLayout::Flags => "one table with flags, as from 7.1 on",
        ExportLayout::Split => "a table for each license class, as before 7.1",
    };
    line("exports", format!("{} ({layout})", exports.len()));
    for export in exports {
        let kind: &str = export.kind.into();
        let crc = export.crc.map_or(String::new(), |crc| format!("  {crc:#010x}"));
        let namespace = if export.namespace.is_empty() {
            String::new()
        } else {
            format!("  namespace {}", export.namespace)
        };
        outln!(
            "    {:<40} {kind:<8} {:<17}{crc}{namespace}",
            export.symbol.0,
            export.license.macro_name()
        );
        print_rust(export.symbol.rust());
    }
}

fn print_imports(facts: &Facts<'_>) {
    let tables: Vec<&str> = facts
        .version_tables
        .iter()
        .map(|table| match table {
            VersionTable::Basic => "__versions",
            VersionTable::Extended => "the extended tables",
        })
        .collect();
    let crcs = if tables.is_empty() {
        "without CRCs".to_owned()
    } else {
        format!("CRCs from {}", tables.join(" and "))
    };
    line("needs", format!("{} symbols, {crcs}", facts.imports.len()));
    for Import { symbol, weak, crc } in &facts.imports {
        let crc = crc.map_or(String::new(), |crc| format!("  {crc:#010x}"));
        let weak = if *weak { "  weak: may be missing" } else { "" };
        outln!("    {:<40}{crc}{weak}", symbol.0);
        print_rust(symbol.rust());
    }
    if let Some(crc) = facts.module_layout_crc {
        outln!("    {:<40}  {crc:#010x}  of struct module itself", "module_layout");
    }
}

fn print_rust(path: Option<String>) {
    if let Some(path) = path {
        outln!("      = {path}");
    }
}
