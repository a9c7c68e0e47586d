//! `vermagic`: the kernel's exact vermagic, and how a module's differs from it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Serialize;

use crate::{
    command::KernelArg,
    kernel::kernel_vermagic,
    printer::{self, Shown as _},
    problem::Result,
    tree::section_reader::ModuleBuffer,
};
use ko::vermagic::{Difference, KernelVermagic, compare};
use ko::versions::VersionTable;

/// Show the vermagic of a kernel, and compare modules with it flag by flag
///
/// Exit status 1 when the kernel would refuse a module for its vermagic.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    /// A prepared kernel tree, or an installed /lib/modules/RELEASE, instead
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    tree: Option<PathBuf>,
    /// A module that was built with the kernel, instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "tree"])]
    intree: Option<PathBuf>,
    /// Modules to compare with it
    files: Vec<PathBuf>,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
}

/// The form of `vermagic --json`.
#[derive(Serialize)]
struct VermagicForm<'a> {
    format: &'static str,
    kernel: &'a KernelVermagic,
    modules: &'a [Entry],
}

/// The outcome for one file.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    Compared(Compared),
    Failed { file: String, error: String },
}

/// One module beside the kernel.
#[derive(Serialize)]
struct Compared {
    file: String,
    vermagic: Option<String>,
    /// None where it cannot be decided.
    accepted: Option<bool>,
    differences: Vec<Difference>,
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A kernel whose vermagic cannot be found; a module that cannot be read.
    pub fn run(self) -> Result<ExitCode> {
        let kernel = match (&self.tree, &self.intree) {
            (Some(folder), _) => kernel_vermagic::of_tree(folder)?,
            (None, Some(file)) => kernel_vermagic::of_intree(file)?,
            (None, None) => kernel_vermagic::of_kernel(&self.kernel.name)?,
        };
        let mut buffer = ModuleBuffer::default();
        let mut modules = Vec::new();
        let mut status = 0;
        for file in &self.files {
            modules.push(match compare_one(&mut buffer, file, &kernel) {
                Ok(compared) => {
                    status = status.max(u8::from(compared.accepted != Some(true)));
                    Entry::Compared(compared)
                }
                Err(problem) => {
                    errln!("error: {problem}");
                    status = status.max(problem.kind.status());
                    let file = file.shown().to_string();
                    let error = problem.fact.trim_start_matches(&format!("{file}: ")).to_owned();
                    Entry::Failed { file, error }
                }
            });
        }
        if self.json {
            let (kernel, modules) = (&kernel, modules.as_slice());
            printer::json(&VermagicForm { format: "vermagic/2", kernel, modules })?;
        } else {
            outln!("kernel  \"{}\"", kernel.vermagic);
            modules.iter().for_each(print_one);
        }
        Ok(ExitCode::from(status))
    }
}

fn print_one(entry: &Entry) {
    let Entry::Compared(Compared { file, vermagic, accepted, differences }) = entry else { return };
    let word = match accepted {
        Some(true) => "accepted",
        Some(false) => "refused",
        None => "unknown",
    };
    outln!("{word}  {file}: {}", vermagic.as_ref().map_or("none".into(), |v| format!("\"{v}\"")));
    for Difference { text, .. } in differences {
        outln!("    {text}");
    }
}

fn compare_one(
    buffer: &mut ModuleBuffer,
    file: &Path,
    kernel: &KernelVermagic,
) -> Result<Compared> {
    let module = buffer.module(file)?;
    let has_versions = module.versions.has(VersionTable::Basic);
    let (differences, accepted) = match module.vermagic() {
        Some(vermagic) => {
            let differences = compare(vermagic, has_versions, kernel);
            let accepted = differences.iter().all(|difference| !difference.refused);
            (differences, Some(accepted))
        }
        None => (vec![without_vermagic(kernel.force_load)], kernel.force_load),
    };
    Ok(Compared {
        file: file.shown().to_string(),
        vermagic: module.vermagic().map(|vermagic| vermagic.whole.lossy().into_owned()),
        accepted,
        differences,
    })
}

/// The answer for a module without vermagic (`try_to_force_load()`, `kernel/module/main.c`).
fn without_vermagic(force_load: Option<bool>) -> Difference {
    let text = match force_load {
        Some(true) => "the module has no vermagic: the kernel loads it by force, and is tainted",
        Some(false) => "the module has no vermagic, and the kernel no MODULE_FORCE_LOAD",
        None => {
            "the module has no vermagic: whether the kernel has MODULE_FORCE_LOAD is not known; \
             name its tree (--tree)"
        }
    };
    Difference { refused: force_load == Some(false), text: text.into() }
}
