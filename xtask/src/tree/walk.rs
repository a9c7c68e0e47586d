//! The modules of a directory, chosen among as depmod chooses.

use std::{
    collections::HashMap,
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
    depmod_config::{Chosen, DepmodConfig, Tie, choose},
    depmod_table::{MODULE_BUCKETS, sort_by_table},
    module_file::{ModuleFile, Stamp},
    module_name::{ModuleName, SUFFIXES},
};

use crate::{
    host::{open, root_kmod::kmod_facts},
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
    /// One for each name, in the order of depmod's files: that of the directory's `modules.order`,
    /// then that of depmod's table.
    pub modules: Vec<ModuleFile>,
    /// The modules that were taken for no reason but the order in which the directory is listed.
    pub ties: Vec<Tie>,
    /// The files in a form that this kmod does not unpack, and so does not list.
    pub not_listed: Vec<ModuleFile>,
    /// The files and folders that could not be looked at. depmod names them and goes on.
    pub unreadable: Vec<UnreadableFile>,
}

/// The modules below a directory that can be read.
///
/// # Errors
/// A directory that cannot be read.
pub fn modules(dir: &Path) -> Result<Vec<ModuleFile>> {
    Ok(find(dir, &DepmodConfig::of_kmod(kmod_facts()))?.modules)
}

/// Those of a folder that was named to be judged, by a configuration of depmod's, with its
/// `external` modules.
///
/// # Errors
/// A directory that cannot be read, or that has no modules: about none, nothing can be said.
pub fn some_modules(dir: &Path, config: &DepmodConfig) -> Result<FoundModules> {
    let found = find(dir, config)?;
    let FoundModules { modules, not_listed, unreadable, .. } = &found;
    if modules.is_empty() && not_listed.is_empty() && unreadable.is_empty() {
        return Err(Problem::usage(format!("{} has no modules", dir.shown()))
            .hint("name a folder with .ko, .ko.xz, .ko.zst or .ko.gz files"));
    }
    Ok(found)
}

fn find(dir: &Path, config: &DepmodConfig) -> Result<FoundModules> {
    let what = || format!("cannot read the modules of {}", dir.shown());
    let mut found = Walk::of(dir, "", config, ENTRIES_MAX).or_usage(what)?;
    for external in config.external() {
        // "ignore external dir absence", says depmod.
        let below = format!("{}/", external.to_string_lossy());
        if let Ok(more) = Walk::of(external, &below, config, ENTRIES_MAX) {
            found.modules.extend(more.modules);
            found.unreadable.extend(more.unreadable);
        }
    }
    let is_listed = |file: &ModuleFile| {
        let named = |(suffix, _): &&(&str, _)| file.path.ends_with(suffix);
        SUFFIXES.iter().find(named).is_none_or(|(_, form)| config.kmod.unpacks(*form))
    };
    let (listed, not_listed) = std::mem::take(&mut found.modules).into_iter().partition(is_listed);
    let Chosen { files, ties } = choose(listed, config);
    (found.modules, found.ties, found.not_listed) = (files, ties, not_listed);
    sort_by_table(&mut found.modules, MODULE_BUCKETS, |file| file.name.as_bytes());
    sort_by_order_file(&mut found.modules, &dir.join("modules.order"))?;
    Ok(found)
}

/// A folder of a tree.
struct Folder {
    full: PathBuf,
    /// Its path below the tree, with a slash at its end.
    below: String,
    /// `true` if the path leads through a link.
    by_link: bool,
    /// The folders above it, by device and inode, and itself once it is entered.
    above: Vec<(u64, u64)>,
}

/// One walk of a tree, in the order in which its folders are listed.
struct Walk<'c> {
    config: &'c DepmodConfig,
    /// The number of times that each folder was entered through links, by device and inode.
    entered: Mutex<HashMap<(u64, u64), usize>>,
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
    /// The modules below a folder, in the order in which depmod comes to them.
    fn of(
        dir: &Path,
        below: &str,
        config: &'c DepmodConfig,
        entries_max: usize,
    ) -> io::Result<FoundModules> {
        let (entries, entered, unreadable) = Default::default();
        let walk = Self { config, entered, unreadable, entries, entries_max };
        fs::read_dir(dir)?;
        let (full, below) = (dir.to_owned(), below.to_owned());
        let modules = walk.enter(Folder { full, below, by_link: false, above: Vec::new() })?;
        let mut unreadable = walk.unreadable.into_inner().unwrap_or_else(PoisonError::into_inner);
        unreadable.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(FoundModules { modules, unreadable, ..FoundModules::default() })
    }

    fn note(&self, file: &Path, error: io::Error) {
        let file = UnreadableFile { file: file.to_owned(), error: FileError::Io(error) };
        locked(&self.unreadable).push(file);
    }

    /// The modules below a folder, entries looked at side by side: a tree has a thousand folders.
    fn enter(&self, mut folder: Folder) -> io::Result<Vec<ModuleFile>> {
        let entries = match self.entries_of(&mut folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.note(&folder.full, error);
                return Ok(Vec::new());
            }
        };
        let folder = &folder;
        let before = self.entries.fetch_add(entries.len(), Ordering::Relaxed);
        if before + entries.len() > self.entries_max {
            let max = self.entries_max;
            let what = format!("it has more than {max} entries: name a smaller folder");
            return Err(io::Error::other(what));
        }
        let found = entries.par_iter().map(|entry| match self.look_at(entry, folder) {
            Ok(Some(Entry::Folder(folder))) => self.enter(folder),
            Ok(Some(Entry::Module(module))) => Ok(vec![module]),
            Ok(None) => Ok(Vec::new()),
            Err(error) => {
                self.note(&entry.path(), error);
                Ok(Vec::new())
            }
        });
        Ok(found.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// The entries of a folder. None of one that lies above itself: depmod follows such a circle of
    /// links until its descriptors run out, and a module that is found by two ways is one. None of
    /// one that links lead to in more ways than anybody lays: their number doubles with each folder
    /// that has two links to the next.
    fn entries_of(&self, folder: &mut Folder) -> io::Result<Vec<DirEntry>> {
        const WAYS_MAX: usize = 8;
        if folder.above.len() > DEPTH_MAX {
            let what = format!("it lies deeper than {DEPTH_MAX} folders");
            return Err(io::Error::other(what));
        }
        let metadata = fs::metadata(&folder.full)?;
        let id = (metadata.dev(), metadata.ino());
        if folder.above.contains(&id) {
            return Ok(Vec::new());
        }
        folder.above.push(id);
        if folder.by_link {
            let mut entered = locked(&self.entered);
            let ways = entered.entry(id).or_default();
            *ways += 1;
            if *ways > WAYS_MAX {
                return Ok(Vec::new());
            }
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
            let by_link = folder.by_link || kind.is_symlink();
            let folder = Folder { full, below, by_link, above: folder.above.clone() };
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

/// Sorts by the directory's `modules.order`, which has no say if one of its lines has no end
/// (`depmod_modules_sort()`, kmod's `tools/depmod.c`).
fn sort_by_order_file(modules: &mut [ModuleFile], file: &Path) -> Result<()> {
    /// `PATH_MAX`, less the NUL.
    const LINE_BYTES_MAX: usize = 4095;
    let text = match open::read_within(file, open::TEXT_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text.or_usage(|| format!("{} cannot be read", file.shown()))?,
    };
    let mut rank: HashMap<&[u8], usize> = HashMap::new();
    for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match line.strip_suffix(b"\n") {
            Some(line) if line.len() < LINE_BYTES_MAX => _ = rank.entry(line).or_insert(index),
            _ => return Ok(()),
        }
    }
    let rank_of = |file: &ModuleFile| rank.get(file.order_path()?.as_bytes()).copied();
    modules.sort_by_cached_key(|file| rank_of(file).unwrap_or(usize::MAX));
    Ok(())
}

/// Files that were given by their paths.
///
/// # Errors
/// A file that is not there; a folder.
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
    // insmod takes a file of any name.
    let name = ModuleName::of_any_file(file_name);
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
        let mut paths: Vec<_> = found.modules.into_iter().map(|file| file.path).collect();
        if !dir.path().join("modules.order").exists() {
            paths.sort();
        }
        paths
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
    fn links_to_folders_are_followed_and_no_circle_of_them() {
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
    fn unreadable_folders_are_named_and_the_others_are_found() {
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
