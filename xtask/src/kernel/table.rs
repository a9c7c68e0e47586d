//! The table of kernels. A new kernel is one more row of [`KERNELS`], and a new way to prepare
//! one is one more function.

use std::path::PathBuf;

use crate::{
    host::{
        cache::{self, Cache, Partial},
        root::{self, Root, Suite},
    },
    kernel::{KernelName, archive::Candidate, lab, preparation::Preparation, stable, stock},
    problem::Result,
};

/// All kernels that have a name.
pub const KERNELS: [&Recipe; 5] = [STOCK, LAB, STABLE, BOOKWORM, SID];

/// Debian's own, the newest of the backports.
pub const STOCK: &Recipe = &Recipe {
    name: "stock",
    root: root::TRIXIE,
    suite: root::TRIXIE.kernels,
    follows: "stock",
    entry: "stock-",
    rust: true,
    release: |candidate| candidate.release.clone(),
    key: &[stock::RECIPE],
    leftover: Partial::Resume,
    prepare: stock::prepare,
    ships: Ships::Apart,
};

/// The source of `stock`, built with a configuration of our own.
pub const LAB: &Recipe = &Recipe {
    name: "lab",
    entry: "",
    release: lab::release,
    key: &[lab::RECIPE, lab::FRAGMENT],
    prepare: lab::build,
    ships: Ships::Nothing,
    ..*STOCK
};

/// The kernel of Debian's stable suite.
pub const STABLE: &Recipe = &Recipe {
    name: "stable",
    suite: root::TRIXIE.name,
    follows: "stable",
    entry: "stable-",
    rust: false,
    key: &[stable::RECIPE],
    leftover: Partial::Discard,
    prepare: stable::prepare,
    ships: Ships::Inside,
    ..*STOCK
};

/// The kernel of the stable suite before that.
pub const BOOKWORM: &Recipe = &Recipe {
    name: "bookworm",
    suite: "bookworm",
    follows: "bookworm",
    entry: "bookworm-",
    ..*STABLE
};

/// Debian's newest kernel, by its newest toolchain.
pub const SID: &Recipe =
    &Recipe { name: "sid", root: root::SID, suite: root::SID.kernels, follows: "sid", ..*STOCK };

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

/// How a kernel is named, found in the archive, cached and prepared.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// As its user names it.
    pub name: &'static str,
    /// The private root in which it is prepared and modules for it are built.
    pub root: Suite,
    /// The suite that offers it.
    pub suite: &'static str,
    /// The name of the kernel whose candidate it is made of.
    follows: &'static str,
    /// What the name of its cache entry begins with; its release and its key follow.
    entry: &'static str,
    /// Whether Rust modules can be built for it.
    pub rust: bool,
    /// The release that it has when it is made of this candidate.
    pub(super) release: fn(&Candidate) -> String,
    /// The parts of its cache entry's key beside the candidate's version and the root.
    key: &'static [&'static str],
    /// What becomes of an interrupted preparation.
    leftover: Partial,
    /// Prepares it in the folder [`Preparation::aside`].
    prepare: fn(&Preparation) -> Result<()>,
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
    /// Whether NAME:RELEASE names another release of it.
    pub fn has_releases(&self) -> bool {
        self.follows == self.name
    }

    /// The name under which its candidate is remembered.
    pub(super) fn followed(&'static self, release: Option<&str>) -> KernelName {
        let followed = KERNELS.into_iter().find(|recipe| recipe.name == self.follows);
        KernelName::Listed(followed.unwrap_or(self), release.map(Into::into))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache that is filled stays filled: these names were given by earlier versions.
    #[test]
    fn a_prepared_kernel_keeps_its_place_in_the_cache() {
        let candidate = |release: &str, version: &str| Candidate {
            release: release.into(),
            version: version.into(),
        };
        let stock = candidate("7.3.4+deb13-amd64", "7.3.4-1~bpo13+1");
        let root = Root::name(root::TRIXIE);
        let key = cache::key(["2", "7.3.4-1~bpo13+1", &root]);
        assert_eq!(STOCK.entry(&stock), format!("kernels/stock-7.3.4+deb13-amd64-{key}"));
        let key = cache::key(["1", lab::FRAGMENT, "7.3.4-1~bpo13+1", &root]);
        assert_eq!(LAB.entry(&stock), format!("kernels/7.3.4-lab-{key}"));
        let stable = candidate("6.12.117+deb13-amd64", "6.12.117-1");
        let key = cache::key(["1", "6.12.117-1", &root]);
        assert_eq!(STABLE.entry(&stable), format!("kernels/stable-6.12.117+deb13-amd64-{key}"));
    }

    #[test]
    fn names_differ_and_what_a_kernel_follows_is_in_the_table() {
        for recipe in KERNELS {
            assert_eq!(KERNELS.iter().filter(|other| other.name == recipe.name).count(), 1);
            assert!(KERNELS.iter().any(|other| other.name == recipe.follows), "{}", recipe.name);
        }
        assert_eq!(LAB.followed(None), KernelName::STOCK);
    }
}
