//! A kernel to build for and boot: where it comes from, its prepared tree, its facts.

mod apt_output;
pub mod archive;
pub mod bzimage;
pub mod candidate;
pub mod certificates;
pub mod config;
pub mod disk;
mod enter;
pub mod facts;
pub mod image_facts;
pub mod kernel_vermagic;
pub mod lab;
pub mod listing;
pub mod live;
mod live_keys;
mod metadata;
mod obtain;
pub mod prepared;
pub mod recipe;
pub mod shipped;
pub mod source;
pub mod source_tree;
pub mod stable;
pub mod stock;
pub mod table;
mod trial_stacks;

pub use recipe::KernelName;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use ko::kconfig::Kconfig;

use crate::{
    host::{cache::key, run::Run, sandbox::Sandbox},
    problem::Result,
};

/// The tools that modules are built with: a private root or the host's own /usr, with the kernel's
/// tree in place. It is a sandbox in any case, as what is built is a stranger's.
#[derive(Clone, Debug)]
pub struct Toolchain(pub Sandbox);

impl Toolchain {
    /// A command that may write in `folder`, and runs in it.
    pub fn run(&self, command: &str, folder: &Path) -> Run {
        self.run_in(command, folder, folder)
    }

    /// The same, for [`Run::interactive`].
    pub fn on_terminal(&self, command: &str, folder: &Path) -> Run {
        self.0.clone().bind(folder).chdir(folder).on_terminal(command)
    }

    /// The same, with another kernel of the same root in place as well.
    #[must_use]
    pub fn beside(self, other: &Self) -> Self {
        Self(self.0.with_kernel_of(&other.0))
    }

    /// A command that may write in `folder`, and runs in `within`, which is at or below it.
    pub fn run_in(&self, command: &str, folder: &Path, within: &Path) -> Run {
        self.0.clone().bind(folder).chdir(within).run(command)
    }
}

/// A kernel that modules can be built for.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// As its user names it.
    pub name: KernelName,
    /// As it names itself, for example `7.3.4+deb13-amd64`.
    pub release: String,
    /// Its build folder as `make -C` takes it, within [`Kernel::toolchain`].
    pub kdir: PathBuf,
    /// The same folder on the host.
    pub tree: PathBuf,
    /// Its bootable image, if it has one.
    pub image: Option<PathBuf>,
    /// The folder with its `modules.builtin` and its like.
    pub modules: PathBuf,
    /// The tools that modules for it are built with.
    pub toolchain: Toolchain,
}

impl Kernel {
    /// Its configuration.
    ///
    /// # Errors
    /// Its tree has none.
    pub fn config(&self) -> Result<Kconfig> {
        config::read(&self.tree.join(".config"))
    }

    /// Its name where a file is to be named after it. The release of a folder is any text.
    pub fn slug(&self) -> String {
        match self.name {
            KernelName::Listed(..) => format!("{}-{}", self.name.slug(), self.release),
            KernelName::Folder(_) => format!("{}-{}", self.name.slug(), key([&self.release])),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.release)
    }
}
