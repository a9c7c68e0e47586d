//! The sources of a stack: which files of a folder they are.
//!
//! Whoever wrote the folder is a stranger: nothing outside of it is read, and what is no file of
//! text or bytes is left out with a line that names it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::given::{given, is_makefile};
use crate::{
    host::{
        beneath::Folder,
        entry::{Content, EntryKind, LinkTarget, odd, within_depth, within_limit},
        file_system::has_extension,
    },
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The size that a source may have: some modules are linked with an object of 100 MB that their
/// vendor compiled.
pub(super) const SOURCE_MAX: u64 = 256 << 20;
/// Folders that hold no sources, of whatever stack.
const NO_SOURCES: [&str; 4] = [".git", ".hg", ".svn", "target"];

/// The files of a folder that belong to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The files that a person writes in a module of ours.
    Written,
    /// All but what a build makes.
    NotMade,
}

impl Wanted {
    /// Returns `true` if a file is wanted, by its path within the stack alone.
    fn wants(self, path: &Path) -> bool {
        match self {
            Self::Written => is_source(path),
            Self::NotMade => is_no_product(path),
        }
    }
}

/// The files that a stack is built from.
#[derive(Debug)]
pub struct Sources {
    /// Nothing outside of this folder is read.
    base: PathBuf,
    folder: Folder,
    wanted: Wanted,
    seen: usize,
    /// Each by its path in the stack, with the path of the file itself where links lead to it.
    files: BTreeMap<String, PathBuf>,
    /// The files that have the name of something built, in the same way.
    perhaps_made: BTreeMap<String, PathBuf>,
    /// Lines about what is left out.
    pub(super) left_out: Vec<String>,
}

impl Sources {
    /// Finds the wanted files among `sources`, which are paths below `base`.
    ///
    /// # Errors
    /// One of `sources` is absent, or there are more files than any stack has.
    pub(super) fn find(base: &Path, sources: &[&str], wanted: Wanted) -> Result<Self> {
        let what = || format!("{} cannot be read", base.shown());
        let base = base.canonicalize().or_usage(what)?;
        let folder = Folder::open(&base).or_usage(what)?;
        let (files, perhaps_made, left_out) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut found = Self { base, folder, wanted, seen: 0, files, perhaps_made, left_out };
        for source in sources.iter().map(Path::new) {
            let whole = found.base.join(source);
            let kind = if source.as_os_str().is_empty() {
                Ok(EntryKind::Folder)
            } else {
                found.folder.kind(source)
            };
            let kind = kind.or_usage(|| whole.shown().to_string())?;
            let added = found.add(source, source, kind, &mut Vec::new());
            let hint = "keep what is no source in another folder";
            added.or_usage(|| whole.shown().to_string()).map_err(|problem| problem.hint(hint))?;
        }
        found.add_given();
        Ok(found)
    }

    /// Adds what has the name of something built, and is none.
    fn add_given(&mut self) {
        let perhaps_made = std::mem::take(&mut self.perhaps_made);
        if perhaps_made.is_empty() || self.wanted == Wanted::Written {
            return;
        }
        let names: BTreeSet<String> = self.names().cloned().collect();
        let makefiles: Vec<String> = self.makefiles().map(|(_, text)| text).collect();
        let found = given(&perhaps_made, &names, &makefiles).into_iter();
        self.files.extend(found.map(|(name, file)| (name.clone(), file.clone())));
    }

    /// Its makefiles, each with its text. One that cannot be read is left out when it is copied.
    pub(super) fn makefiles(&self) -> impl Iterator<Item = (&String, String)> {
        self.names().filter(|name| is_makefile(name)).filter_map(|name| {
            let file = self.read(name).ok()?;
            Some((name, String::from_utf8_lossy(&file.bytes).into_owned()))
        })
    }

    /// The same files, each below this folder of the tree that they are copied to.
    pub(super) fn below(self, folder: &str) -> Self {
        let moved = |(name, file): (String, PathBuf)| (format!("{folder}/{name}"), file);
        Self { files: self.files.into_iter().map(moved).collect(), ..self }
    }

    /// Their paths within the stack, in order.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    /// The contents of one.
    ///
    /// # Errors
    /// It cannot be read, or is larger than [`SOURCE_MAX`].
    pub(super) fn read(&self, name: &str) -> io::Result<Content> {
        let file = self.files.get(name).map_or(Path::new(name), PathBuf::as_path);
        self.folder.read(file, SOURCE_MAX)
    }

    /// The paths that lead to them.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.keys().map(|name| self.base.join(name))
    }

    /// Adds what is called `path` in the stack and is `real` beneath the base. `within` are the
    /// folders that led here: a link to one of them or above would lead round in a circle.
    fn add(
        &mut self,
        path: &Path,
        real: &Path,
        kind: EntryKind,
        within: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let hidden = |name| NO_SOURCES.iter().any(|no| name == *no);
        match kind {
            EntryKind::Folder if path.file_name().is_some_and(hidden) => {}
            _ if odd(path) => self.leave_out(path, "its name is no plain text"),
            EntryKind::Folder => return self.add_all(path, real, within),
            EntryKind::Link => match self.folder.target(&self.base, real) {
                LinkTarget::Within(to) if within.iter().any(|folder| folder.starts_with(&to)) => {}
                LinkTarget::Within(to) => {
                    let kind = self.folder.kind(&to)?;
                    return self.add(path, &to, kind, within);
                }
                _ if !self.wanted.wants(path) => {}
                LinkTarget::Outside => self.leave_out(
                    path,
                    "a link that leads out of the stack; copy there what it leads to",
                ),
                LinkTarget::Nowhere => self.leave_out(path, "a link that leads nowhere"),
            },
            EntryKind::File => {
                // The name is text, as it is not odd.
                let name = path.to_string_lossy().into_owned();
                let wanted = self.wanted.wants(path);
                let files = if wanted { &mut self.files } else { &mut self.perhaps_made };
                files.insert(name, real.into());
            }
            _ if !self.wanted.wants(path) => {}
            kind @ EntryKind::Other(_) => self.leave_out(path, &kind.to_string()),
        }
        Ok(())
    }

    fn add_all(&mut self, path: &Path, real: &Path, within: &mut Vec<PathBuf>) -> io::Result<()> {
        within_depth(path)?;
        let entries = match self.folder.list(real) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.leave_out(path, "its owner lets nobody read it");
                return Ok(());
            }
            entries => entries?,
        };
        within.push(real.into());
        for (name, kind) in entries {
            self.seen += 1;
            within_limit(self.seen)?;
            self.add(&path.join(&name), &real.join(&name), kind, within)?;
        }
        within.pop();
        Ok(())
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        self.left_out.push(format!("left out: {}: {why}", path.shown()));
    }
}

/// `true` unless Kbuild made a file. It is asked of folders of any kind, by the names alone.
fn is_no_product(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = [".o", ".a", ".ko", ".mod", ".mod.c", ".o.d", ".cmd", ".symtypes", ".rmeta"];
    let whole = ["modules.order", "Module.symvers", "modules.nsdeps"];
    !ends.iter().any(|end| name.ends_with(end)) && !whole.contains(&&*name)
}

/// `true` if a person wrote the file: a build in place leaves others beside it.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let made = ["_generated.rs", "_generated.c", ".mod.c"].iter().any(|end| name.ends_with(end));
    let written = [".rs", ".c", ".h", ".mk", ".conf", ".sh"].iter().any(|end| name.ends_with(end));
    (written && !made && !name.starts_with('.'))
        || ["Kbuild", "Makefile", "rustfmt.toml"].contains(&&*name)
}

/// `true` for what a compiler reads, and no build runs.
pub(super) fn is_code(name: &str) -> bool {
    ["c", "h", "rs", "S"].iter().any(|end| has_extension(Path::new(name), end))
}

/// `true` for a text of which a build is made.
pub(super) fn is_text(name: &str) -> bool {
    is_code(name) || is_makefile(name)
}

/// Says what is left out, in as many lines as a reader takes in.
pub(super) fn say_left_out(lines: &[String]) {
    const LINES_MAX: usize = 10;
    lines.iter().take(LINES_MAX).for_each(|line| crate::host::progress::say(line));
    if let Some(more) = lines.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
        crate::host::progress::say(&format!("left out: {more} more"));
    }
}

/// A problem about the sources.
pub(super) fn unreadable(file: &str, error: &io::Error) -> Problem {
    Problem::usage(format!("{file} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn products_of_a_build_are_no_sources() {
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

    fn found(base: &Path) -> (Vec<String>, Vec<String>) {
        let sources = Sources::find(base, &[""], Wanted::NotMade).unwrap();
        (sources.names().cloned().collect(), sources.left_out)
    }

    #[test]
    fn a_link_within_is_followed_and_any_other_is_named() {
        let base = tempfile::tempdir().unwrap();
        let stack = base.path().join("stack");
        fs::create_dir_all(stack.join("d/e")).unwrap();
        fs::create_dir(base.path().join("secret")).unwrap();
        for file in ["stack/a.c", "stack/d/e/x.c", "secret/key"] {
            fs::write(base.path().join(file), "").unwrap();
        }
        for (to, link) in [
            ("a.c", "b.c"),
            ("../..", "d/e/up"),
            ("d/e", "f"),
            ("gone", ".#a.c"),
            ("loop", "loop"),
            ("../secret", "out"),
            ("../secret/key", "key"),
            ("../secret/key", "key.ko"),
        ] {
            symlink(to, stack.join(link)).unwrap();
        }
        symlink(stack.join("a.c"), stack.join("whole.c")).unwrap();
        let (names, left_out) = found(&stack);
        assert_eq!(names, ["a.c", "b.c", "d/e/x.c", "f/x.c", "whole.c"]);
        let of = |name: &str, why: &str| {
            let line = format!("left out: {name}: {why}");
            assert!(left_out.iter().any(|left| left.starts_with(&line)), "{line}: {left_out:?}");
        };
        of(".#a.c", "a link that leads nowhere");
        of("loop", "a link that leads nowhere");
        of("out", "a link that leads out of the stack");
        of("key", "a link that leads out of the stack");
        assert_eq!(left_out.len(), 4);
    }

    #[test]
    fn sockets_and_binary_files_are_named() {
        use std::os::unix::{ffi::OsStrExt, net::UnixListener};
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        let _socket = UnixListener::bind(base.join("socket")).unwrap();
        fs::create_dir(base.join("a\n")).unwrap();
        fs::write(base.join("a\n/b"), "").unwrap();
        fs::write(base.join(std::ffi::OsStr::from_bytes(b"\xff.c")), "").unwrap();
        let (names, left_out) = found(base);
        assert_eq!(names, [""; 0]);
        assert_eq!(
            left_out,
            [
                "left out: a\\n: its name is no plain text",
                "left out: socket: a socket",
                "left out: \\xff.c: its name is no plain text",
            ]
        );
    }

    #[test]
    fn more_files_than_a_stack_has_are_refused() {
        let base = tempfile::tempdir().unwrap();
        // Each has the links to all others: the paths without a circle are without number.
        for folder in 0..12 {
            let folder = base.path().join(format!("{folder}"));
            fs::create_dir(&folder).unwrap();
            (0..12)
                .for_each(|to| symlink(format!("../{to}"), folder.join(format!("{to}"))).unwrap());
        }
        let problem = Sources::find(base.path(), &[""], Wanted::NotMade).unwrap_err();
        assert!(problem.fact.ends_with("more than 100000 files and folders"), "{problem}");
    }
}
