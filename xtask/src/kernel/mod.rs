//! A kernel to build for and boot: where it comes from, its prepared tree, its facts.

pub mod archive;
pub mod config;
pub mod facts;
pub mod lab;
pub mod prepared;
pub mod shipped;
pub mod source;
pub mod stable;
pub mod stock;
pub mod vermagic;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use ko::kconfig::Kconfig;

use crate::{
    host::{
        cache::{Cache, write_script},
        root::{Root, SID, TRIXIE},
        run::Run,
        sandbox::Sandbox,
    },
    kernel::archive::Refresh,
    problem::{OrProblem, Problem, Result},
};

/// A kernel as its user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelName {
    /// Debian's own, the newest with Rust.
    Stock,
    /// Debian's own of this release.
    StockRelease(String),
    /// The same source with a small configuration and MODVERSIONS.
    Lab,
    /// The suite's own, older: no Rust, and MODVERSIONS by genksyms.
    Stable,
    /// Debian's own of the suite sid, built by the newest toolchain.
    Sid,
    /// A prepared tree.
    Folder(PathBuf),
}

impl FromStr for KernelName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.split_once(':') {
            _ if name == "stock" => Ok(Self::Stock),
            _ if name == "lab" => Ok(Self::Lab),
            _ if name == "stable" => Ok(Self::Stable),
            _ if name == "sid" => Ok(Self::Sid),
            Some(("stock", release)) if !release.is_empty() => {
                Ok(Self::StockRelease(release.into()))
            }
            _ if Path::new(name).is_dir() => Ok(Self::Folder(name.into())),
            _ => Err("no kernel has this name, nor is it a folder; there are stock, \
                      stock:RELEASE, lab, stable, sid, and the path of a prepared kernel tree"
                .into()),
        }
    }
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stock => write!(f, "stock"),
            Self::StockRelease(release) => write!(f, "stock:{release}"),
            Self::Lab => write!(f, "lab"),
            Self::Stable => write!(f, "stable"),
            Self::Sid => write!(f, "sid"),
            Self::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

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
            KernelName::Lab => lab::obtain(cache, &Root::obtain(cache, TRIXIE)?, refresh),
            KernelName::Stable => stable::obtain(cache, &Root::obtain(cache, TRIXIE)?, refresh),
            KernelName::Stock | KernelName::StockRelease(_) => {
                stock::obtain(cache, &Root::obtain(cache, TRIXIE)?, name, refresh)
            }
            KernelName::Sid => stock::obtain(cache, &Root::obtain(cache, SID)?, name, refresh),
        }
    }

    /// The kernel of this name as the cache has it.
    pub fn present(cache: &Cache, name: &KernelName) -> Option<Self> {
        match name {
            KernelName::Folder(folder) => prepared::open(cache, folder).ok(),
            KernelName::Lab => lab::present(cache, &Root::present(cache, TRIXIE)?),
            KernelName::Stable => stable::present(cache, &Root::present(cache, TRIXIE)?),
            KernelName::Stock | KernelName::StockRelease(_) => {
                stock::present(cache, &Root::present(cache, TRIXIE)?, name)
            }
            KernelName::Sid => stock::present(cache, &Root::present(cache, SID)?, name),
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
        let part = match &self.name {
            KernelName::Folder(folder) => {
                crate::host::cache::key([folder.to_string_lossy().as_ref()])
            }
            KernelName::Lab => "lab".into(),
            KernelName::Stable => "stable".into(),
            KernelName::Sid => "sid".into(),
            KernelName::Stock | KernelName::StockRelease(_) => "stock".into(),
        };
        format!("{part}-{}", self.release)
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

/// The names in a folder, in order.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).or_host(unreadable)? {
        names.push(entry.or_host(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).or_host(|| format!("{} cannot be made", folder.display()))
}

/// Copies one file, naming both when it cannot be done.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to).map(|_| ());
    copied.or_host(|| format!("{} cannot be copied to {}", from.display(), to.display()))
}

/// A kernel without Rust cannot carry the stack.
fn require_rust(config: &Kconfig, release: &str) -> Result<()> {
    if config.has("RUST") {
        return Ok(());
    }
    let problem = Problem::usage(format!("kernel {release} is configured without CONFIG_RUST"));
    Err(problem.hint("choose one that has it: cargo xtask setup lists what the archive offers"))
}
