//! The files beside a stack that its build may read: those of the repository that the stack lies
//! in, or of a folder that the user names.
//!
//! `-I$(src)/../include` is a usual line in a makefile. The build sees its tree in the place of
//! the stack, in a view of the folder around it that nobody may write.

use std::os::unix::fs::MetadataExt as _;
use std::{
    collections::BTreeSet,
    env,
    path::{Component, Path, PathBuf},
};

use super::sources::{Sources, is_text};
use crate::{
    host::{beneath::Folder, entry::EntryKind, sandbox::Sandbox},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The folder of a repository that holds its history, and perhaps a word with which it is reached.
const HISTORY: &str = ".git";
/// The number of files beside a stack that are looked at for changes.
const BESIDE_MAX: usize = 1000;

/// A folder around a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// The folder, without links in its path.
    top: PathBuf,
    /// The path of the stack below it.
    stack: PathBuf,
}

impl Surroundings {
    /// The repository that a folder lies in. Nothing is shown of one of another user's, nor of one
    /// that has the user's whole home in it.
    pub(super) fn repository(stack: &Path) -> Option<Self> {
        let home = env::var_os("HOME").and_then(|home| Path::new(&home).canonicalize().ok());
        Self::repository_of(stack, home.as_deref())
    }

    fn repository_of(stack: &Path, home: Option<&Path>) -> Option<Self> {
        let is_top = |folder: &&Path| folder.join(HISTORY).symlink_metadata().is_ok();
        let top = stack.ancestors().find(is_top)?;
        let owner = |path: &Path| path.metadata().map(|folder| folder.uid()).ok();
        let history = top.join(HISTORY).symlink_metadata().ok()?.uid();
        if home.is_some_and(|home| home.starts_with(top)) || owner(stack) != Some(history) {
            return None;
        }
        Self::below(top, stack)
    }

    /// A folder that the user names.
    ///
    /// # Errors
    /// The stack does not lie in it, or it is the whole machine.
    pub(super) fn named(top: &Path, stack: &Path) -> Result<Option<Self>> {
        let top = top.canonicalize().or_usage(|| format!("{}", top.shown()))?;
        if top.parent().is_none() {
            return Err(Problem::usage("--root / is the whole machine")
                .hint("name the folder that holds the stack and what it uses"));
        }
        if !stack.starts_with(&top) {
            let fact = format!("{} does not lie in {}", stack.shown(), top.shown());
            return Err(Problem::usage(fact).hint("name a folder above the stack: --root DIR"));
        }
        Ok(Self::below(&top, stack))
    }

    /// None where nothing lies beside the stack.
    fn below(top: &Path, stack: &Path) -> Option<Self> {
        let below = stack.strip_prefix(top).ok()?;
        let around = Self { top: top.into(), stack: below.into() };
        (!below.as_os_str().is_empty()).then_some(around)
    }

    /// The stack in a view of its surroundings.
    pub(super) fn stack_in(&self, view: &Path) -> PathBuf {
        view.join(&self.stack)
    }

    /// `true` if a build sees a path of the host.
    pub(super) fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.top)
    }

    /// Shows a tree in the place of the stack, within the view.
    pub(super) fn show(&self, sandbox: Sandbox, view: &Path, tree: &Path) -> Sandbox {
        let sandbox = sandbox.read_only(&self.top, view);
        let has_history = self.top.join(HISTORY).is_dir();
        let sandbox = if has_history { sandbox.empty(&view.join(HISTORY)) } else { sandbox };
        sandbox.writable(tree, self.stack_in(view))
    }

    /// The file of the host that a path in the view is.
    pub(super) fn on_host(&self, view: &Path, path: &Path) -> Option<PathBuf> {
        Some(self.top.join(path.strip_prefix(view).ok()?))
    }
}

/// Returns the paths outside of a stack that its sources name by steps upward, `../include` for
/// example, as far as they are there.
pub(super) fn named_beside(stack: &Path, sources: &Sources) -> BTreeSet<PathBuf> {
    let texts = sources.names().filter(|name| is_text(name));
    let paths = texts.filter_map(|name| {
        let file = sources.read(name).ok()?;
        let above = stack.join(name).parent()?.to_owned();
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        Some(steps_upward(&text).flat_map(|path| resolved(&above, path)).collect::<Vec<_>>())
    });
    paths.flatten().filter(|path| !path.starts_with(stack) && path.exists()).collect()
}

/// Returns the files among paths, and those that lie right in the folders among them.
pub(super) fn files(paths: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let within = |path: &PathBuf| {
        let listed = Folder::open(path).and_then(|folder| folder.list(Path::new("")));
        let Ok(entries) = listed else { return vec![path.clone()] };
        let files = entries.into_iter().filter(|(_, kind)| *kind == EntryKind::File);
        files.map(|(name, _)| path.join(name)).collect()
    };
    paths.iter().flat_map(within).take(BESIDE_MAX).collect()
}

/// Returns each `../PATH` in a text that begins where its file lies.
fn steps_upward(text: &str) -> impl Iterator<Item = &Path> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"./_-+".contains(byte);
    text.match_indices("..").filter_map(move |(at, _)| {
        let before = &text[..at];
        let begins = match before.strip_suffix('/') {
            Some(folder) => folder.ends_with([')', '}']),
            None => {
                before.ends_with("-I") || !before.bytes().next_back().is_some_and(|b| is_part(&b))
            }
        };
        let length = text.as_bytes()[at..].iter().take_while(|byte| is_part(byte)).count();
        let path = text.get(at..at + length)?;
        let is_step = path.starts_with("../") || path == ".." && before.ends_with('/');
        (begins && is_step).then_some(Path::new(path))
    })
}

/// Returns the path that steps lead to from a folder.
fn resolved(folder: &Path, steps: &Path) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in steps.components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn steps_upward_are_found_in_makefiles_and_sources() {
        for (text, paths) in [
            ("ccflags-y := -I$(src)/../include -I../b/c\n", &["../include", "../b/c"][..]),
            ("include $(src)/../../common.mk\n", &["../../common.mk"]),
            ("#include \"../a.h\"\n", &["../a.h"]),
            ("KBUILD_EXTRA_SYMBOLS := $(abspath ${M}/..)/Module.symvers", &[".."]),
            ("int printf(const char *, ...); for i in 0..10 { a[..] } // and so on..\n", &[]),
            ("obj-y := sub/../x.o", &[]),
        ] {
            let found: Vec<&Path> = steps_upward(text).collect();
            assert_eq!(found, paths.iter().map(Path::new).collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn a_repository_shows_what_lies_beside_and_a_home_does_not() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let stack = base.join("repository/drivers/one");
        fs::create_dir_all(&stack).unwrap();
        assert_eq!(Surroundings::repository(&stack), None);
        fs::create_dir(base.join("repository/.git")).unwrap();
        let found = Surroundings::repository(&stack).unwrap();
        assert_eq!(found.stack_in(Path::new("/v")), Path::new("/v/drivers/one"));
        let header = found.on_host(Path::new("/v"), Path::new("/v/a.h"));
        assert_eq!(header, Some(base.join("repository/a.h")));
        assert_eq!(Surroundings::repository(&base.join("repository")), None);
        for home in [base.join("repository"), base.join("repository/me")] {
            assert_eq!(Surroundings::repository_of(&stack, Some(&home)), None);
        }
    }

    #[test]
    fn a_folder_that_is_named_holds_the_stack() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let stack = base.join("a/b");
        fs::create_dir_all(&stack).unwrap();
        let named = |top: &Path| Surroundings::named(top, &stack);
        assert_eq!(named(&base).unwrap().unwrap().stack, Path::new("a/b"));
        assert_eq!(named(&stack).unwrap(), None);
        for (top, fact) in [("/", "the whole machine"), ("/usr", "does not lie in /usr")] {
            let problem = named(Path::new(top)).unwrap_err();
            assert!(problem.fact.contains(fact), "{problem}");
        }
        assert!(named(&base.join("gone")).is_err());
    }
}
