//! The modules of a directory, chosen among as depmod chooses.

use std::{
    collections::HashMap,
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use stack::{
    depmod_config::{DepmodConfig, choose},
    module_file::{ModuleFile, Stamp, unpacked_path},
    module_name::ModuleName,
};

use crate::problem::{OrProblem, Problem, Result};

/// Deeper than any module lies; a symbolic link to a parent would never end.
const DEPTH_MAX: usize = 32;

/// The modules below a directory, one for each name, sorted by path; or, with a `modules.order` in
/// the directory, by that and then by path, as depmod sorts them.
///
/// # Errors
/// A directory that cannot be read.
pub fn modules(dir: &Path) -> Result<Vec<ModuleFile>> {
    modules_by(dir, &DepmodConfig::default())
}

/// The same by a configuration of depmod's, with its `external` modules.
///
/// # Errors
/// A directory that cannot be read.
pub fn modules_by(dir: &Path, config: &DepmodConfig) -> Result<Vec<ModuleFile>> {
    find(dir, config).or_usage(|| format!("cannot read the modules of {}", dir.display()))
}

/// Those of a folder that was named to be judged: about none, nothing can be said.
///
/// # Errors
/// A directory that cannot be read, or that has no modules.
pub fn some_modules(dir: &Path, config: &DepmodConfig) -> Result<Vec<ModuleFile>> {
    let found = modules_by(dir, config)?;
    if found.is_empty() {
        return Err(Problem::usage(format!("{} has no modules", dir.display()))
            .hint("name a folder with .ko, .ko.xz, .ko.zst or .ko.gz files"));
    }
    Ok(found)
}

fn find(dir: &Path, config: &DepmodConfig) -> io::Result<Vec<ModuleFile>> {
    let mut found = walk(dir, "", config, 0)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    for external in &config.external {
        // "ignore external dir absence", says depmod.
        if let Ok(mut more) = walk(external, &format!("{}/", external.display()), config, 0) {
            more.sort_by(|a, b| a.path.cmp(&b.path));
            found.append(&mut more);
        }
    }
    let mut chosen = choose(found, config);
    sort_by_order_file(&mut chosen, dir)?;
    Ok(chosen)
}

/// The modules below a directory, entries looked at side by side: a tree has a thousand
/// directories.
fn walk(
    dir: &Path,
    below: &str,
    config: &DepmodConfig,
    depth: usize,
) -> io::Result<Vec<ModuleFile>> {
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    let found = entries.par_iter().map(|entry| look_at(entry, below, config, depth));
    Ok(found.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// The modules that an entry of a directory is or has below it.
fn look_at(
    entry: &DirEntry,
    below: &str,
    config: &DepmodConfig,
    depth: usize,
) -> io::Result<Vec<ModuleFile>> {
    let Ok(file_name) = entry.file_name().into_string() else { return Ok(Vec::new()) };
    let left_out = ["build", "source"].contains(&file_name.as_str());
    if left_out || config.exclude.contains(&file_name) {
        return Ok(Vec::new());
    }
    let kind = entry.file_type()?;
    let name = ModuleName::of_file(&file_name);
    // A link leads where it leads; one that leads nowhere is passed over, as by depmod.
    let metadata = match (kind.is_symlink(), &name) {
        (true, _) => fs::metadata(entry.path()).ok(),
        (false, Some(_)) => Some(entry.metadata()?),
        (false, None) => None,
    };
    let is_dir = metadata.as_ref().map_or(kind.is_dir(), fs::Metadata::is_dir);
    if is_dir && depth < DEPTH_MAX {
        return walk(&entry.path(), &format!("{below}{file_name}/"), config, depth + 1);
    }
    match (name, metadata) {
        (Some(name), Some(metadata)) if metadata.is_file() => {
            let (path, full) = (format!("{below}{file_name}"), entry.path());
            Ok(vec![ModuleFile { name, path, full, stamp: Stamp::from_metadata(&metadata) }])
        }
        _ => Ok(Vec::new()),
    }
}

fn sort_by_order_file(modules: &mut [ModuleFile], dir: &Path) -> io::Result<()> {
    let text = match fs::read_to_string(dir.join("modules.order")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut rank: HashMap<&str, usize> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        rank.entry(line).or_insert(index);
    }
    let rank_of =
        |file: &ModuleFile| rank.get(unpacked_path(&file.path)).copied().unwrap_or(usize::MAX);
    modules.sort_by_key(rank_of);
    Ok(())
}

/// Files that were given by their paths.
///
/// # Errors
/// A file that is not there, or that is not named as a module; a folder.
pub fn module_files(paths: &[PathBuf]) -> Result<Vec<ModuleFile>> {
    let one = |path: &PathBuf| {
        if path.is_dir() {
            let problem = Problem::usage(format!("{} is a folder, not a module", path.display()));
            return Err(problem.hint("`check --all DIR` and `order --tree DIR` read a folder's"));
        }
        module_file(path).or_usage(|| format!("cannot read {}", path.display()))
    };
    paths.iter().map(one).collect()
}

fn module_file(path: &Path) -> io::Result<ModuleFile> {
    let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = ModuleName::of_file(file_name).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "not a .ko, .ko.xz, .ko.zst or .ko.gz")
    })?;
    let stamp = Stamp::from_metadata(&fs::metadata(path)?);
    Ok(ModuleFile { name, path: path.display().to_string(), full: path.to_owned(), stamp })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn paths(dir: &tempfile::TempDir, config: &DepmodConfig) -> Vec<String> {
        let found = modules_by(dir.path(), config).unwrap();
        found.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn a_folder_is_no_module_and_one_without_modules_is_a_wrong_request() {
        let dir = tree(&["a.c"]);
        let error = module_files(&[dir.path().to_owned()]).unwrap_err();
        assert!(error.fact.ends_with("is a folder, not a module"), "{error}");
        assert!(modules(dir.path()).unwrap().is_empty());
        let error = some_modules(dir.path(), &DepmodConfig::default()).unwrap_err();
        assert!(error.kind == Kind::Usage && error.fact.ends_with("has no modules"), "{error}");
    }

    #[test]
    fn updates_win_and_build_is_not_searched() {
        let dir = tree(&[
            "kernel/a-b.ko.xz",
            "updates/a_b.ko",
            "kernel/c.ko.zst",
            "build/d.ko",
            "kernel/c.txt",
        ]);
        assert_eq!(paths(&dir, &DepmodConfig::default()), ["kernel/c.ko.zst", "updates/a_b.ko"]);
        let other = DepmodConfig::default().with_file("search built-in updates\n", "1").unwrap();
        assert_eq!(paths(&dir, &other), ["kernel/a-b.ko.xz", "kernel/c.ko.zst"]);
        let over = other.with_file("override a_b * updates\n", "1").unwrap();
        assert_eq!(paths(&dir, &over), ["kernel/c.ko.zst", "updates/a_b.ko"]);
    }

    #[test]
    fn modules_order_comes_first() {
        let dir = tree(&["a.ko.xz", "b.ko.xz", "c.ko.xz"]);
        fs::write(dir.path().join("modules.order"), "c.ko\nb.ko\n").unwrap();
        assert_eq!(paths(&dir, &DepmodConfig::default()), ["c.ko.xz", "b.ko.xz", "a.ko.xz"]);
    }

    #[test]
    fn a_link_to_a_parent_ends() {
        let dir = tree(&["a/b.ko"]);
        std::os::unix::fs::symlink("..", dir.path().join("a/up")).unwrap();
        assert_eq!(modules(dir.path()).unwrap().len(), 1);
    }
}
