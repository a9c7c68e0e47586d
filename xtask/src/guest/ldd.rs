//! The files that a program of the private root needs elsewhere, as its `ldd` names them.

use std::path::{Path, PathBuf};

use crate::{
    host::root::Root,
    problem::{Problem, Result},
};

/// The files of the root, as paths within it, without which `program` cannot run; itself first.
///
/// # Errors
/// The root lacks the program.
pub(super) fn files(root: &Root, program: &str) -> Result<Vec<PathBuf>> {
    let ldd = root.sandbox().run("ldd").arg(Path::new("/").join(program)).quiet().output()?;
    // A static program needs nothing more; ldd then fails and says so.
    if !ldd.status.success() && !ldd.stderr.contains("not a dynamic executable") {
        let fact = format!("{program} cannot be put in the guest: ldd says: {}", ldd.stderr.trim());
        return Err(Problem::host(fact));
    }
    Ok([PathBuf::from(program)].into_iter().chain(libraries(&ldd.stdout)).collect())
}

/// The paths in what ldd says: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the
/// interpreter's without an arrow. Debian's ldd names them by way of the links to `/usr`.
fn libraries(said: &str) -> impl Iterator<Item = PathBuf> {
    said.lines().filter_map(|line| {
        let path = line.split_whitespace().find_map(|word| word.strip_prefix('/'))?;
        let path = Path::new(path);
        Some(if path.starts_with("usr") { path.into() } else { Path::new("usr").join(path) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_place_below_usr() {
        let said = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x2)\n\
            \tlibz.so.1 => /usr/lib/x/libz.so.1 (0x3)\n\t/lib64/ld-linux-x86-64.so.2 (0x4)\n";
        let files: Vec<PathBuf> = libraries(said).collect();
        let expected =
            ["usr/lib/x/libc.so.6", "usr/lib/x/libz.so.1", "usr/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(files, expected.map(PathBuf::from));
    }
}
