//! A kernel's prepared tree: its `.config`, its release.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ko::kconfig::Kconfig;

use crate::problem::{OrProblem, Result};

/// Reads a `.config` or an `auto.conf`.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Kconfig> {
    let text = fs::read(path).or_usage(|| format!("{} cannot be read", path.display()))?;
    Ok(Kconfig::parse(&String::from_utf8_lossy(&text)))
}

/// The file that only a prepared kernel tree has: it states the release.
pub const RELEASE_FILE: &str = "include/config/kernel.release";

/// The prepared tree that a folder is or, as an installed `lib/modules/RELEASE`, has in its
/// `build`; and the release.
pub fn prepared_tree(folder: &Path) -> Option<(PathBuf, String)> {
    [folder.to_owned(), folder.join("build")].into_iter().find_map(|tree| {
        let release = fs::read_to_string(tree.join(RELEASE_FILE)).ok()?;
        Some((tree, release.trim().to_owned()))
    })
}
