//! Where a stack is built: a tree that the sandboxed build sees and may write, and beside it, out
//! of its reach, what we remember of it and the products that we took out of it.
//!
//! After a build everything in the tree is a stranger's. Only regular files of known names and
//! sizes are taken out, and all later reading is of those.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    sources::{Sources, is_code, say_left_out, unreadable},
    surroundings::Surroundings,
};
use crate::{
    host::{
        beneath::{Folder, remove_folder},
        cache::Lock,
        entry::{EntryKind, odd},
        file_system::has_extension,
        sandbox::Sandbox,
    },
    kernel::Toolchain,
    printer::Shown as _,
    problem::{self, OrProblem, Problem, Result},
};

/// The size that all sources or all products may have: a hundred times what any stack has.
const TOTAL_MAX: u64 = 1 << 30;
/// The size that a module may have, with all that a debugger wants to know of it.
const MODULE_MAX: u64 = 320 << 20;
/// The size that a list of symbols or types may have. That of a whole kernel has 2 MiB.
const TEXT_MAX: u64 = 64 << 20;

/// The folder that the build sees.
const TREE: &str = "tree";
/// The place at which the build sees what lies around the stack.
const VIEW: &str = "around";
/// The folder of what was taken out of it.
const PRODUCTS: &str = "products";
/// The file of what is known of both.
const MEMORY: &str = "memory.json";

/// A folder for one stack and one kernel.
#[derive(Clone, Debug)]
pub struct Workspace {
    folder: PathBuf,
    around: Option<Surroundings>,
}

/// The facts about a workspace that the next run needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// The sources in the tree.
    copied: BTreeSet<String>,
    /// The command that built them.
    built: Option<String>,
    /// The products, each with what shows that nobody changed it.
    products: BTreeMap<String, String>,
    /// The word that another verb left for its next run.
    note: Option<String>,
}

impl Workspace {
    /// The workspace in a folder.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, around: None }
    }

    /// Shows a build what lies around the stack.
    pub(super) fn around(self, around: Option<Surroundings>) -> Self {
        Self { around, ..self }
    }

    /// The folder in which the build runs. What is in it must be read by nobody but the build.
    pub fn tree(&self) -> PathBuf {
        self.folder.join(TREE)
    }

    /// The same folder, as the build sees it.
    pub(super) fn seen(&self) -> PathBuf {
        self.around.as_ref().map_or_else(|| self.tree(), |around| around.stack_in(&self.view()))
    }

    /// The folder around the stack, as the build sees it. On the host it is not there.
    fn view(&self) -> PathBuf {
        self.folder.join(VIEW)
    }

    /// The tools of a kernel, where they see the tree and may write in it.
    pub(super) fn sandbox(&self, toolchain: &Toolchain) -> Sandbox {
        let (sandbox, tree) = (toolchain.0.clone(), self.tree());
        let sandbox = match &self.around {
            Some(around) => around.show(sandbox, &self.view(), &tree),
            None => sandbox.bind(&tree),
        };
        sandbox.chdir(self.seen())
    }

    /// The file of the host, beside the stack, that a path is in the build.
    pub(super) fn beside(&self, path: &Path) -> Option<PathBuf> {
        self.around.as_ref().and_then(|around| around.on_host(&self.view(), path))
    }

    /// The folder of the products: of modules and lists, regular files all.
    pub fn products(&self) -> PathBuf {
        self.folder.join(PRODUCTS)
    }

    /// Keeps others out: two runs of `make` would spoil each other's files.
    pub(super) fn lock(&self) -> Result<Lock> {
        Lock::beside(&self.folder)
    }

    /// Copies sources that changed, removes the copies of those that are gone, and returns lines
    /// about what is left out.
    ///
    /// # Errors
    /// There are too many sources, or the tree cannot be written.
    pub fn refresh(&self, sources: &Sources) -> Result<Vec<String>> {
        match self.copy(sources) {
            // A build may have taken the permission from a folder of its own.
            Err(problem) if problem.kind == problem::Kind::Host => {
                self.empty()?;
                self.copy(sources)
            }
            outcome => outcome,
        }
    }

    fn copy(&self, sources: &Sources) -> Result<Vec<String>> {
        let tree = self.open(TREE)?;
        let before = self.memory();
        let mut left_out = sources.left_out.clone();
        let (mut found, mut differ, mut total) = (BTreeSet::new(), Vec::new(), 0);
        for name in sources.names() {
            let content = match sources.read(name) {
                Ok(content) => content,
                Err(error) => {
                    left_out.push(format!("left out: {name}: {error}"));
                    continue;
                }
            };
            total += content.bytes.len() as u64;
            if total > TOTAL_MAX {
                let fact = format!("the sources take more than {} MiB", TOTAL_MAX >> 20);
                let problem = Problem::usage(fact);
                return Err(problem.hint("keep what is no source in another folder"));
            }
            found.insert(name.clone());
            if !tree.holds(Path::new(name), &content) {
                differ.push(name);
            }
        }
        let gone: Vec<&String> = before.copied.difference(&found).collect();
        let is_known = !before.copied.is_empty();
        let scripts = gone.iter().chain(&differ).any(|name| !is_code(name));
        if scripts && is_known
            || !is_known && !tree.list(Path::new("")).is_ok_and(|it| it.is_empty())
        {
            // Whatever ran there may have left what `make` takes for today's work.
            self.empty()?;
            return self.copy(sources);
        }
        let mut memory = before.clone();
        if !gone.is_empty() || !differ.is_empty() {
            memory.built = None;
            memory.copied.extend(found.iter().cloned());
            // Before the first of them is written: we may be ended at any time.
            self.remember(&memory)?;
        }
        for gone in gone {
            // A file that is gone already is as good, and so is one that is none any more.
            let _ = tree.remove(Path::new(gone));
        }
        for name in differ {
            let content = sources.read(name).map_err(|error| unreadable(name, &error))?;
            let mode = if content.executable { 0o777 } else { 0o666 };
            let written = tree.write(Path::new(name), &content.bytes, mode, None);
            written.map_err(|error| self.unwritten(name, &error))?;
        }
        if memory.copied != found {
            memory.copied = found;
            self.remember(&memory)?;
        }
        Ok(left_out)
    }

    /// Writes a file of ours into the tree, unless it is there.
    pub(super) fn put(&self, name: &Path, text: &str, mode: u32) -> Result<()> {
        let tree = self.open(TREE)?;
        let bytes = text.as_bytes();
        let there = tree.read(name, bytes.len() as u64).is_ok_and(|old| old.bytes == bytes);
        let written = if there { Ok(()) } else { tree.write(name, bytes, mode, None) };
        written.map_err(|error| self.unwritten(name.shown(), &error))
    }

    /// Takes the products out of the tree, in the place of those that were taken out before.
    ///
    /// # Errors
    /// The build left more than any build does, or a product cannot be written.
    pub fn export(&self) -> Result<()> {
        let (tree, products) = (self.open(TREE)?, self.open(PRODUCTS)?);
        let left = |error: &io::Error| {
            let fact = format!("{}: the build left {error}", self.tree().shown());
            Problem::does_not_hold(fact).hint(format!("remove them: rm -r {}", self.place()))
        };
        let (mut stamps, mut left_out, mut total) = (BTreeMap::new(), Vec::new(), 0);
        for (path, kind) in tree.walk().map_err(|error| left(&error))? {
            let Some(max) = product_max(&path) else { continue };
            let taken = match kind {
                _ if odd(&path) => Err("its name is no plain text".into()),
                EntryKind::File => tree.read(&path, max).map_err(|error| error.to_string()),
                kind => Err(format!("the build left it as {kind}")),
            };
            let content = match taken {
                Ok(content) => content,
                Err(why) => {
                    left_out.push(format!("left out: {}: {why}", path.shown()));
                    continue;
                }
            };
            total += content.bytes.len() as u64;
            if total > TOTAL_MAX {
                let fact = format!("products of more than {} MiB", TOTAL_MAX >> 20);
                return Err(left(&io::Error::other(fact)));
            }
            let written = products.write(&path, &content.bytes, 0o644, Some(content.modified));
            let stamp = written.and_then(|()| products.stamp(&path));
            let stamp = stamp.map_err(|error| self.unwritten(path.shown(), &error))?;
            stamps.insert(path.to_string_lossy().into_owned(), stamp);
        }
        for (path, _) in products.walk().map_err(|error| left(&error))? {
            if !path.to_str().is_some_and(|path| stamps.contains_key(path)) {
                let removed = products.remove(&path);
                removed.map_err(|error| self.unwritten(path.shown(), &error))?;
            }
        }
        say_left_out(&left_out);
        self.remember(&Memory { products: stamps, ..self.memory() })
    }

    /// `true` if this command built what is in the tree now, and the products are as they were.
    pub(super) fn is_built(&self, command: &str) -> bool {
        let memory = self.memory();
        let same = |products: Folder| {
            let mut all = memory.products.iter();
            all.all(|(path, old)| products.stamp(Path::new(path)).is_ok_and(|now| now == *old))
        };
        memory.built.as_deref() == Some(command) && Folder::open(&self.products()).is_ok_and(same)
    }

    /// Remembers the command that built what is in the tree.
    pub(super) fn set_built(&self, command: String) -> Result<()> {
        self.remember(&Memory { built: Some(command), ..self.memory() })
    }

    /// The word that was left with [`Workspace::set_note`], until the workspace is emptied.
    pub(super) fn note(&self) -> Option<String> {
        self.memory().note
    }

    /// Leaves a word for the next run.
    pub(super) fn set_note(&self, note: String) -> Result<()> {
        self.remember(&Memory { note: Some(note), ..self.memory() })
    }

    /// The modules that its modules.order names, which are products.
    ///
    /// # Errors
    /// It names what is none.
    pub fn modules(&self) -> Result<Vec<PathBuf>> {
        let Ok(products) = Folder::open(&self.products()) else { return Ok(Vec::new()) };
        let order = products.read(Path::new("modules.order"), TEXT_MAX);
        let order = order.map_or_else(|_| String::new(), |file| text(&file.bytes));
        let (tree, mut modules) = (self.seen(), Vec::new());
        for line in order.lines() {
            // Each line is NAME.o, or NAME.ko before 6.3; the path is whole before 6.13.
            let near = Path::new(line).strip_prefix(&tree).unwrap_or(Path::new(line));
            let near = near.with_extension("ko");
            if products.stamp(&near).is_err() {
                let fact =
                    format!("modules.order names {line:?}, of which the build left no module");
                return Err(Problem::does_not_hold(fact)
                    .hint("a module is a regular file in the folder that is built"));
            }
            modules.push(self.products().join(near));
        }
        Ok(modules)
    }

    /// The texts in a folder of the tree whose names end so, at most `max` bytes each.
    pub(super) fn texts_in_tree(&self, folder: &str, end: &str, max: u64) -> Result<Vec<String>> {
        let what = || format!("{} cannot be read", self.tree().join(folder).shown());
        let tree = self.open(TREE)?;
        let mut texts = Vec::new();
        for (name, kind) in tree.list(Path::new(folder)).or_host(what)? {
            if kind == EntryKind::File && name.to_string_lossy().ends_with(end) {
                let content = tree.read(&Path::new(folder).join(name), max).or_host(what)?;
                texts.push(text(&content.bytes));
            }
        }
        Ok(texts)
    }

    /// `true` if a path leads to a regular file of the tree.
    pub(super) fn is_in_tree(&self, path: &Path) -> bool {
        let within = path.strip_prefix(self.seen());
        let tree = Folder::open(&self.tree());
        within.is_ok_and(|path| {
            tree.is_ok_and(|tree| tree.kind(path).is_ok_and(|kind| kind == EntryKind::File))
        })
    }

    /// Removes the tree, the products, and what is known of them.
    pub(super) fn empty(&self) -> Result<()> {
        let removed = remove_folder(&self.folder);
        removed.or_host(|| format!("{} cannot be removed", self.folder.shown()))
    }

    fn open(&self, name: &str) -> Result<Folder> {
        let path = self.folder.join(name);
        Folder::make(&path).or_host(|| format!("{} cannot be made", path.shown()))
    }

    /// Nothing is known of a workspace without a memory, or with one that is damaged.
    fn memory(&self) -> Memory {
        let folder = Folder::open(&self.folder);
        let content = folder.and_then(|folder| folder.read(Path::new(MEMORY), TEXT_MAX));
        let known = content.ok().and_then(|file| serde_json::from_slice(&file.bytes).ok());
        known.unwrap_or_default()
    }

    fn remember(&self, memory: &Memory) -> Result<()> {
        let what = || format!("{} cannot be written", self.folder.join(MEMORY).shown());
        let text = serde_json::to_vec(memory).map_err(io::Error::other).or_host(what)?;
        let folder = Folder::make(&self.folder).or_host(what)?;
        folder.write(Path::new(MEMORY), &text, 0o644, None).or_host(what)
    }

    fn unwritten(&self, name: impl std::fmt::Display, error: &io::Error) -> Problem {
        Problem::host(format!("{name} cannot be written to {}: {error}", self.place()))
    }

    fn place(&self) -> String {
        shell_words::quote(&self.folder.to_string_lossy()).into_owned()
    }
}

/// Returns the size that a file may have that is taken out of a tree; nothing for one that is none
/// of those.
fn product_max(path: &Path) -> Option<u64> {
    let lists = ["modules.order", "Module.symvers"];
    if has_extension(path, "ko") {
        return Some(MODULE_MAX);
    }
    let is_list = path.file_name().is_some_and(|name| lists.iter().any(|list| name == *list));
    (is_list || has_extension(path, "symtypes")).then_some(TEXT_MAX)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;
    use crate::build::sources::Wanted;

    /// Sources, a workspace for them, and a folder that is neither's.
    struct Place {
        base: tempfile::TempDir,
        workspace: Workspace,
    }

    impl Place {
        fn new() -> Self {
            let base = tempfile::tempdir().unwrap();
            for file in ["from/d/a.rs", "from/Kbuild", "outside/key"] {
                let path = base.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "1").unwrap();
            }
            let workspace = Workspace::at(base.path().join("workspace"));
            Self { base, workspace }
        }

        fn from(&self, name: &str) -> PathBuf {
            self.base.path().join("from").join(name)
        }

        fn tree(&self, name: &str) -> PathBuf {
            self.workspace.tree().join(name)
        }

        fn refresh(&self) -> Vec<String> {
            let sources = Sources::find(&self.from(""), &[""], Wanted::NotMade).unwrap();
            self.workspace.refresh(&sources).unwrap()
        }
    }

    #[test]
    fn a_tree_follows_its_sources() {
        let place = Place::new();
        fs::write(place.from("d/b.rs"), "1").unwrap();
        fs::write(place.from("run"), "1").unwrap();
        place.refresh();
        place.workspace.set_built("make".into()).unwrap();
        fs::write(place.tree("d/a.o"), "built").unwrap();
        let written = || place.tree("d/a.rs").metadata().unwrap().modified().unwrap();
        let before = written();
        place.refresh();
        assert_eq!(before, written(), "what did not change is not written again");
        assert_eq!(place.workspace.memory().built.as_deref(), Some("make"));

        fs::remove_file(place.from("d/b.rs")).unwrap();
        place.refresh();
        assert!(!place.tree("d/b.rs").exists() && place.tree("d/a.o").exists());
        assert_eq!(place.workspace.memory().built, None);
    }

    #[test]
    fn a_tree_that_another_script_built_is_made_anew() {
        let changes: [fn(&Place); 4] = [
            |place| fs::write(place.from("Kbuild"), "2").unwrap(),
            |place| {
                fs::set_permissions(place.from("run"), PermissionsExt::from_mode(0o755)).unwrap();
            },
            |place| fs::remove_file(place.from("run")).unwrap(),
            |place| fs::remove_file(place.workspace.folder.join(MEMORY)).unwrap(),
        ];
        for change in changes {
            let place = Place::new();
            fs::write(place.from("run"), "1").unwrap();
            place.refresh();
            place.workspace.set_built("make".into()).unwrap();
            fs::write(place.tree("d/a.o"), "built").unwrap();
            place.refresh();
            assert!(place.tree("d/a.o").exists());
            change(&place);
            place.refresh();
            assert!(place.tree("d/a.rs").exists() && !place.tree("d/a.o").exists());
            let mode =
                |path: PathBuf| path.metadata().map(|file| file.permissions().mode() & 0o100);
            assert_eq!(mode(place.tree("run")).ok(), mode(place.from("run")).ok());
            assert_eq!(place.workspace.memory().built, None);
        }
    }

    #[test]
    fn only_what_a_person_wrote_is_a_source_of_ours() {
        let place = Place::new();
        for made in ["d/a.o", "d/x_generated.rs", "README"] {
            fs::write(place.from(made), "").unwrap();
        }
        let sources = Sources::find(&place.from(""), &["d"], Wanted::Written).unwrap();
        assert_eq!(Vec::from_iter(sources.names()), ["d/a.rs"]);
    }

    #[test]
    fn nothing_outside_is_written_or_removed_whatever_a_build_left() {
        let place = Place::new();
        fs::write(place.from("d/gone.rs"), "1").unwrap();
        place.refresh();
        let outside = place.base.path().join("outside");
        fs::write(outside.join("a.rs"), "kept").unwrap();
        fs::write(outside.join("gone.rs"), "kept").unwrap();
        fs::remove_file(place.from("d/gone.rs")).unwrap();
        fs::remove_dir_all(place.tree("d")).unwrap();
        symlink(&outside, place.tree("d")).unwrap();
        fs::remove_file(place.tree("Kbuild")).unwrap();
        symlink(outside.join("key"), place.tree("Kbuild")).unwrap();
        fs::write(place.tree(".copied"), format!("{}/key\n", outside.display())).unwrap();
        place.refresh();
        assert_eq!(fs::read_to_string(place.tree("d/a.rs")).unwrap(), "1");
        assert_eq!(fs::read_to_string(place.tree("Kbuild")).unwrap(), "1");
        for (file, text) in [("a.rs", "kept"), ("gone.rs", "kept"), ("key", "1")] {
            assert_eq!(fs::read_to_string(outside.join(file)).unwrap(), text);
        }
        // The whole tree as a link.
        fs::remove_dir_all(place.workspace.tree()).unwrap();
        symlink(&outside, place.workspace.tree()).unwrap();
        place.refresh();
        assert!(!outside.join("Kbuild").exists() && place.tree("Kbuild").exists());
    }

    #[test]
    fn only_regular_modules_and_lists_are_taken_out() {
        let place = Place::new();
        place.refresh();
        let key = place.base.path().join("outside/key");
        for (name, text) in [("a.ko", "a"), ("d/Module.symvers", "s"), ("x.o", "o")] {
            fs::write(place.tree(name), text).unwrap();
        }
        fs::set_permissions(place.tree("a.ko"), PermissionsExt::from_mode(0o4755)).unwrap();
        symlink(&key, place.tree("link.ko")).unwrap();
        fs::create_dir(place.tree("folder.ko")).unwrap();
        fs::write(place.tree("folder.ko/b.ko"), "b").unwrap();
        fs::File::create(place.tree("huge.ko")).unwrap().set_len(1 << 40).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place.tree("modules.order"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        place.workspace.export().unwrap();
        let products = || {
            let products = Folder::open(&place.workspace.products()).unwrap().walk().unwrap();
            let name = |(path, _): (PathBuf, EntryKind)| path.to_string_lossy().into_owned();
            products.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(products(), ["a.ko", "d/Module.symvers", "folder.ko/b.ko"]);
        let file = place.workspace.products().join("a.ko").metadata().unwrap();
        assert_eq!(file.permissions().mode() & 0o7777, 0o644);
        assert_eq!(
            file.modified().unwrap(),
            place.tree("a.ko").metadata().unwrap().modified().unwrap()
        );

        fs::remove_file(place.tree("a.ko")).unwrap();
        place.workspace.export().unwrap();
        assert_eq!(products(), ["d/Module.symvers", "folder.ko/b.ko"]);
    }

    #[test]
    fn a_changed_product_is_noticed() {
        let place = Place::new();
        place.refresh();
        fs::write(place.tree("a.ko"), "a").unwrap();
        place.workspace.export().unwrap();
        place.workspace.set_built("make".into()).unwrap();
        assert!(place.workspace.is_built("make") && !place.workspace.is_built("make M=other"));
        fs::write(place.workspace.products().join("a.ko"), "b").unwrap();
        assert!(!place.workspace.is_built("make"));
    }
}
