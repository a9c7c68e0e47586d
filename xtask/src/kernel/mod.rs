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
    host::{run::Run, sandbox::Sandbox},
    problem::Result,
};

/// What modules are built with.
#[derive(Clone, Debug)]
pub enum Toolchain {
    /// A private root, with the kernel's tree in place.
    Private(Sandbox),
    /// The host's own, for a tree that was prepared with it.
    Host,
}

impl Toolchain {
    /// A command that may write in `folder`, and runs in it.
    pub fn run(&self, command: &str, folder: &Path) -> Run {
        self.run_in(command, folder, folder)
    }

    /// The same, with another kernel of the same root in place as well.
    #[must_use]
    pub fn beside(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Private(sandbox), Self::Private(other)) => {
                Self::Private(sandbox.with_kernel_of(other))
            }
            // The host's own toolchain sees all that there is.
            (toolchain, _) => toolchain,
        }
    }

    /// A command that may write in `folder`, and runs in `within`, which is at or below it.
    pub fn run_in(&self, command: &str, folder: &Path, within: &Path) -> Run {
        match self {
            Self::Private(sandbox) => sandbox.clone().bind(folder).chdir(within).run(command),
            Self::Host => Run::new(command).cwd(within),
        }
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
    /// What modules for it are built with.
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

    /// Its name where a file is to be named after it.
    pub fn slug(&self) -> String {
        format!("{}-{}", self.name.slug(), self.release)
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.release)
    }
}
