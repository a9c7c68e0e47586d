//! `vermagic`: the kernel's exact vermagic, and how a module's differs from it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Serialize;

use super::inspect::file_problem;
use crate::problem::{OrProblem, Problem, Result};
use crate::tree::section_reader::ModuleBuffer;
use crate::tree::walk;
use ko::module::Module;
use ko::vermagic::{Difference, Target, compare};
use ko::versions::Table;
use stack::depmod_config::DepmodConfig;

/// Show the vermagic of a kernel, and compare modules with it flag by flag
///
/// Exit status 1 when the kernel would refuse a module for its vermagic.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kernel: a prepared tree, an installed tree (lib/modules/RELEASE), or a module that was
    /// built with it
    kernel: PathBuf,
    /// Modules to compare with it
    files: Vec<PathBuf>,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
}

/// The form of `vermagic --json`.
#[derive(Serialize)]
struct VermagicAnswer {
    format: &'static str,
    kernel: Target,
    modules: Vec<Compared>,
}

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
        let kernel = target(&self.kernel)?;
        let mut buffer = ModuleBuffer::default();
        let mut modules = Vec::new();
        let mut failed = false;
        for file in &self.files {
            match compare_one(&mut buffer, file, &kernel) {
                Ok(compared) => modules.push(compared),
                Err(problem) => {
                    failed = true;
                    eprintln!("error: {problem}");
                }
            }
        }
        let refused = modules.iter().any(|module| !module.accepted);
        if self.json {
            super::print_json(&VermagicAnswer { format: "vermagic/1", kernel, modules })?;
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

fn compare_one(buffer: &mut ModuleBuffer, file: &Path, kernel: &Target) -> Result<Compared> {
    let bytes = buffer.read(file).map_err(|error| file_problem(file, &error))?;
    let module = Module::read(bytes).map_err(|damage| file_problem(file, &damage.into()))?;
    let has_versions = module.versions.has(Table::Basic);
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
        file: file.display().to_string(),
        vermagic: module.vermagic().map(|vermagic| vermagic.whole.lossy().into_owned()),
        accepted: differences.iter().all(|difference| !difference.refused),
        differences,
    })
}

/// The vermagic of a kernel, from whatever of it there is.
///
/// # Errors
/// A path that is none of a prepared tree, an installed tree and a module.
pub fn target(kernel: &Path) -> Result<Target> {
    if kernel.is_file() {
        return of_module(kernel);
    }
    // An installed tree leads to the prepared one, when its header package is there.
    for tree in [kernel.to_owned(), kernel.join("build")] {
        if tree.join("include/generated/utsrelease.h").is_file() {
            return of_prepared(&tree);
        }
    }
    let modules = walk::modules(kernel, &DepmodConfig::default())
        .or_usage(|| format!("cannot read {}", kernel.display()))?;
    // Modules of other makers lie in updates/ or extra/.
    let own = modules.iter().find(|file| file.path.starts_with("kernel/"));
    let own = own.ok_or_else(|| {
        Problem::usage(format!("{} is no kernel tree", kernel.display()))
            .hint("name a prepared tree, lib/modules/RELEASE, or a module built with the kernel")
    })?;
    of_module(&own.full)
}

fn of_module(file: &Path) -> Result<Target> {
    let mut buffer = ModuleBuffer::default();
    let bytes = buffer.read(file).map_err(|error| file_problem(file, &error))?;
    let module = Module::read(bytes).map_err(|damage| file_problem(file, &damage.into()))?;
    let intree = module.modinfo.get("intree").is_some();
    match module.vermagic().filter(|_| intree) {
        Some(vermagic) => Ok(Target::of_intree(vermagic)),
        None => {
            let fact = format!("{} was not built with a kernel", file.display());
            Err(Problem::usage(fact).hint("name a module that has intree=Y, or a kernel tree"))
        }
    }
}

fn of_prepared(tree: &Path) -> Result<Target> {
    let read = |name: &str| {
        let path = tree.join(name);
        fs::read_to_string(&path).or_usage(|| format!("cannot read {}", path.display()))
    };
    let config = read("include/config/auto.conf").or_else(|_| read(".config"))?;
    let randstruct = read("include/generated/randstruct_hash.h").ok();
    Target::derive(&read("include/generated/utsrelease.h")?, &config, randstruct.as_deref())
        .map_err(|error| Problem::usage(format!("{}: {error}", tree.display())))
}
