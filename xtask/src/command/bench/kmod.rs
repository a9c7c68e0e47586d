//! kmod, the private root's or this machine's, and the trees that it reads beside us.

use std::path::{Path, PathBuf};

use super::process::measure;
use crate::tree::walk;
use crate::{
    host::{
        cache::Cache,
        root::{Root, Sandbox},
        run::Run,
    },
    kernel::{Kernel, KernelName, archive::Refresh, stock},
    problem::{OrProblem, Problem, Result},
};
use stack::depmod_config::DepmodConfig;
use stack::module_file::ModuleFile;

/// Where kmod's tools are run.
pub(super) enum Kmod {
    Host,
    Private(Sandbox),
}

impl Kmod {
    pub(super) fn new(root: &Root, host: bool, scratch: &Path) -> Self {
        match host {
            true => Self::Host,
            false => Self::Private(root.sandbox().bind(scratch)),
        }
    }

    /// A tool of kmod that reads `tree`.
    pub(super) fn tool(&self, name: &str, tree: &Installed) -> Run {
        match self {
            Self::Host => Run::new(name),
            Self::Private(sandbox) => sandbox.clone().read_only(&tree.base, &tree.base).run(name),
        }
    }

    /// What comes before a tool has begun, in seconds: it is not the tool's own time.
    pub(super) fn entering(&self, tree: &Installed) -> Result<f64> {
        match self {
            Self::Host => Ok(0.0),
            Self::Private(_) => Ok(measure(&self.tool("true", tree))?.seconds),
        }
    }

    /// `depmod` over a tree: `-n`, or into a directory.
    pub(super) fn depmod(&self, tree: &Installed, out: Option<&Path>) -> Run {
        let depmod = self.tool("depmod", tree);
        let depmod = match out {
            None => depmod.arg("-n"),
            Some(dir) => depmod.arg("-o").arg(dir),
        };
        depmod.arg("-b").arg(&tree.base).arg(&tree.release)
    }
}

/// An installed tree: where it is, and how depmod is told.
pub(super) struct Installed {
    pub(super) dir: PathBuf,
    pub(super) base: PathBuf,
    pub(super) release: String,
}

impl Installed {
    /// What ends in `lib/modules/RELEASE`.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let refuse =
            || Problem::host(format!("{} does not end in lib/modules/RELEASE", dir.display()));
        let release = dir.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?.to_owned();
        let lib = dir.parent().filter(|parent| parent.ends_with("lib/modules"));
        let base = lib.and_then(|lib| lib.parent()?.parent()).ok_or_else(refuse)?.to_owned();
        Ok(Self { dir: dir.to_owned(), base, release })
    }

    /// The modules that Debian built for a kernel.
    pub(super) fn of(cache: &Cache, root: &Root, kernel: &Kernel) -> Result<Self> {
        match &kernel.name {
            KernelName::Stable => Self::new(&kernel.modules),
            name @ (KernelName::Stock | KernelName::StockRelease(_)) => {
                Self::new(&stock::modules(cache, root, name, Refresh::Daily)?)
            }
            name => Err(Problem::usage(format!("{name} has no modules of Debian's"))
                .hint("choose stable, stock or stock:RELEASE")),
        }
    }

    pub(super) fn files(&self) -> Result<Vec<ModuleFile>> {
        walk::modules(&self.dir, &DepmodConfig::default())
            .or_usage(|| format!("cannot read the modules of {}", self.dir.display()))
    }
}
