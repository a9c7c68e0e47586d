//! Building a stack of modules for a kernel, with the kernel's own Kbuild.
//!
//! The sources are copied and built elsewhere, so that one folder serves many kernels and stays
//! clean; Kbuild's messages name paths within the stack all the same.

pub mod abi;
pub mod changes;
mod copy;
pub mod editor;
pub mod fresh;
mod stack;

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use ::stack::module_file::Stamp;
use loader::struct_module::{self, ThisModule};

pub use self::stack::{MakeTarget, SOURCES, Stack, project, require_project};
use crate::{
    host::{
        cache::{self, Cache, Lock, Partial},
        file_system::{make_folder, write_file},
        open,
        progress::say,
        run::Run,
    },
    kernel::{Kernel, KernelName, Toolchain, archive::Refresh, table::KERNELS},
    problem::{Problem, Result},
    tree::walk,
};

/// How long a build of some small modules may take.
const DEADLINE: Duration = Duration::from_secs(10 * 60);
/// The modules of our own stack, each after what it needs.
const OURS: [&str; 3] = ["provider", "consumer", "tally"];
/// The file in a build folder that tells what the last whole build was of.
const BUILT: &str = ".built";

/// A folder in which a stack is built for one kernel.
#[derive(Clone, Debug)]
pub struct BuildDir {
    kernel: Kernel,
    stack: Stack,
    /// The folder.
    pub folder: PathBuf,
}

impl BuildDir {
    /// The build folder of a stack, with its sources of now in it.
    ///
    /// # Errors
    /// The sources cannot be copied.
    pub fn open(kernel: &Kernel, stack: &Stack) -> Result<Self> {
        Self::open_in(stack.build_folder(kernel)?, kernel, stack)
    }

    /// A folder beside that one, for a build with other tools.
    fn open_beside(kernel: &Kernel, stack: &Stack, what: &str) -> Result<Self> {
        let mut folder = stack.build_folder(kernel)?.into_os_string();
        folder.push(format!("-{what}"));
        Self::open_in(folder.into(), kernel, stack)
    }

    fn open_in(folder: PathBuf, kernel: &Kernel, stack: &Stack) -> Result<Self> {
        let build_dir = Self { kernel: kernel.clone(), stack: stack.clone(), folder };
        build_dir.refresh()?;
        Ok(build_dir)
    }

    /// The same, with nothing built in it.
    ///
    /// # Errors
    /// As [`BuildDir::open`]; or what is there cannot be removed.
    pub fn open_empty(kernel: &Kernel, stack: &Stack) -> Result<Self> {
        cache::remove_dir(&stack.build_folder(kernel)?)?;
        Self::open(kernel, stack)
    }

    /// Removes what was built in it.
    ///
    /// # Errors
    /// As [`BuildDir::open_empty`].
    pub fn empty(&self) -> Result<()> {
        cache::remove_dir(&self.folder)?;
        self.refresh().map(drop)
    }

    /// The sources that were copied into it.
    pub fn sources(&self) -> Vec<PathBuf> {
        let copied = open::read_text(self.folder.join(copy::COPIED)).unwrap_or_default();
        copied.lines().map(|source| self.folder.join(source)).collect()
    }

    /// Copies the sources anew. The lock keeps others out while it is held: two runs of `make`
    /// would spoil each other's files.
    fn refresh(&self) -> Result<Lock> {
        let lock = Lock::beside(&self.folder)?;
        make_folder(&self.folder)?;
        self.stack.copy_to(&self.folder)?;
        Ok(lock)
    }

    /// `make` with a target: of the project's Makefile, or for another stack of the kernel's.
    pub fn make(&self, target: &str) -> Run {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let kdir = self.kernel.kdir.display();
        let run = self.kernel.toolchain.run("make", &self.folder).arg(format!("-j{jobs}"));
        let run = if self.stack.is_ours() {
            run.arg(format!("KDIR={kdir}"))
        } else {
            run.args(["-C".into(), kdir.to_string(), format!("M={}", self.folder.display())])
        };
        let config = self.kernel.config().ok();
        // The texts that the CRCs are of, for `symvers explain`.
        let has_texts = config.as_ref().is_some_and(|config| config.has("GENDWARFKSYMS"));
        let run = run.args(config.map(|config| config.compiler()));
        let run = run.args(has_texts.then_some("KBUILD_SYMTYPES=1"));
        run.arg(target).deadline(DEADLINE)
    }

    /// Builds on the caller's terminal, and returns what was built.
    ///
    /// # Errors
    /// It does not build, or there is nothing to build.
    pub fn build(&self, target: MakeTarget) -> Result<Vec<PathBuf>> {
        let make = self.make(target.target()).holding(&self.refresh()?);
        if make.passed_on()?.success() {
            return self.modules();
        }
        Err(self.broken("what the compiler said is above", &make))
    }

    /// Builds, and shows what Kbuild said only when it fails.
    ///
    /// # Errors
    /// As [`BuildDir::build`], after all that Kbuild and the compilers said.
    pub fn build_quiet(&self, target: MakeTarget) -> Result<Vec<PathBuf>> {
        shown(|said| self.try_build(target, said))
    }

    /// Builds, and keeps what Kbuild said when it fails. Where nothing has changed since the last
    /// build, Kbuild is not asked: it takes half a second to find that out.
    ///
    /// # Errors
    /// As [`BuildDir::build`]; what Kbuild and the compilers said is in `said`.
    pub fn try_build(&self, target: MakeTarget, said: &mut String) -> Result<Vec<PathBuf>> {
        let make = self.make(target.target()).holding(&self.refresh()?);
        let built = self.folder.join(BUILT);
        // A kernel of the cache never changes; a folder is its owner's.
        let fixed = matches!(self.kernel.toolchain, Toolchain::Private(_));
        let now = self.stamps(&make).filter(|_| fixed);
        if now.is_some_and(|now| open::read(&built).is_ok_and(|before| before == now.as_bytes())) {
            return self.modules();
        }
        self.try_make(&make, said)?;
        if let Some(now) = self.stamps(&make) {
            cache::write_atomic(&built, now)?;
        }
        self.modules()
    }

    /// Builds with one more variable, and shows what Kbuild said only when it fails.
    fn build_with(&self, variable: &str) -> Result<()> {
        let make = self.make(MakeTarget::Modules.target()).arg(variable);
        let make = make.holding(&self.refresh()?);
        shown(|said| self.try_make(&make, said))
    }

    fn try_make(&self, make: &Run, said: &mut String) -> Result<()> {
        let outcome = make.output()?;
        if outcome.status.success() {
            return Ok(());
        }
        *said = format!("{}\n{}", outcome.stdout.trim_end(), outcome.stderr.trim_end());
        Err(self.broken("what Kbuild said is above", make))
    }

    /// The file that its owner edits, of a source in this folder; a generated one is its own.
    fn source_of(&self, path: &Path) -> PathBuf {
        let source = path.strip_prefix(&self.folder).ok().map(|path| self.stack.path(path));
        source.filter(|source| source.exists()).unwrap_or_else(|| path.into())
    }

    /// The command and what it is about: the sources and the modules, each with what shows that it
    /// was written; nothing while another build changes the folder.
    fn stamps(&self, make: &Run) -> Option<String> {
        let mut files = vec![self.symvers()];
        files.extend(self.sources());
        let modules = walk::modules(&self.folder).ok()?;
        files.extend(modules.into_iter().map(|module| module.full));
        let mut stamps = format!("{make}\n");
        for file in files {
            let stamp = file.metadata().map(|file| (file.ino(), file.len(), file.modified().ok()));
            stamps.push_str(&format!("{} {:?}\n", file.display(), stamp.ok()));
        }
        Some(stamps)
    }

    fn broken(&self, above: &str, make: &Run) -> Problem {
        if let Some(source) = self.stack.rust_without_support(&self.kernel) {
            let fact = format!("{source} is Rust, and {} has no CONFIG_RUST", self.kernel);
            let rust = KERNELS.iter().filter(|recipe| recipe.rust).map(|recipe| recipe.name);
            let rust = Vec::from_iter(rust).join(", ");
            return Problem::does_not_hold(fact).hint(format!("kernels with Rust are: {rust}"));
        }
        let fact = format!("the modules do not build for {}", self.kernel);
        Problem::does_not_hold(fact).hint(format!("{above}; by hand: {make}"))
    }

    /// The modules of the stack: of ours the provider first, of another in Kbuild's order.
    ///
    /// # Errors
    /// Nothing was built.
    pub fn modules(&self) -> Result<Vec<PathBuf>> {
        if self.stack.is_ours() {
            let module = |name: &&str| self.folder.join(name).join(format!("{name}.ko"));
            return Ok(OURS.iter().map(module).collect());
        }
        let text = open::read_text(self.folder.join("modules.order")).unwrap_or_default();
        // Each line is NAME.o, or NAME.ko before 6.3; the path is whole before 6.13.
        let module = |line: &str| self.folder.join(line).with_extension("ko");
        let modules: Vec<PathBuf> = text.lines().map(module).filter(|path| path.exists()).collect();
        if modules.is_empty() {
            return Err(self.builds_nothing());
        }
        Ok(modules)
    }

    fn builds_nothing(&self) -> Problem {
        let fact = format!("{} builds no module", self.stack);
        let options = Vec::from_iter(self.stack.options_not_set(&self.kernel));
        let Some(option) = options.first() else {
            return Problem::does_not_hold(fact).hint("name one in its Kbuild: obj-m := NAME.o");
        };
        let fact = format!("{fact}: {} does not set {}", self.kernel, options.join(", "));
        Problem::does_not_hold(fact)
            .hint(format!("write obj-m for obj-$({option}), or {option} := m above it"))
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

/// What an attempt returns, after what it said is shown.
fn shown<T>(attempt: impl FnOnce(&mut String) -> Result<T>) -> Result<T> {
    let mut said = String::new();
    let outcome = attempt(&mut said);
    if !said.is_empty() {
        say(&said);
    }
    outcome
}

/// A stack, built for a kernel.
#[derive(Clone, Debug)]
pub struct BuiltStack {
    /// The kernel.
    pub kernel: Kernel,
    /// Where it was built.
    pub build_dir: BuildDir,
    /// Its modules.
    pub modules: Vec<PathBuf>,
}

impl BuiltStack {
    /// Prepares a kernel if need be, and builds a stack for it; what Kbuild said is shown only when
    /// it fails.
    ///
    /// # Errors
    /// The kernel cannot be prepared, or the stack does not build.
    pub fn obtain(cache: &Cache, kernel: &KernelName, stack: &Stack) -> Result<Self> {
        let kernel = Kernel::obtain(cache, kernel, Refresh::Daily)?;
        let build_dir = BuildDir::open(&kernel, stack)?;
        let modules = build_dir.build_quiet(MakeTarget::Modules)?;
        Ok(Self { kernel, build_dir, modules })
    }
}

/// The smallest module.
const PROBE: [(&str, &str); 2] = [
    ("Kbuild", "obj-m := probe.o\n"),
    (
        "probe.c",
        "#include <linux/module.h>\n\
         static int __init probe_init(void) { return 0; }\nmodule_init(probe_init);\n\
         static void __exit probe_exit(void) {}\nmodule_exit(probe_exit);\n\
         MODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"Shows struct module\");\n",
    ),
];

/// `struct module` as a module has it that is built for this very kernel, once: the lab kernel
/// carries neither BTF nor modules of its own. None where it does not build.
pub fn this_module(kernel: &Kernel) -> Option<ThisModule> {
    let configured = kernel.tree.join("include/config/auto.conf").metadata().ok()?;
    let stamp = format!("{} {:?}", kernel.tree.display(), Stamp::from_metadata(&configured));
    let entry = format!("facts/struct-module-{}", cache::key([stamp.as_str()]));
    let built = Cache::open().ok()?.entry(&entry, Partial::Discard, |aside| {
        for (name, text) in PROBE {
            write_file(&aside.join(name), text)?;
        }
        let make = kernel.toolchain.run("make", aside).arg("-C").arg(&kernel.kdir);
        let make = make.arg(format!("M={}", aside.display())).arg(kernel.config()?.compiler());
        make.arg("modules").deadline(DEADLINE).stdout().map(drop)
    });
    struct_module::this_module_of_module(&open::read(built.ok()?.join("probe.ko")).ok()?)
}
