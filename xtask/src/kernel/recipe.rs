//! The meaning of a kernel's name: how the kernel is found in the archive, cached and prepared.
//! The rows are in `table.rs`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        root::{Root, Suite},
    },
    kernel::candidate::Candidate,
    problem::{Problem, Result},
};

/// A kernel as its user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelName {
    /// One of the table: the newest that its suite offers, or the one of this release.
    Listed(&'static Recipe, Option<String>),
    /// A prepared tree.
    Folder(PathBuf),
}

impl KernelName {
    /// The recipe of a kernel of the archive, and its release where that is asked for.
    ///
    /// # Errors
    /// It is a folder.
    pub(super) fn listed(&self) -> Result<(&'static Recipe, Option<&str>)> {
        match self {
            Self::Listed(recipe, release) => Ok((recipe, release.as_deref())),
            Self::Folder(_) => Err(Problem::usage(format!("{self} is no kernel of the archive"))),
        }
    }

    /// Returns the place of the modules that Debian ships with it.
    pub fn ships(&self) -> Ships {
        match self {
            Self::Listed(recipe, _) => recipe.ships,
            Self::Folder(_) => Ships::Nothing,
        }
    }

    /// The part of a file's name that stands for it.
    pub(super) fn slug(&self) -> String {
        match self {
            Self::Listed(recipe, _) => recipe.name.into(),
            Self::Folder(folder) => cache::key([folder.to_string_lossy().as_ref()]),
        }
    }
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(recipe, None) => write!(f, "{}", recipe.name),
            Self::Listed(recipe, Some(release)) => write!(f, "{}:{release}", recipe.name),
            Self::Folder(folder) => write!(f, "{}", folder.to_string_lossy()),
        }
    }
}

impl Serialize for KernelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the modules are that Debian ships with a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ships {
    /// In the prepared kernel.
    Inside,
    /// In a package of their own, which is fetched when it is needed.
    Apart,
    /// It is no kernel of Debian's.
    Nothing,
}

/// The recipe of a kernel: its name, its packages in the archive, its entry in the cache.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// As its user names it.
    pub name: &'static str,
    /// The private root in which it is prepared and modules for it are built.
    pub root: Suite,
    /// The suite that offers it.
    pub suite: &'static str,
    /// The kernel whose candidate it is made of, if it is not its own.
    pub(super) follows: Option<&'static Recipe>,
    /// The beginning of the name of its cache entry; its release and its key follow.
    pub(super) entry: &'static str,
    /// `true` if Rust modules can be built for it.
    pub rust: bool,
    /// The release that it has when it is made of this candidate.
    pub(super) release: fn(&Candidate) -> String,
    /// The parts of its cache entry's key beside the candidate's version and the root.
    pub(super) key: &'static [&'static str],
    /// The fate of an interrupted preparation.
    pub(super) leftover: Partial,
    /// Prepares it in the folder [`Preparation::aside`].
    pub(super) prepare: fn(&Preparation) -> Result<()>,
    /// Where Debian's modules for it are.
    pub(super) ships: Ships,
}

/// A name stands for one recipe.
impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Recipe {}

impl Recipe {
    /// `true` if NAME:RELEASE names another release of it.
    pub fn has_releases(&self) -> bool {
        self.follows.is_none()
    }

    /// The name under which its candidate is remembered.
    pub(super) fn followed(&'static self, release: Option<&str>) -> KernelName {
        KernelName::Listed(self.follows.unwrap_or(self), release.map(Into::into))
    }

    /// The name of its cache entry when it is made of this candidate.
    pub(crate) fn entry(&self, candidate: &Candidate) -> String {
        let root = Root::name(self.root);
        let key = cache::key(self.key.iter().copied().chain([&*candidate.version, &root]));
        format!("kernels/{}{}-{key}", self.entry, (self.release)(candidate))
    }

    /// Its folder in the cache, prepared when it is absent.
    pub(super) fn prepared(
        &self,
        cache: &Cache,
        root: &Root,
        candidate: &Candidate,
    ) -> Result<PathBuf> {
        cache.entry(&self.entry(candidate), self.leftover, |aside| {
            (self.prepare)(&Preparation { cache, root, candidate, suite: self.suite, aside })
        })
    }
}

/// The facts that the steps of a preparation need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preparation<'a> {
    /// The cache.
    pub(super) cache: &'a Cache,
    /// The root in which it is prepared.
    pub(super) root: &'a Root,
    /// The kernel's packages.
    pub(super) candidate: &'a Candidate,
    /// The suite that has its packages.
    pub(super) suite: &'static str,
    /// The folder that becomes the kernel's cache entry.
    pub(super) aside: &'a Path,
}

impl Preparation<'_> {
    /// The kernel's headers, unpacked.
    pub(super) fn headers(&self) -> PathBuf {
        self.aside.join("usr/src").join(format!("linux-headers-{}", self.candidate.release))
    }
}
