//! `editor`: rust-project.json, from which rust-analyzer learns of a stack's Rust modules.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    build::{editor::EditorProject, project},
    command::{KernelArg, StackArg},
    host::cache::{self, Cache},
    printer::{self, Shown as _},
    problem::Result,
};

/// Write rust-project.json: the Rust modules of a stack as rust-analyzer sees them
///
/// The modules, the crates they use of one another, the kernel crate and the generated bindings are
/// in it, for one kernel. Run it again after a change of a Kbuild file or of a header.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    #[command(flatten)]
    stack: StackArg,
    /// The file, or - for standard output [default: rust-project.json in the stack's folder; of
    /// ours in target/]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    /// Writes it.
    ///
    /// # Errors
    /// The stack does not build, or has no Rust module.
    pub fn run(self) -> Result<ExitCode> {
        let cache = Cache::open()?;
        let stack = self.stack.chosen()?;
        let kernel = self.kernel.obtain(&cache)?;
        let EditorProject { crates, json } = EditorProject::of(&cache, &kernel, &stack)?;
        // In our own folder it would hide Cargo.toml from the editor.
        let place = if stack.is_ours() { project().join("target") } else { stack.path("") };
        let file = self.output.unwrap_or_else(|| place.join("rust-project.json"));
        if file.as_os_str() == "-" {
            printer::bytes(printer::json_text(&json)?.as_bytes());
            return Ok(ExitCode::SUCCESS);
        }
        cache::write_atomic(&file, printer::json_text(&json)?)?;
        outln!("{}: {} for {kernel}", file.shown(), crates.join(", "));
        outln!("an editor that is not in that folder is told by rust-analyzer.linkedProjects");
        Ok(ExitCode::SUCCESS)
    }
}
