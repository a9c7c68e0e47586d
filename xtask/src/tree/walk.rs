//! The modules of a directory, chosen among as depmod chooses.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, DirEntry, Metadata},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use ko::text::Text;
use rayon::prelude::*;
use stack::{
    depmod_config::{DepmodConfig, choose},
    module_file::{ModuleFile, Stamp, unpacked_path},
    module_name::ModuleName,
};

use crate::{
    host::open,
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
    tree::section_reader::{FileError, UnreadableFile},
};

/// Deeper than any module lies.
const DEPTH_MAX: usize = 32;

/// The most entries of a tree: a kernel's has 7,000, a disk's root a million.
const ENTRIES_MAX: usize = 300_000;

/// depmod takes such a name, and then fails to write its index.
const NOT_UTF8: &str = "its name is not UTF-8";

/// The modules of a tree.
#[derive(Debug, Default)]
pub struct FoundModules {
    /// One for each name, sorted by path; or, with a `modules.order` in the directory, by that and
    /// then by path, as depmod sorts them.
    pub modules: Vec<ModuleFile>,
    /// The files and folders that could not be looked at. depmod names them and goes on.
    pub unreadable: Vec<UnreadableFile>,
}

/// The modules below a directory that can be read.
///
/// # Errors
/// A directory that cannot be read.
pub fn modules(dir: &Path) -> Result<Vec<ModuleFile>> {
    Ok(find(dir, &DepmodConfig::default())?.modules)
}

/// Those of a folder that was named to be judged, by a configuration of depmod's, with its
/// `external` modules.
///
/// # Errors
/// A directory that cannot be read, or that has no modules: about none, nothing can be said.
pub fn some_modules(dir: &Path, config: &DepmodConfig) -> Result<FoundModules> {
    let found = find(dir, config)?;
    if found.modules.is_empty() && found.unreadable.is_empty() {
        return Err(Problem::usage(format!("{} has no modules", dir.shown()))
            .hint("name a folder with .ko, .ko.xz, .ko.zst or .ko.gz files"));
    }
    Ok(found)
}

fn find(dir: &Path, config: &DepmodConfig) -> Result<FoundModules> {
    let what = || format!("cannot read the modules of {}", dir.shown());
    let mut found = Walk::of(dir, "", config, ENTRIES_MAX).or_usage(what)?;
    for external in &config.external {
        // "ignore external dir absence", says depmod.
        let below = format!("{}/", external.to_string_lossy());
        if let Ok(more) = Walk::of(external, &below, config, ENTRIES_MAX) {
            found.modules.extend(more.modules);
            found.unreadable.extend(more.unreadable);
        }
    }
    found.modules = choose(found.modules, config);
    sort_by_order_file(&mut found.modules, &dir.join("modules.order"))?;
    Ok(found)
}

/// A folder of a tree.
struct Folder {
    full: PathBuf,
    /// Its path below the tree, with a slash at its end.
    below: String,
    /// How many folders it lies below the tree.
    depth: usize,
}

/// One walk of a tree.
struct Walk<'c> {
    config: &'c DepmodConfig,
    /// The folders that were entered, by device and inode: depmod follows links to folders, and
    /// into a circle until its descriptors run out. A module that is found by two ways is one.
    entered: Mutex<HashSet<(u64, u64)>>,
    /// The links to folders, which are followed after all folders are entered.
    links: Mutex<Vec<Folder>>,
    unreadable: Mutex<Vec<UnreadableFile>>,
    entries: AtomicUsize,
    entries_max: usize,
}

/// The ways on from an entry of a folder.
enum Entry {
    Folder(Folder),
    Module(ModuleFile),
}

impl<'c> Walk<'c> {
    /// The modules below a folder, sorted by path.
    fn of(
        dir: &Path,
        below: &str,
        config: &'c DepmodConfig,
        entries_max: usize,
    ) -> io::Result<FoundModules> {
        let ((entered, links, unreadable), entries) = (Default::default(), AtomicUsize::new(0));
        let walk = Self { config, entered, links, unreadable, entries, entries_max };
        fs::read_dir(dir)?;
        let mut next = vec![Folder { full: dir.to_owned(), below: below.to_owned(), depth: 0 }];
        let mut modules = Vec::new();
        while !next.is_empty() {
            for folder in &next {
                modules.extend(walk.enter(folder)?);
            }
            next = std::mem::take(&mut *locked(&walk.links));
            next.sort_by(|a, b| a.below.cmp(&b.below));
        }
        modules.sort_by(|a, b| a.path.cmp(&b.path));
        let mut unreadable = walk.unreadable.into_inner().unwrap_or_else(PoisonError::into_inner);
        unreadable.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(FoundModules { modules, unreadable })
    }

    fn note(&self, file: &Path, error: io::Error) {
        let file = UnreadableFile { file: file.to_owned(), error: FileError::Io(error) };
        locked(&self.unreadable).push(file);
    }

    /// The modules below a folder that was not entered before, entries looked at side by side: a
    /// tree has a thousand folders.
    fn enter(&self, folder: &Folder) -> io::Result<Vec<ModuleFile>> {
        let entries = match self.entries_of(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.note(&folder.full, error);
                return Ok(Vec::new());
            }
        };
        let before = self.entries.fetch_add(entries.len(), Ordering::Relaxed);
        if before + entries.len() > self.entries_max {
            let max = self.entries_max;
            let what = format!("it has more than {max} entries: name a smaller folder");
            return Err(io::Error::other(what));
        }
        let found = entries.par_iter().map(|entry| match self.look_at(entry, folder) {
            Ok(Some(Entry::Folder(folder))) => self.enter(&folder),
            Ok(Some(Entry::Module(module))) => Ok(vec![module]),
            Ok(None) => Ok(Vec::new()),
            Err(error) => {
                self.note(&entry.path(), error);
                Ok(Vec::new())
            }
        });
        Ok(found.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// The entries of a folder; none when it was entered before.
    fn entries_of(&self, folder: &Folder) -> io::Result<Vec<DirEntry>> {
        if folder.depth > DEPTH_MAX {
            let what = format!("it lies deeper than {DEPTH_MAX} folders");
            return Err(io::Error::other(what));
        }
        let metadata = fs::metadata(&folder.full)?;
        if !locked(&self.entered).insert((metadata.dev(), metadata.ino())) {
            return Ok(Vec::new());
        }
        fs::read_dir(&folder.full)?.take(self.entries_max + 1).collect()
    }

    fn look_at(&self, entry: &DirEntry, folder: &Folder) -> io::Result<Option<Entry>> {
        let kind = entry.file_type()?;
        let Ok(file_name) = entry.file_name().into_string() else {
            let lossy = entry.file_name().to_string_lossy().into_owned();
            let counts = kind.is_dir() || ModuleName::of_file(&lossy).is_some();
            return if counts { Err(io::Error::other(NOT_UTF8)) } else { Ok(None) };
        };
        let left_out = ["build", "source"].contains(&file_name.as_str());
        if left_out || self.config.exclude.contains(&file_name) {
            return Ok(None);
        }
        let name = ModuleName::of_file(&file_name);
        // A link leads where it leads; one that leads nowhere is passed over, as by depmod.
        let metadata = match (kind.is_symlink(), &name) {
            (true, _) => fs::metadata(entry.path()).ok(),
            (false, Some(_)) => Some(entry.metadata()?),
            (false, None) => None,
        };
        let path = format!("{}{file_name}", folder.below);
        if metadata.as_ref().map_or(kind.is_dir(), Metadata::is_dir) {
            let (full, below) = (entry.path(), format!("{path}/"));
            let folder = Folder { full, below, depth: folder.depth + 1 };
            if kind.is_symlink() {
                locked(&self.links).push(folder);
                return Ok(None);
            }
            return Ok(Some(Entry::Folder(folder)));
        }
        let (Some(name), Some(metadata)) = (name, metadata) else { return Ok(None) };
        if let Some(other) = open::other_kind(metadata.file_type()) {
            return Err(io::Error::other(other));
        }
        let (full, stamp) = (entry.path(), Stamp::from_metadata(&metadata));
        Ok(Some(Entry::Module(ModuleFile { name, path, full, stamp })))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // No code panics while it holds one of them half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sort_by_order_file(modules: &mut [ModuleFile], file: &Path) -> Result<()> {
    let text = match open::read_text(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text.or_usage(|| format!("{} cannot be read", file.shown()))?,
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
            let problem = Problem::usage(format!("{} is a folder, not a module", path.shown()));
            return Err(problem.hint("`check --all DIR` and `order --tree DIR` read a folder's"));
        }
        module_file(path).or_usage(|| format!("cannot read {}", path.shown()))
    };
    paths.iter().map(one).collect()
}

fn module_file(path: &Path) -> io::Result<ModuleFile> {
    let file_name = path.file_name().unwrap_or_default();
    let file_name = file_name.to_str().ok_or_else(|| io::Error::other(NOT_UTF8))?;
    let name = ModuleName::of_file(file_name).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "not a .ko, .ko.xz, .ko.zst or .ko.gz")
    })?;
    let stamp = Stamp::from_metadata(&fs::metadata(path)?);
    let as_given = Text(path.as_os_str().as_bytes()).spelled().into_owned();
    Ok(ModuleFile { name, path: as_given, full: path.to_owned(), stamp })
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
    };

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
        let found = find(dir.path(), config).unwrap();
        found.modules.into_iter().map(|file| file.path).collect()
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
    fn links_to_folders_are_followed_and_no_folder_is_entered_twice() {
        let dir = tree(&["a/1.ko", "b/2.ko", "c/3.ko", "d/4.ko"]);
        let other = tree(&["deep/5.ko"]);
        for folder in ["a", "b", "c", "d"] {
            for link in 0..5 {
                symlink("..", dir.path().join(format!("{folder}/up{link}"))).unwrap();
            }
        }
        symlink(other.path(), dir.path().join("a/out")).unwrap();
        symlink("..", other.path().join("deep/up")).unwrap();
        symlink("nowhere", dir.path().join("gone.ko")).unwrap();
        let all = ["a/1.ko", "a/out/deep/5.ko", "b/2.ko", "c/3.ko", "d/4.ko"];
        assert_eq!(paths(&dir, &DepmodConfig::default()), all);
    }

    #[test]
    fn a_tree_of_more_entries_than_any_is_refused() {
        let dir = tree(&["a/1.ko", "a/2.ko", "b/3.ko"]);
        let walk = |max| Walk::of(dir.path(), "", &DepmodConfig::default(), max);
        assert_eq!(walk(5).unwrap().modules.len(), 3);
        assert!(walk(4).unwrap_err().to_string().contains("more than 4 entries"));
    }

    #[test]
    fn what_cannot_be_looked_at_is_named_and_the_others_are_found() {
        let deep = format!("{}x.ko", "d/".repeat(DEPTH_MAX + 1));
        let dir = tree(&["a/1.ko", &deep]);
        fs::write(dir.path().join(OsStr::from_bytes(b"\xff.ko")), "").unwrap();
        fs::write(dir.path().join(OsStr::from_bytes(b"\xff.txt")), "").unwrap();
        let _socket = UnixListener::bind(dir.path().join("socket.ko")).unwrap();
        let found = find(dir.path(), &DepmodConfig::default()).unwrap();
        assert_eq!(found.modules.len(), 1);
        let said: Vec<_> = found.unreadable.iter().map(|one| one.error.to_string()).collect();
        let [deep, socket, name] = said.as_slice() else { panic!("{said:?}") };
        assert!(deep.contains("deeper than 32"), "{deep}");
        assert!(socket.contains("socket") && name.contains("not UTF-8"), "{said:?}");
    }
}
