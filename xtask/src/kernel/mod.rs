//! A kernel to build for and boot: where it comes from, its prepared tree, its facts.

mod apt_output;
pub mod archive;
pub mod bzimage;
pub mod certificates;
pub mod config;
pub mod disk;
pub mod facts;
pub mod kernel_vermagic;
pub mod lab;
pub mod listing;
mod live_keys;
mod metadata;
mod name;
mod preparation;
pub mod prepared;
pub mod shipped;
pub mod source;
mod source_tree;
pub mod stable;
pub mod stock;
pub mod table;

pub use name::KernelName;
pub use source_tree::Place;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use ko::kconfig::Kconfig;

use crate::{
    host::{
        cache::{Cache, write_script},
        file_system::names,
        root::Root,
        run::Run,
        sandbox::Sandbox,
    },
    kernel::{
        archive::{Archive, Refresh},
        table::Ships,
    },
    problem::{Problem, Result},
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
    /// The kernel of this name, prepared first where that is ours to do.
    ///
    /// # Errors
    /// There is none, or it cannot be prepared.
    pub fn obtain(cache: &Cache, name: &KernelName, refresh: Refresh) -> Result<Self> {
        match name {
            KernelName::Folder(folder) => prepared::open(cache, folder),
            KernelName::Listed(recipe, release) => {
                let root = Root::obtain(cache, recipe.root)?;
                // A candidate of some hours ago may be gone: old kernels leave the archive.
                let present = Self::present(cache, name).is_some();
                let refresh = if present { refresh } else { Refresh::Now };
                let followed = recipe.followed(release.as_deref());
                let archive = Archive::open(cache, &root, recipe.suite)?;
                let candidate = archive.resolve(&followed, refresh, present)?;
                let folder = recipe.prepared(cache, &root, &candidate)?;
                Ok(Self::installed(name.clone(), &folder, &(recipe.release)(&candidate)))
            }
        }
    }

    /// The kernel of this name as the cache has it.
    pub fn present(cache: &Cache, name: &KernelName) -> Option<Self> {
        match name {
            KernelName::Folder(folder) => prepared::open(cache, folder).ok(),
            KernelName::Listed(recipe, release) => {
                let candidate = archive::cached(cache, &recipe.followed(release.as_deref()))?;
                let folder = cache.path(recipe.entry(&candidate));
                let release = (recipe.release)(&candidate);
                // Modules are built in the root, so a kernel without it is of no use.
                Root::present(cache, recipe.root)?;
                folder.exists().then(|| Self::installed(name.clone(), &folder, &release))
            }
        }
    }

    /// The modules that Debian ships with this kernel: its `/lib/modules/RELEASE`, before depmod
    /// has been there. They are fetched when they are not there.
    ///
    /// # Errors
    /// It is no kernel of Debian's, or the archive does not offer its modules any more.
    pub fn shipped_modules(&self, cache: &Cache) -> Result<PathBuf> {
        match self.name.ships() {
            Ships::Inside => Ok(self.modules.clone()),
            Ships::Apart => stock::modules(cache, &self.name),
            Ships::Nothing => {
                Err(Problem::usage(format!("{} has no modules of Debian's", self.name))
                    .hint("choose stable, stock or stock:RELEASE"))
            }
        }
    }

    /// A kernel that stands complete in `folder`, laid out as a Debian system has it.
    fn installed(name: KernelName, folder: &Path, release: &str) -> Self {
        let modules = folder.join("usr/lib/modules").join(release);
        Self {
            name,
            kdir: Path::new("/lib/modules").join(release).join("build"),
            tree: folder.join("usr/src").join(format!("linux-headers-{release}")),
            image: Some(modules.join("vmlinuz")),
            modules,
            release: release.into(),
            toolchain: Toolchain::Private(Sandbox::new(folder.join("enter"))),
        }
    }

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

/// Writes the script that enters the private root with a kernel in place: what every command of a
/// build for it goes through, also by hand. `folder` is laid out as a Debian system, and each
/// folder of its `usr/src`, `usr/lib` and `usr/lib/modules` is seen there; `more` are further
/// folders to see.
fn write_enter(root: &Root, folder: &Path, more: &[(String, PathBuf)]) -> Result<()> {
    let mut binds = more.to_vec();
    for parent in ["usr/src", "usr/lib", "usr/lib/modules"] {
        let mut names = names(&folder.join(parent))?;
        // The folder of all modules stays the root's: several kernels may be in it.
        names.retain(|name| name != "modules");
        for name in names {
            let inside = Path::new("/").join(parent).join(&name);
            binds.push((format!("$here/{parent}/{name}"), inside));
        }
    }
    let mut show = String::new();
    for (host, inside) in &binds {
        root.mount_point(inside)?;
        show.push_str(&format!("    --ro-bind \"{host}\" {} \\\n", inside.display()));
    }
    let text = format!(
        "#!/bin/sh\n\
         # Runs a command in the private root with this kernel in place:\n\
         #   enter [OPTION OF BWRAP]... -- COMMAND [ARGUMENT]...\n\
         # with another kernel of the same root beside it:  THROUGH=OTHER/enter enter ...\n\
         here=$(dirname \"$(readlink -f \"$0\")\")\n\
         through=${{THROUGH:-$here/../../{}/enter}}\n\
         unset THROUGH\n\
         exec \"$through\" \\\n{show}    \"$@\"\n",
        Root::name(root.suite)
    );
    write_script(&folder.join("enter"), &text)
}

/// A kernel without Rust cannot carry the stack.
fn require_rust(config: &Kconfig, release: &str) -> Result<()> {
    if config.has("RUST") {
        return Ok(());
    }
    let problem = Problem::usage(format!("kernel {release} is configured without CONFIG_RUST"));
    Err(problem.hint("choose one that has it: cargo xtask kernels lists what the archive offers"))
}
