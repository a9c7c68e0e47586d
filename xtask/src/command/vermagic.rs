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
    modules: &'a [Compared],
}

/// One module beside the kernel.
#[derive(Serialize)]
struct Compared {
    file: String,
    vermagic: Option<String>,
    accepted: bool,
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
        let mut failed = false;
        for file in &self.files {
            match compare_one(&mut buffer, file, &kernel) {
                Ok(compared) => modules.push(compared),
                Err(problem) => {
                    failed = true;
                    errln!("error: {problem}");
                }
            }
        }
        let refused = modules.iter().any(|module| !module.accepted);
        if self.json {
            let (kernel, modules) = (&kernel, modules.as_slice());
            printer::json(&VermagicForm { format: "vermagic/1", kernel, modules })?;
        } else {
            outln!("kernel  \"{}\"", kernel.vermagic);
            modules.iter().for_each(print_one);
        }
        Ok(ExitCode::from(u8::from(refused || failed)))
    }
}

fn print_one(module: &Compared) {
    let Compared { file, vermagic, accepted, differences } = module;
    let word = if *accepted { "accepted" } else { "refused" };
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
    let differences = match module.vermagic() {
        Some(vermagic) => compare(vermagic, has_versions, kernel),
        None => {
            let text =
                "the module has no vermagic: only a kernel with MODULE_FORCE_LOAD takes it, \
                        and is tainted"
                    .into();
            vec![Difference { refused: true, text }]
        }
    };
    Ok(Compared {
        file: file.shown().to_string(),
        vermagic: module.vermagic().map(|vermagic| vermagic.whole.lossy().into_owned()),
        accepted: differences.iter().all(|difference| !difference.refused),
        differences,
    })
}
