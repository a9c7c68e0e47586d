//! Building the stack for a kernel, with its own Kbuild.
//!
//! The sources are copied into `target/` and built there, so that one checkout serves many kernels
//! and stays clean; Kbuild's messages name paths within the project all the same.

pub mod abi;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use loader::{kernel_facts::ThisModule, struct_module};
use stack::depmod_config::DepmodConfig;

use crate::{
    host::{cache, progress::say, run::Run},
    kernel::{Kernel, Toolchain, make_folder, names},
    problem::{OrProblem, Problem, Result},
    tree::{section_reader::ModuleBuffer, walk},
};

/// How long a build of some small modules may take.
const DEADLINE: Duration = Duration::from_secs(10 * 60);
/// What the stack is built from, in the project.
pub const SOURCES: &[&str] = &["Kbuild", "Makefile", "provider", "consumer", "tally"];
/// The file in a build folder that lists what was copied there.
const COPIED: &str = ".copied";
/// The file in a build folder that tells what the last whole build was of.
const BUILT: &str = ".built";

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MakeTarget {
    /// Both modules in one run of modpost.
    Modules,
    /// Each module alone, the consumer against the provider's Module.symvers.
    Split,
    /// Both modules, and those of `tests/modules`.
    Tests,
}

impl MakeTarget {
    /// The target of the project's Makefile.
    fn target(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Split => "split",
            Self::Tests => "tests",
        }
    }
}

/// The project's own folder.
pub fn project() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// A folder below `target/` in which the stack is built for one kernel.
#[derive(Clone, Debug)]
pub struct BuildDir<'a> {
    kernel: &'a Kernel,
    /// The folder.
    pub folder: PathBuf,
}

impl<'a> BuildDir<'a> {
    /// The build folder of a target, with today's sources in it.
    ///
    /// # Errors
    /// The sources cannot be copied.
    pub fn open(kernel: &'a Kernel, target: MakeTarget) -> Result<Self> {
        let name = format!("{}-{}", target.target(), kernel.slug());
        Self::named(kernel, &name, &[SOURCES, &["tests/modules"]].concat())
    }

    /// A build folder of another name, with these files and folders of the project in it.
    ///
    /// # Errors
    /// They cannot be copied.
    pub fn named(kernel: &'a Kernel, name: &str, sources: &[&str]) -> Result<Self> {
        Self::of(kernel, project(), name, sources)
    }

    /// A build folder with files and folders below `base` in it.
    ///
    /// # Errors
    /// They cannot be copied.
    pub fn of(kernel: &'a Kernel, base: &Path, name: &str, sources: &[&str]) -> Result<Self> {
        let folder = project().join("target/build").join(name);
        make_folder(&folder)?;
        mirror(base, sources, &folder)?;
        Ok(Self { kernel, folder })
    }

    /// `make` with a target of the project's Makefile.
    pub fn make(&self, target: &str) -> Run {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let run = self.kernel.toolchain.run("make", &self.folder).arg(format!("-j{jobs}"));
        let run = run.arg(format!("KDIR={}", self.kernel.kdir.display()));
        let run = match self.kernel.config() {
            Ok(config) => {
                // The texts that the CRCs are of, for `symvers explain`.
                let texts = config.has("GENDWARFKSYMS").then_some("KBUILD_SYMTYPES=1");
                run.arg(config.compiler()).args(texts)
            }
            Err(_) => run,
        };
        run.arg(target).deadline(DEADLINE)
    }

    /// Builds on the caller's terminal, and returns what was built.
    ///
    /// # Errors
    /// It does not build.
    pub fn build(&self, target: MakeTarget) -> Result<Vec<PathBuf>> {
        let make = self.make(target.target());
        if make.status()?.success() {
            return Ok(self.stack());
        }
        Err(self.broken("what the compiler said is above", &make))
    }

    /// Builds, and shows what Kbuild said only when it fails. Where nothing has changed since the
    /// last build, Kbuild is not asked: it takes half a second to find that out.
    ///
    /// # Errors
    /// It does not build: then with all that Kbuild and the compilers said.
    pub fn build_quiet(&self, target: MakeTarget) -> Result<Vec<PathBuf>> {
        let make = self.make(target.target());
        let built = self.folder.join(BUILT);
        // A kernel of the cache never changes; a folder is its owner's.
        let fixed = matches!(self.kernel.toolchain, Toolchain::Private(_));
        let now = self.stamps(&make).filter(|_| fixed);
        if now.is_some_and(|now| fs::read(&built).is_ok_and(|before| before == now.as_bytes())) {
            return Ok(self.stack());
        }
        let outcome = make.output()?;
        if outcome.status.success() {
            if let Some(now) = self.stamps(&make) {
                cache::write_atomic(&built, now.as_bytes())?;
            }
            return Ok(self.stack());
        }
        say(outcome.stdout.trim_end());
        say(outcome.stderr.trim_end());
        Err(self.broken("what Kbuild said is above", &make))
    }

    /// The command and what it is about: the sources and the modules, each with what shows that it
    /// was written; nothing while another build changes the folder.
    fn stamps(&self, make: &Run) -> Option<String> {
        let mut files = vec![self.symvers()];
        let sources = fs::read_to_string(self.folder.join(COPIED)).unwrap_or_default();
        files.extend(sources.lines().map(|source| self.folder.join(source)));
        let modules = walk::modules(&self.folder, &DepmodConfig::default()).ok()?;
        files.extend(modules.into_iter().map(|module| module.full));
        let mut stamps = format!("{make}\n");
        for file in files {
            let stamp = file.metadata().map(|file| (file.ino(), file.len(), file.modified().ok()));
            stamps.push_str(&format!("{} {:?}\n", file.display(), stamp.ok()));
        }
        Some(stamps)
    }

    fn broken(&self, above: &str, make: &Run) -> Problem {
        let fact = format!("the modules do not build for {}", self.kernel);
        Problem::does_not_hold(fact).hint(format!("{above}; by hand: {make}"))
    }

    /// The modules of the stack, the provider first.
    pub fn stack(&self) -> Vec<PathBuf> {
        let module = |name: &str| self.folder.join(name).join(format!("{name}.ko"));
        ["provider", "consumer", "tally"].map(module).into()
    }

    /// A module of `tests/modules`.
    pub fn test_module(&self, name: &str) -> PathBuf {
        self.folder.join("tests/modules").join(name).join(format!("{name}.ko"))
    }

    /// The `Module.symvers` of a whole build.
    pub fn symvers(&self) -> PathBuf {
        self.folder.join("Module.symvers")
    }
}

/// `struct module` as a module that was built here for this kernel has it. The lab kernel carries
/// neither BTF nor modules of its own.
pub fn this_module(kernel: &Kernel) -> Option<ThisModule> {
    let mut buffer = ModuleBuffer::default();
    let end = format!("-{}", kernel.slug());
    let folders = fs::read_dir(project().join("target/build")).ok()?.flatten();
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
    folders.sort();
    folders.retain(|folder| folder.to_string_lossy().ends_with(&end));
    folders.iter().find_map(|folder| {
        let files = walk::modules(folder, &DepmodConfig::default()).ok()?;
        let mut found = files
            .iter()
            .filter_map(|file| struct_module::this_module_of_module(buffer.read(&file.full).ok()?));
        found.next()
    })
}

/// Copies sources that changed, and removes the copies of those that are gone.
fn mirror(from: &Path, sources: &[&str], to: &Path) -> Result<()> {
    let mut found = BTreeSet::new();
    for source in sources {
        collect(from, Path::new(source), &mut found)?;
    }
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
    cache::write_atomic(&list, names.as_bytes())
}

/// The sources at or below `path`, which is relative to `base`.
fn collect(base: &Path, path: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    let whole = base.join(path);
    if !whole.is_dir() {
        if is_source(path) {
            found.insert(path.into());
        }
        return Ok(());
    }
    names(&whole)?.into_iter().try_for_each(|name| collect(base, &path.join(name), found))
}

/// What a person wrote, apart from what a build in place left beside it.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let made = ["_generated.rs", "_generated.c", ".mod.c"].iter().any(|end| name.ends_with(end));
    let written = [".rs", ".c", ".h", ".mk", ".conf", ".sh"].iter().any(|end| name.ends_with(end));
    (written && !made && !name.starts_with('.'))
        || ["Kbuild", "Makefile", "rustfmt.toml"].contains(&name)
}

/// Copies a file only when its contents differ, so that `make` sees what changed.
fn copy_if_other(from: &Path, to: &Path) -> Result<()> {
    let contents = fs::read(from).or_usage(|| format!("{} cannot be read", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    cache::write_atomic(to, &contents)
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
    fn a_mirror_follows_its_sources() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("d")).unwrap();
        fs::write(from.path().join("d/a.rs"), "1").unwrap();
        fs::write(from.path().join("d/b.rs"), "1").unwrap();
        mirror(from.path(), &["d"], to.path()).unwrap();
        fs::write(to.path().join("d/a.o"), "built").unwrap();
        let before = to.path().join("d/a.rs").metadata().unwrap().modified().unwrap();

        fs::remove_file(from.path().join("d/b.rs")).unwrap();
        mirror(from.path(), &["d"], to.path()).unwrap();
        assert!(!to.path().join("d/b.rs").exists());
        assert!(to.path().join("d/a.o").exists());
        let after = to.path().join("d/a.rs").metadata().unwrap().modified().unwrap();
        assert_eq!(before, after, "what did not change is not written again");
    }
}
