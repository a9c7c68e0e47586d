//! What a user calls a kernel.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Serialize, Serializer};

use crate::{
    host::cache,
    kernel::table::{KERNELS, LAB, Recipe, SID, STABLE, STOCK, Ships},
};

/// A kernel as its user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelName {
    /// One of [`KERNELS`]: the newest that its suite offers, or the one of this release.
    Listed(&'static Recipe, Option<String>),
    /// A prepared tree.
    Folder(PathBuf),
}

impl KernelName {
    /// Debian's own, the newest with Rust.
    pub const STOCK: Self = Self::Listed(STOCK, None);
    /// The same source with a small configuration and MODVERSIONS.
    pub const LAB: Self = Self::Listed(LAB, None);
    /// Debian's own of the stable suite, without Rust.
    pub const STABLE: Self = Self::Listed(STABLE, None);
    /// Debian's own of the suite sid.
    pub const SID: Self = Self::Listed(SID, None);

    /// What names it in a help text and in an error.
    pub fn choices() -> String {
        let names = KERNELS.iter().map(|recipe| {
            let name = recipe.name;
            if recipe.has_releases() { format!("{name}, {name}:RELEASE") } else { name.into() }
        });
        format!("{}, or the folder of a prepared kernel tree", Vec::from_iter(names).join(", "))
    }

    /// Whether Debian ships modules with it, and where.
    pub fn ships(&self) -> Ships {
        match self {
            Self::Listed(recipe, _) => recipe.ships,
            Self::Folder(_) => Ships::Nothing,
        }
    }

    /// Whether every build for it needs the kernel's source.
    pub fn keeps_source(&self) -> bool {
        matches!(self, Self::Listed(recipe, _) if *recipe == LAB)
    }

    /// The part of a file's name that stands for it.
    pub(super) fn slug(&self) -> String {
        match self {
            Self::Listed(recipe, _) => recipe.name.into(),
            Self::Folder(folder) => cache::key([folder.to_string_lossy().as_ref()]),
        }
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

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(recipe, None) => write!(f, "{}", recipe.name),
            Self::Listed(recipe, Some(release)) => write!(f, "{}:{release}", recipe.name),
            Self::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

impl Serialize for KernelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_is_neither_a_name_nor_a_folder_is_refused_with_the_names() {
        for text in ["", "stok", "stock:", "lab:7.3.4-lab", "/no/such/folder"] {
            let said = text.parse::<KernelName>().unwrap_err();
            assert!(said.contains("stock, stock:RELEASE, lab, stable"), "{text}: {said}");
        }
    }
}
