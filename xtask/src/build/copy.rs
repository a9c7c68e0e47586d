//! The sources of a stack, copied to where they are built.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    host::{
        cache,
        file_system::{make_folder, names, read_given},
    },
    problem::{OrProblem, Result},
};

/// The file in a build folder that lists what was copied there.
pub(super) const COPIED: &str = ".copied";
/// Folders that hold no sources, of whatever stack.
const NO_SOURCES: [&str; 4] = [".git", ".hg", ".svn", "target"];

/// Copies sources that changed, and removes the copies of those that are gone.
pub(super) fn mirror(
    from: &Path,
    sources: &[&str],
    to: &Path,
    wanted: fn(&Path) -> bool,
) -> Result<()> {
    let found = find(from, sources, wanted)?;
    let list = to.join(COPIED);
    let before = fs::read_to_string(&list).unwrap_or_default();
    for gone in before.lines().map(Path::new).filter(|path| !found.contains(*path)) {
        // A file that is gone already is as good.
        let _ = fs::remove_file(to.join(gone));
    }
    for path in &found {
        copy_if_other(&from.join(path), &to.join(path))?;
    }
    let names: String = found.iter().map(|path| format!("{}\n", path.display())).collect();
    cache::write_atomic(&list, names)
}

/// The wanted files among `sources`, as paths below `from`.
pub(super) fn find(
    from: &Path,
    sources: &[&str],
    wanted: fn(&Path) -> bool,
) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for source in sources {
        collect(from, Path::new(source), wanted, &mut found)?;
    }
    Ok(found)
}

/// The wanted files at or below `path`, which is relative to `base`. A link to a folder above it
/// would lead round in a circle and is left out.
fn collect(
    base: &Path,
    path: &Path,
    wanted: fn(&Path) -> bool,
    found: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let whole = base.join(path);
    if !whole.is_dir() {
        if wanted(path) {
            found.insert(path.into());
        }
        return Ok(());
    }
    let target = fs::canonicalize(&whole).or_usage(|| format!("{}", whole.display()))?;
    let circular = whole.is_symlink() && whole.parent().is_some_and(|up| up.starts_with(target));
    let hidden = path.file_name().is_some_and(|name| NO_SOURCES.iter().any(|no| name == *no));
    if circular || hidden {
        return Ok(());
    }
    let mut names = names(&whole)?.into_iter();
    names.try_for_each(|name| collect(base, &path.join(name), wanted, found))
}

/// Whether Kbuild did not make a file. It is asked of folders of any kind, by the names alone.
pub(super) fn is_no_product(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ends = [".o", ".a", ".ko", ".mod", ".mod.c", ".o.d", ".cmd", ".symtypes", ".rmeta"];
    let whole = ["modules.order", "Module.symvers", "modules.nsdeps", COPIED];
    !ends.iter().any(|end| name.ends_with(end)) && !whole.contains(&name)
}

/// Whether a person wrote the file: a build in place leaves others beside it.
pub(super) fn is_source(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let made = ["_generated.rs", "_generated.c", ".mod.c"].iter().any(|end| name.ends_with(end));
    let written = [".rs", ".c", ".h", ".mk", ".conf", ".sh"].iter().any(|end| name.ends_with(end));
    (written && !made && !name.starts_with('.'))
        || ["Kbuild", "Makefile", "rustfmt.toml"].contains(&name)
}

/// Copies a file only when its contents differ, so that `make` sees what changed, or when only one
/// of the two may be executed: a Makefile runs scripts of its own.
fn copy_if_other(from: &Path, to: &Path) -> Result<()> {
    let contents = read_given(from)?;
    let executable =
        |path: &Path| path.metadata().is_ok_and(|file| file.permissions().mode() & 0o100 != 0);
    let script = executable(from);
    if script == executable(to) && fs::read(to).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    cache::write_with_mode(to, &contents, if script { 0o777 } else { 0o666 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_left_is_no_source() {
        for name in ["a/x.rs", "x.c", "x.h", "Kbuild", "x.mk", "dkms.conf", "rustfmt.toml"] {
            assert!(is_source(Path::new(name)), "{name}");
        }
        for name in [
            "x.o",
            "x.mod.c",
            "bindings_generated.rs",
            "provider_crate_generated.c",
            ".x.o.cmd",
            "x.ko",
            ".#x.rs",
        ] {
            assert!(!is_source(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn of_any_folder_all_is_copied_but_what_was_built_and_what_leads_round() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["a.c", "fw.bin", "a.o", ".a.o.cmd", "a.ko", "Module.symvers", ".git/HEAD"] {
            let path = from.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        std::os::unix::fs::symlink("..", from.path().join("up")).unwrap();
        std::os::unix::fs::symlink("a.c", from.path().join("b.c")).unwrap();
        mirror(from.path(), &[""], to.path(), is_no_product).unwrap();
        assert_eq!(names(to.path()).unwrap(), [COPIED, "a.c", "b.c", "fw.bin"]);

        // A file that a Makefile may run stays executable.
        let executable = || {
            let mode = to.path().join("fw.bin").metadata().unwrap().permissions().mode();
            mode & 0o100 != 0
        };
        assert!(!executable());
        fs::set_permissions(from.path().join("fw.bin"), PermissionsExt::from_mode(0o755)).unwrap();
        mirror(from.path(), &[""], to.path(), is_no_product).unwrap();
        assert!(executable());
    }

    #[test]
    fn a_mirror_follows_its_sources() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("d")).unwrap();
        fs::write(from.path().join("d/a.rs"), "1").unwrap();
        fs::write(from.path().join("d/b.rs"), "1").unwrap();
        mirror(from.path(), &["d"], to.path(), is_source).unwrap();
        fs::write(to.path().join("d/a.o"), "built").unwrap();
        let before = to.path().join("d/a.rs").metadata().unwrap().modified().unwrap();

        fs::remove_file(from.path().join("d/b.rs")).unwrap();
        mirror(from.path(), &["d"], to.path(), is_source).unwrap();
        assert!(!to.path().join("d/b.rs").exists());
        assert!(to.path().join("d/a.o").exists());
        let after = to.path().join("d/a.rs").metadata().unwrap().modified().unwrap();
        assert_eq!(before, after, "what did not change is not written again");
    }
}
