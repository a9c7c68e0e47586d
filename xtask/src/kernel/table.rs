//! The table of kernels. A new kernel is one more row of [`KERNELS`], and a new way to prepare
//! one is one more function.

use std::{path::Path, str::FromStr};

use crate::{
    host::{cache::Partial, root},
    kernel::{
        KernelName, lab,
        recipe::{Recipe, Ships},
        stable, stock,
    },
};

/// All kernels that have a name.
pub const KERNELS: [&Recipe; 5] = [STOCK, LAB, STABLE, BOOKWORM, SID];

/// Debian's own, the newest of the backports.
pub const STOCK: &Recipe = &Recipe {
    name: "stock",
    root: root::TRIXIE,
    suite: root::TRIXIE.kernels,
    follows: None,
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
    follows: Some(STOCK),
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
    entry: "stable-",
    rust: false,
    key: &[stable::RECIPE],
    leftover: Partial::Discard,
    prepare: stable::prepare,
    ships: Ships::Inside,
    ..*STOCK
};

/// The kernel of the stable suite before that.
pub const BOOKWORM: &Recipe =
    &Recipe { name: "bookworm", suite: "bookworm", entry: "bookworm-", ..*STABLE };

/// Debian's newest kernel, by its newest toolchain.
pub const SID: &Recipe =
    &Recipe { name: "sid", root: root::SID, suite: root::SID.kernels, ..*STOCK };

impl KernelName {
    /// Debian's own, the newest with Rust.
    pub const STOCK: Self = Self::Listed(STOCK, None);
    /// The same source with a small configuration and MODVERSIONS.
    pub const LAB: Self = Self::Listed(LAB, None);
    /// Debian's own of the stable suite, without Rust.
    pub const STABLE: Self = Self::Listed(STABLE, None);
    /// Debian's own of the suite sid.
    pub const SID: Self = Self::Listed(SID, None);

    /// Returns its name in a help text and in an error.
    pub fn choices() -> String {
        let names = KERNELS.iter().map(|recipe| {
            let name = recipe.name;
            if recipe.has_releases() { format!("{name}, {name}:RELEASE") } else { name.into() }
        });
        let names = Vec::from_iter(names).join(", ");
        format!("{names}, or the folder of a prepared kernel tree (its compilers run in a sandbox)")
    }

    /// `true` if every build for it needs the kernel's source.
    pub fn keeps_source(&self) -> bool {
        matches!(self, Self::Listed(recipe, _) if *recipe == LAB)
    }
}

impl FromStr for KernelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, release) = match text.split_once(':') {
            Some((name, release)) => (name, Some(release.to_owned())),
            None => (text, None),
        };
        let recipe = KERNELS.into_iter().find(|recipe| recipe.name == name);
        let asks_release = |release: &String| !release.is_empty();
        match recipe.filter(|recipe| recipe.has_releases() || release.is_none()) {
            Some(recipe) if release.as_ref().is_none_or(asks_release) => {
                Ok(Self::Listed(recipe, release))
            }
            _ if Path::new(text).is_dir() => Ok(Self::Folder(text.into())),
            _ => Err(format!(
                "no kernel has this name, nor is it a folder; there are {}",
                Self::choices()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::{cache, root::Root},
        kernel::candidate::Candidate,
    };

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
    fn names_differ() {
        for recipe in KERNELS {
            assert_eq!(KERNELS.iter().filter(|other| other.name == recipe.name).count(), 1);
        }
        assert_eq!(LAB.followed(None), KernelName::STOCK);
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for text in ["stock", "stock:7.2.12+deb13-amd64", "lab", "stable", "sid", "/"] {
            let name: KernelName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        assert_eq!("stock".parse(), Ok(KernelName::STOCK));
        assert_eq!("/".parse(), Ok(KernelName::Folder("/".into())));
    }

    #[test]
    fn a_word_that_names_no_kernel_is_refused_with_the_names() {
        for text in ["", "stok", "stock:", "lab:7.3.4-lab", "/no/such/folder"] {
            let said = text.parse::<KernelName>().unwrap_err();
            assert!(said.contains("stock, stock:RELEASE, lab, stable"), "{text}: {said}");
        }
    }
}
