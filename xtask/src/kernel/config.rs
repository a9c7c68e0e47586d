//! A kernel's prepared tree: its `.config`, its release.

use std::path::{Path, PathBuf};

use ko::kconfig::Kconfig;

use crate::{
    host::{file_system::read_given, open},
    problem::{Problem, Result},
};

/// Reads a `.config` or an `auto.conf`.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Kconfig> {
    Ok(Kconfig::parse(&String::from_utf8_lossy(&read_given(path)?)))
}

/// The file that only a prepared kernel tree has: it states the release.
pub const RELEASE_FILE: &str = "include/config/kernel.release";

/// The file that states what `uname -r` says and a vermagic begins with. Debian's headers of 6.1
/// and older give it the package's release, and the kernel's version to [`RELEASE_FILE`].
const UTS_RELEASE_FILE: &str = "include/generated/utsrelease.h";

/// The prepared tree that a folder is or, as an installed `lib/modules/RELEASE`, has in its
/// `build`; and the release.
pub fn prepared_tree(folder: &Path) -> Option<(PathBuf, String)> {
    [folder.to_owned(), folder.join("build")].into_iter().find_map(|tree| {
        let stated = open::read_text(tree.join(RELEASE_FILE)).ok()?;
        let header = open::read_text(tree.join(UTS_RELEASE_FILE)).ok();
        let quoted = header.as_deref().and_then(|text| text.split('"').nth(1));
        let release = quoted.unwrap_or(stated.trim()).to_owned();
        Some((tree, release))
    })
}

/// A kernel without Rust cannot carry the stack.
pub(super) fn require_rust(config: &Kconfig, release: &str) -> Result<()> {
    if config.has("RUST") {
        return Ok(());
    }
    let problem = Problem::usage(format!("kernel {release} is configured without CONFIG_RUST"));
    Err(problem.hint("choose one that has it: cargo xtask kernels lists what the archive offers"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_vermagic_begins_with_what_the_kernel_calls_itself() {
        let tree = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = tree.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let release = || prepared_tree(tree.path()).map(|(_, release)| release);
        assert_eq!(release(), None);
        write(RELEASE_FILE, "6.1.176\n");
        assert_eq!(release().unwrap(), "6.1.176");
        write(UTS_RELEASE_FILE, "#define UTS_RELEASE \"6.1.0-50-amd64\"\n");
        assert_eq!(release().unwrap(), "6.1.0-50-amd64");
    }
}
