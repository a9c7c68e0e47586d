//! A kernel's `.config`, read from its tree.

use std::{fs, path::Path};

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
