//! The modules of a directory, chosen among as depmod chooses.

use std::{
    collections::HashMap,
    fs::{self, DirEntry},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rayon::prelude::*;

/// Deeper than any module lies; a symbolic link to a parent would never end.
const DEPTH_MAX: usize = 32;

/// What tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Its size in bytes.
    pub size: u64,
    /// When its content changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// When anything about it changed, in nanoseconds since 1970: nobody can set this back.
    pub changed_ns: i64,
    /// Which file it is on its disk.
    pub inode: u64,
    /// Which disk.
    pub device: u64,
}

impl Stamp {
    /// The stamp of a file as the system reports it.
    pub fn of(metadata: &fs::Metadata) -> Self {
        let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000) + rest;
        Self {
            size: metadata.size(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
        }
    }

    /// Whether the file last changed so shortly before `now` that another change could leave the
    /// same stamp: the clock of a file system ticks every few milliseconds only.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let settled = now.checked_sub(Duration::from_secs(1)).unwrap_or(UNIX_EPOCH);
        let settled = settled.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.changed_ns.max(self.modified_ns) as i128 >= settled as i128
    }
}

/// One module file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// The name by which the kernel will know it.
    pub name: String,
    /// Its path below the directory; as given, for a file given alone or one of `external`.
    pub path: String,
    /// Where to open it.
    pub full: PathBuf,
    /// What tells it from what it was before.
    pub stamp: Stamp,
}

/// The module name of a file: what stands before the first dot, with `_` for `-`
/// (`path_to_modname()`, kmod's `shared/util.c`); `None` for a file that is no module.
pub fn module_name(file_name: &str) -> Option<String> {
    let is_module = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().any(|e| file_name.ends_with(e));
    let (stem, _) = file_name.split_once('.')?;
    (is_module && !stem.is_empty()).then(|| stem.replace('-', "_"))
}

/// A path without the suffix of its packing: how `modules.order` and `modules.builtin` name it.
pub fn unpacked_path(path: &str) -> &str {
    [".xz", ".zst", ".gz"].iter().find_map(|suffix| path.strip_suffix(suffix)).unwrap_or(path)
}

/// One word of a `search` line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A directory below the tree.
    Below(String),
    /// `built-in`: wherever no other place is named.
    BuiltIn,
    /// `external`: the directories of the `external` lines.
    External,
}

/// Which of two modules of one name is taken: depmod.d(5).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Config {
    /// Empty as long as no file names any: then `updates built-in`.
    search: Vec<Place>,
    /// Paths below the tree, without suffix, that win over everything.
    overrides: Vec<String>,
    external: Vec<PathBuf>,
    exclude: Vec<String>,
}

impl Config {
    /// Reads the lines of a depmod.d file, for the kernel release whose modules the tree holds
    /// (`cfg_file_parse()`, kmod's `tools/depmod.c`). Lines of other kinds are passed over.
    #[must_use]
    pub fn with_file(mut self, text: &str, release: &str) -> Self {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["search", places @ ..] => self.search.extend(places.iter().map(|p| place(p))),
                ["override", name, version, below] if version_matches(version, release) => {
                    self.overrides.insert(0, format!("{below}/{name}"));
                }
                ["external", version, dirs @ ..] if version_matches(version, release) => {
                    self.external.extend(dirs.iter().map(PathBuf::from));
                }
                ["exclude", dirs @ ..] => self.exclude.extend(dirs.iter().map(|&d| d.to_owned())),
                _ => {}
            }
        }
        self
    }

    /// Whether a module already found stays, rather than another of its name
    /// (`depmod_module_is_higher_priority()`).
    fn keeps(&self, old: &ModuleFile, new: &ModuleFile) -> bool {
        for over in &self.overrides {
            if stem(&new.path) == over {
                return false;
            }
            if stem(&old.path) == over {
                return true;
            }
        }
        self.rank(new) <= self.rank(old)
    }

    /// How good a place the file lies in: the earlier `search` names it, the higher.
    fn rank(&self, file: &ModuleFile) -> usize {
        let below = |place: &Place| match place {
            Place::Below(dir) => {
                file.path.strip_prefix(dir.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            Place::External => self.external.iter().any(|dir| file.full.starts_with(dir)),
            Place::BuiltIn => false,
        };
        let default = [Place::Below("updates".into()), Place::BuiltIn];
        let search = if self.search.is_empty() { &default[..] } else { &self.search };
        let built_in = || search.iter().position(|place| *place == Place::BuiltIn);
        let at = search.iter().position(below).or_else(built_in);
        search.len() - at.unwrap_or(search.len())
    }
}

fn place(word: &str) -> Place {
    match word {
        "built-in" => Place::BuiltIn,
        "external" => Place::External,
        below => Place::Below(below.to_owned()),
    }
}

/// A `*` alone stands for every kernel; depmod takes a regular expression otherwise, of which
/// only the plain release is understood here.
fn version_matches(version: &str, release: &str) -> bool {
    version == "*" || version == release
}

/// A path without `.ko` and what follows it.
fn stem(path: &str) -> &str {
    unpacked_path(path).strip_suffix(".ko").unwrap_or(path)
}

/// The modules below a directory and the `external` ones, one for each name, sorted by path; or,
/// with a `modules.order` in the directory, by that and then by path, as depmod sorts them.
///
/// # Errors
/// A directory that cannot be read.
pub fn modules(dir: &Path, config: &Config) -> io::Result<Vec<ModuleFile>> {
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

fn choose(found: Vec<ModuleFile>, config: &Config) -> Vec<ModuleFile> {
    let mut at: HashMap<String, usize> = HashMap::with_capacity(found.len());
    let mut chosen: Vec<Option<ModuleFile>> = Vec::with_capacity(found.len());
    for file in found {
        let old = at.get(&file.name).copied();
        if let Some(old) = old.and_then(|old| chosen.get_mut(old)) {
            if old.as_ref().is_some_and(|old| config.keeps(old, &file)) {
                continue;
            }
            *old = None;
        }
        at.insert(file.name.clone(), chosen.len());
        chosen.push(Some(file));
    }
    chosen.into_iter().flatten().collect()
}

/// The modules below a directory, entries looked at side by side: a tree has a thousand directories.
fn walk(dir: &Path, below: &str, config: &Config, depth: usize) -> io::Result<Vec<ModuleFile>> {
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    let found = entries.par_iter().map(|entry| look_at(entry, below, config, depth));
    Ok(found.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// The modules that an entry of a directory is or has below it.
fn look_at(
    entry: &DirEntry,
    below: &str,
    config: &Config,
    depth: usize,
) -> io::Result<Vec<ModuleFile>> {
    let Ok(file_name) = entry.file_name().into_string() else { return Ok(Vec::new()) };
    let left_out = ["build", "source"].contains(&file_name.as_str());
    if left_out || config.exclude.contains(&file_name) {
        return Ok(Vec::new());
    }
    let kind = entry.file_type()?;
    let name = module_name(&file_name);
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
            Ok(vec![ModuleFile { name, path, full, stamp: Stamp::of(&metadata) }])
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

/// A file that was given by its path.
///
/// # Errors
/// A file that is not there, or whose name no module has.
pub fn one(path: &Path) -> io::Result<ModuleFile> {
    let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = module_name(file_name).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "not a .ko, .ko.xz, .ko.zst or .ko.gz")
    })?;
    let stamp = Stamp::of(&fs::metadata(path)?);
    Ok(ModuleFile { name, path: path.display().to_string(), full: path.to_owned(), stamp })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn paths(dir: &tempfile::TempDir, config: &Config) -> Vec<String> {
        let found = modules(dir.path(), config).unwrap();
        found.into_iter().map(|file| file.path).collect()
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
        assert_eq!(paths(&dir, &Config::default()), ["kernel/c.ko.zst", "updates/a_b.ko"]);
        let other = Config::default().with_file("search built-in updates\n", "1");
        assert_eq!(paths(&dir, &other), ["kernel/a-b.ko.xz", "kernel/c.ko.zst"]);
        let over = other.with_file("override a_b * updates\n", "1");
        assert_eq!(paths(&dir, &over), ["kernel/c.ko.zst", "updates/a_b.ko"]);
    }

    #[test]
    fn modules_order_comes_first() {
        let dir = tree(&["a.ko.xz", "b.ko.xz", "c.ko.xz"]);
        fs::write(dir.path().join("modules.order"), "c.ko\nb.ko\n").unwrap();
        assert_eq!(paths(&dir, &Config::default()), ["c.ko.xz", "b.ko.xz", "a.ko.xz"]);
    }

    #[test]
    fn a_link_to_a_parent_ends() {
        let dir = tree(&["a/b.ko"]);
        std::os::unix::fs::symlink("..", dir.path().join("a/up")).unwrap();
        assert_eq!(modules(dir.path(), &Config::default()).unwrap().len(), 1);
    }
}
