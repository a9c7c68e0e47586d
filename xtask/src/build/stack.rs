//! A stack: a folder of modules.

use std::{
    collections::BTreeSet,
    env, fmt,
    path::{Path, PathBuf},
};

use super::{
    dkms::CONF,
    sources::{Sources, Wanted},
    surroundings::{self, Surroundings},
    workspace::Workspace,
};
use crate::{
    host::cache::{self, Cache},
    kernel::Kernel,
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The files of the project that our own stack is built from.
pub const SOURCES: &[&str] = &["Kbuild", "Makefile", "provider", "consumer", "tally"];

/// The folder in the project in which its parts are built.
const BUILT: &str = "target/built";

/// The project's own folder.
pub fn project() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Checks that the project is still where it was when this program was built.
///
/// # Errors
/// It is not.
pub fn require_project() -> Result<()> {
    if SOURCES.iter().all(|source| project().join(source).exists()) {
        return Ok(());
    }
    let place = project().shown();
    let fact =
        format!("this verb is about symstack's own sources, which are not in {place} any more");
    Err(Problem::usage(fact).hint("run it in a checkout of symstack: cargo xtask VERB"))
}

/// The part of a stack that is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MakeTarget {
    /// All modules in one run of modpost.
    Modules,
    /// Each module alone, against the provider's Module.symvers.
    Split,
    /// All modules, and those of `tests/modules`.
    Tests,
}

impl MakeTarget {
    /// The target of the project's Makefile.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Split => "split",
            Self::Tests => "tests",
        }
    }
}

/// A folder of modules that `make -C KDIR M=DIR modules` builds, or dkms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    folder: PathBuf,
    /// A part of the project has the name of its build folder, and its files.
    part: Option<(String, Vec<String>)>,
    /// `true` if dkms builds it.
    for_dkms: bool,
    /// The folder around it that its build may read.
    around: Option<Surroundings>,
}

impl Stack {
    /// The project's own modules.
    pub fn ours() -> Self {
        Self::for_target(MakeTarget::Modules)
    }

    /// The project's own modules, in a folder that is for this target alone: what one target leaves
    /// would be taken for up to date by another.
    pub fn for_target(target: MakeTarget) -> Self {
        Self::part_of_project(target.target(), &[SOURCES, &["tests/modules"]].concat())
    }

    /// Files and folders of the project, to be built in a folder of this name.
    pub fn part_of_project(name: &str, sources: &[&str]) -> Self {
        Self::part_of(project(), name, sources)
    }

    /// Files and folders of a copy of the project.
    pub fn part_of(base: &Path, name: &str, sources: &[&str]) -> Self {
        let sources = sources.iter().map(ToString::to_string).collect();
        Self {
            folder: base.into(),
            part: Some((name.into(), sources)),
            for_dkms: false,
            around: None,
        }
    }

    /// Any folder that has a Kbuild or a Makefile, or a dkms.conf, which then says how it is built.
    ///
    /// # Errors
    /// It has none of them.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().or_usage(|| format!("{}", folder.shown()))?;
        if folder == project() {
            return Ok(Self::ours());
        }
        if is_stack(&folder) {
            let for_dkms = folder.join(CONF).is_file();
            let around = Surroundings::repository(&folder).filter(|_| !for_dkms);
            return Ok(Self { folder, part: None, for_dkms, around });
        }
        let fact = format!(
            "{} is no stack: it has neither Kbuild nor Makefile nor {CONF}",
            folder.shown()
        );
        Err(Problem::usage(fact).hint("name a folder that `make -C KDIR M=DIR` or dkms builds"))
    }

    /// The stack that a user names, or else ours within the project, and elsewhere the one in the
    /// current folder.
    ///
    /// # Errors
    /// There is none.
    pub fn chosen(named: Option<&Path>) -> Result<Self> {
        if let Some(folder) = named {
            return Self::in_folder(folder);
        }
        let here = current_folder()?;
        if here.starts_with(project()) {
            return Ok(Self::ours());
        }
        Self::in_folder(&here).map_err(|problem| problem.hint("name a stack: --stack DIR"))
    }

    /// The same for what does without a stack as well: none in a folder elsewhere that is none.
    ///
    /// # Errors
    /// The named folder is no stack.
    pub fn chosen_or_none(named: Option<&Path>) -> Result<Option<Self>> {
        let here = current_folder()?;
        if named.is_some() || here.starts_with(project()) || is_stack(&here) {
            return Self::chosen(named).map(Some);
        }
        Ok(None)
    }

    /// The same stack, whose build may read what a folder around it holds, and not the repository.
    ///
    /// # Errors
    /// The stack does not lie in the folder, or is not built by `make` alone.
    pub fn beneath(self, root: &Path) -> Result<Self> {
        if self.is_ours() || self.for_dkms {
            let fact =
                format!("--root {}: what builds {self} reads nothing beside it", root.shown());
            return Err(Problem::usage(fact).hint("leave --root out"));
        }
        let around = Surroundings::named(root, &self.folder)?;
        Ok(Self { around, ..self })
    }

    /// `true` if dkms builds it, as its dkms.conf says.
    pub fn is_for_dkms(&self) -> bool {
        self.for_dkms
    }

    /// The same folder, built by make.
    pub(super) fn by_make(&self) -> Self {
        let around = Surroundings::repository(&self.folder);
        Self { for_dkms: false, around, ..self.clone() }
    }

    /// `true` if it is built by the project's Makefile.
    pub fn is_ours(&self) -> bool {
        self.part.is_some()
    }

    /// A file of the stack that the user keeps.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Where it is built for a kernel, by what: in the project's `target/`, or else in the cache.
    /// No text of a user's or of a kernel's own tree is in its path, which make must take.
    ///
    /// # Errors
    /// There is no cache.
    pub(super) fn workspace(&self, kernel: &Kernel, by: &str) -> Result<Workspace> {
        let slug = kernel.slug();
        if let Some((name, _)) = &self.part {
            let all = project().join(BUILT);
            return Ok(Workspace::at(all.join(format!("{name}{by}-{slug}"))));
        }
        let key = cache::key([self.folder.to_string_lossy().as_ref()]);
        let folder = Cache::open()?.room("stacks")?.join(key).join(format!("{slug}{by}"));
        Ok(Workspace::at(folder).around(self.around.clone()))
    }

    /// Its sources.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn sources(&self) -> Result<Sources> {
        let (sources, wanted) = self.content();
        Sources::find(&self.folder, &sources, wanted)
    }

    /// `true` if its build may read what lies beside it.
    pub(super) fn sees_more(&self) -> bool {
        self.around.is_some()
    }

    /// The files beside it that its sources name by steps upward, and those right in the folders
    /// that they name so.
    ///
    /// # Errors
    /// Its sources cannot be read.
    pub(super) fn files_beside(&self) -> Result<Vec<PathBuf>> {
        Ok(surroundings::files(&surroundings::named_beside(&self.folder, &self.sources()?)))
    }

    /// A sentence about a path beside it that its sources name and its build does not see, if
    /// there is one.
    pub fn unseen(&self) -> Option<String> {
        let named = surroundings::named_beside(&self.folder, &self.sources().ok()?);
        let is_seen = |path: &Path| self.around.as_ref().is_some_and(|around| around.holds(path));
        let path = named.into_iter().find(|path| self.part.is_none() && !is_seen(path))?;
        let both = self.folder.ancestors().find(|above| path.starts_with(above))?;
        let (path, both) = (path.shown(), both.shown());
        Some(format!("a build sees nothing of {path}, which its sources name: --root {both}"))
    }

    /// One of its sources that is Rust, by its path within the stack, where the kernel has none.
    pub fn rust_without_support(&self, kernel: &Kernel) -> Option<String> {
        if kernel.config().is_ok_and(|config| config.has("RUST")) {
            return None;
        }
        let sources = self.sources().ok()?;
        let rust = sources.names().find(|name| name.ends_with(".rs"))?;
        Some(rust.clone())
    }

    /// The options on which its makefiles build modules, of those that the kernel does not set:
    /// `obj-$(CONFIG_X) += x.o` builds nothing without CONFIG_X, nor do lines below
    /// `ifdef CONFIG_X` or `ifeq ($(CONFIG_X),y)`.
    pub(super) fn options_not_set(&self, kernel: &Kernel) -> BTreeSet<String> {
        let (Ok(config), Ok(sources)) = (kernel.config(), self.sources()) else {
            return BTreeSet::new();
        };
        let is_condition = |line: &&str| {
            let line = line.trim_start();
            ["obj-$(", "ifdef ", "ifeq ", "ifneq "].iter().any(|start| line.starts_with(start))
        };
        let mut not_set = BTreeSet::new();
        for (_, text) in sources.makefiles() {
            for line in text.lines().filter(is_condition) {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let words = line.split(|c| !is_name(c));
                let options = words.filter_map(|word| word.strip_prefix("CONFIG_"));
                let options = options.filter(|option| config.get(option).is_none());
                not_set.extend(options.map(|option| format!("CONFIG_{option}")));
            }
        }
        not_set
    }

    /// The first makefile in a folder below it that names modules, and the folder.
    pub(super) fn deeper(&self) -> Option<(String, PathBuf)> {
        let sources = self.sources().ok()?;
        let names_modules = |text: &str| text.lines().any(|line| line.starts_with("obj-m"));
        let mut makefiles = sources.makefiles().filter(|(name, _)| name.contains('/'));
        let (name, _) = makefiles.find(|(_, text)| names_modules(text))?;
        Some((name.clone(), self.path(name).parent()?.to_owned()))
    }

    /// The files that belong to it, and which of them are sources.
    fn content(&self) -> (Vec<&str>, Wanted) {
        match &self.part {
            Some((_, sources)) => (sources.iter().map(String::as_str).collect(), Wanted::Written),
            None => (vec![""], Wanted::NotMade),
        }
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.folder.shown())
    }
}

fn current_folder() -> Result<PathBuf> {
    env::current_dir().or_usage(|| "the current folder is gone".into())
}

fn is_stack(folder: &Path) -> bool {
    ["Kbuild", "Makefile", CONF].iter().any(|name| folder.join(name).is_file())
}
