//! `new`: a fresh stack.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    build::fresh::{self, Form},
    host::{cache::Cache, program::as_typed},
    kernel::{Kernel, image_facts, listing},
    printer::Shown as _,
    problem::{Problem, Result},
};

/// Make a fresh stack of two modules, one that exports and one that imports
///
/// It builds, is proven and passes as it stands. Both modules are Rust unless told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder, which is not there yet or empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The name of the modules: NAME, and NAME_user [default: as the folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Both modules in C; with --rust, the lower one in C and the upper one in Rust
    #[arg(long)]
    c: bool,
    /// Both modules in Rust, with a C ABI between them
    #[arg(long)]
    rust: bool,
    /// The upper module uses the lower one as a crate: both in Rust, and no header
    #[arg(long = "crate", conflicts_with = "c")]
    as_crate: bool,
}

/// Fails if a prepared kernel has code of this name built in, so that no module may have it.
fn require_free(name: &str) -> Result<()> {
    let Ok(cache) = Cache::open() else { return Ok(()) };
    let user = format!("{name}_user");
    for known in listing::prepared(&cache) {
        let kernel = Kernel::present(&cache, &known.name);
        let image = kernel.and_then(|kernel| kernel.image);
        let facts = image.and_then(|image| image_facts::of_image(&image).ok());
        let names = facts.and_then(|facts| facts.sysfs_names).unwrap_or_default();
        if let Some(taken) = [name, &user].iter().find(|name| names.contains(**name)) {
            let fact = format!("{} has {taken} built in: no module may have its name", known.name);
            return Err(Problem::usage(fact).hint("choose another: --name NAME"));
        }
    }
    Ok(())
}

impl Args {
    /// Makes it.
    ///
    /// # Errors
    /// The folder has something in it, or the name is none for a module.
    pub fn run(self) -> Result<ExitCode> {
        let form = match (self.c, self.rust, self.as_crate) {
            (_, _, true) => Form::Crate,
            (true, true, _) => Form::Mixed,
            (true, false, _) => Form::C,
            (false, ..) => Form::Rust,
        };
        let name = fresh::name_of(&self.folder, self.name.as_deref())?;
        require_free(&name)?;
        for file in fresh::make(&self.folder, Some(&name), form)? {
            outln!("{}", file.shown());
        }
        let folder = self.folder.shown();
        outln!("\nnext: {} --stack {folder}", as_typed("cargo xtask prove"));
        Ok(ExitCode::SUCCESS)
    }
}
