//! `enter`: a kernel's headers and toolchain, with a folder mounted.

use std::{env, ffi::OsString, fs, path::PathBuf, process::ExitCode};

use crate::{
    command::KernelArg,
    host::cache::Cache,
    problem::{OrProblem, Result},
};

/// Run a shell or one command where a kernel's headers and toolchain are in place
///
/// The folder is mounted at its own path and may be written; nothing else of this machine is seen,
/// nor is the network. KDIR names the kernel's build folder: make -C $KDIR M=$PWD modules.
/// The command's exit status is passed through.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    kernel: KernelArg,
    /// The folder that is mounted [default: the current one]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The command: one word is a line for the shell, several are taken as they are
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Args {
    /// Runs it, and passes its status on.
    ///
    /// # Errors
    /// The kernel cannot be prepared, or the folder is none.
    pub fn run(self) -> Result<ExitCode> {
        let folder = self.folder.map_or_else(env::current_dir, Ok).and_then(fs::canonicalize);
        let folder = folder.or_usage(|| "the folder cannot be mounted".into())?;
        let kernel = self.kernel.obtain(&Cache::open()?)?;
        let run = kernel.toolchain.on_terminal("env", &folder);
        let mut kdir = OsString::from("KDIR=");
        kdir.push(&kernel.kdir);
        let run = run.arg(kdir);
        // Debian's headers choose their compiler; other trees take what is called gcc.
        let run = run.arg(format!("MAKEFLAGS={}", kernel.config()?.compiler())).arg("sh");
        let run = match self.command.as_slice() {
            [] => run,
            [line] => run.args(["-c", line]),
            words => run.args(["-c", "exec \"$@\"", "sh"]).args(words),
        };
        let status = run.interactive()?.code();
        Ok(ExitCode::from(status.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
    }
}
