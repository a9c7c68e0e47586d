//! One file a verb: its arguments, one call, and what is printed. A verb decides nothing itself.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    build::{BuiltStack, Stack, project, with_kernels_own},
    guest::{Accel, Guest},
    host::{cache::Cache, packages, run::Run},
    kernel::{Kernel, KernelName, archive::Refresh},
    printer::Shown as _,
    problem::Result,
    tree::section_reader::UnreadableFile,
};

/// `println!` of the one printer: what others wrote commands nothing, and what is lost is told.
macro_rules! outln {
    ($($arg:tt)*) => { $crate::printer::line(format_args!($($arg)*)) };
}

/// `eprintln!` of the one printer.
macro_rules! errln {
    ($($arg:tt)*) => { $crate::printer::error(format_args!($($arg)*)) };
}

/// An enum of verbs with the arguments of each, and `dispatch`, which runs the one that is given.
macro_rules! verbs {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($verb:ident($args:ty),)* }) => {
        $(#[$meta])*
        #[derive(Debug, clap::Subcommand)]
        $vis enum $name { $($verb($args),)* }

        impl $name {
            fn dispatch(self) -> $crate::problem::Result<std::process::ExitCode> {
                match self { $(Self::$verb(args) => args.run(),)* }
            }
        }
    };
}

pub mod bench;
pub mod build;
pub mod check;
pub mod demo;
pub mod doctor;
pub mod editor;
pub mod enter;
pub mod exercise;
pub mod inspect;
pub mod judge_args;
pub mod kernels;
pub mod lesson;
pub mod new;
pub mod order;
pub mod prove;
pub mod setup;
pub mod shell;
pub mod symvers;
pub mod test;
pub mod verb;
pub mod vermagic;
pub mod vm;
pub mod watch;

/// The kernel that a command is about.
#[derive(clap::Args, Clone, Debug)]
pub struct KernelArg {
    /// Its name.
    #[arg(long = "kernel", value_name = "K", default_value = "stock", help = KernelName::choices())]
    pub name: KernelName,
}

impl KernelArg {
    /// The kernel, prepared if need be.
    ///
    /// # Errors
    /// It cannot be prepared.
    fn obtain(&self, cache: &Cache) -> Result<Kernel> {
        Kernel::obtain(cache, &self.name, Refresh::Daily)
    }
}

/// The stack that a command is about.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct StackArg {
    /// A folder of modules that `make -C KDIR M=DIR` builds [default: ours, and outside the
    /// project the current folder]
    #[arg(long = "stack", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// A folder around the stack, all of which its build may read [default: the stack's repository]
    #[arg(long, value_name = "DIR", requires = "folder")]
    root: Option<PathBuf>,
}

impl StackArg {
    /// The stack.
    ///
    /// # Errors
    /// There is none.
    fn chosen(&self) -> Result<Stack> {
        self.beneath_root(Stack::chosen(self.folder.as_deref())?)
    }

    /// The same for what does without a stack as well.
    ///
    /// # Errors
    /// The named folder is no stack.
    fn chosen_or_none(&self) -> Result<Option<Stack>> {
        let stack = Stack::chosen_or_none(self.folder.as_deref())?;
        stack.map(|stack| self.beneath_root(stack)).transpose()
    }

    fn beneath_root(&self, stack: Stack) -> Result<Stack> {
        match &self.root {
            Some(root) => stack.beneath(root),
            None => Ok(stack),
        }
    }
}

/// The kernel and the stack of a guest.
#[derive(clap::Args, Clone, Debug)]
pub struct GuestArgs {
    #[command(flatten)]
    kernel: KernelArg,
    #[command(flatten)]
    stack: StackArg,
    /// Build and install no stack, as outside the project in a folder that is none
    #[arg(long, conflicts_with = "folder")]
    no_stack: bool,
    /// A word for the kernel's command line; may be given several times
    #[arg(long, value_name = "WORD")]
    cmdline: Vec<String>,
    /// Files to put into the guest's working directory
    #[arg(long, value_name = "FILE", num_args = 1..)]
    with: Vec<PathBuf>,
    /// The accelerator of the guest: auto, kvm or tcg
    #[arg(long, default_value = "auto", hide_possible_values = true)]
    accel: Accel,
}

impl GuestArgs {
    /// The guest, with the stack built for its kernel and installed.
    ///
    /// # Errors
    /// The kernel cannot be prepared, or the stack does not build.
    fn guest(&self) -> Result<Guest> {
        let cache = Cache::open()?;
        let stack = self.stack.chosen_or_none()?;
        let guest = match stack.filter(|_| !self.no_stack) {
            None => Guest::on(&cache, &self.kernel.obtain(&cache)?)?,
            Some(stack) => {
                let built = BuiltStack::obtain(&cache, &self.kernel.name, &stack)?;
                let loads = with_kernels_own(&cache, &built.kernel, &built.modules)?;
                let files = loads.into_iter().map(|load| load.file);
                files.fold(Guest::on(&cache, &built.kernel)?, Guest::module)
            }
        };
        let guest = self.cmdline.iter().fold(guest.accel(self.accel), Guest::cmdline);
        Ok(self.with.iter().fold(guest, Guest::file))
    }
}

/// Says of each file or folder that could not be read why.
fn report_unreadable(files: &[UnreadableFile]) {
    const SHOWN_MAX: usize = 20;
    for UnreadableFile { file, error } in files.iter().take(SHOWN_MAX) {
        errln!("error: {}: {error}", file.shown());
    }
    if let Some(more @ 1..) = files.len().checked_sub(SHOWN_MAX) {
        errln!("error: {more} more files could not be read");
    }
}

/// The longest time that one tier may take on 2 cores without KVM.
const TESTS_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// The cargo that runs us, in the project's folder.
pub(crate) fn cargo(args: &[&str]) -> Run {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let name = Path::new(&cargo).file_name().map_or("cargo".into(), |name| name.to_os_string());
    // The echoed command is for pasting: the bare name, where it means the same program.
    let same = packages::find("cargo").is_some() && name == "cargo";
    let program = if same { "cargo".into() } else { cargo };
    Run::new(program).args(args).cwd(project()).deadline(TESTS_DEADLINE)
}
