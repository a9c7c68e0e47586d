//! Building a stack of modules for a kernel, with the kernel's own Kbuild.
//!
//! The sources are copied and built elsewhere, so that one folder serves many kernels and stays
//! clean; Kbuild's messages name paths within the stack all the same.

pub mod abi;
pub mod changes;
mod dkms;
pub mod editor;
pub mod fresh;
mod given;
mod kernels_own;
mod sources;
mod stack;
mod surroundings;
mod workspace;

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    thread,
    time::Duration,
};

use ::stack::module_file::Stamp;
use loader::struct_module::{self, ThisModule};

use self::sources::say_left_out;
pub use self::{
    kernels_own::with_kernels_own,
    sources::Sources,
    stack::{MakeTarget, SOURCES, Stack, project, require_project},
    workspace::Workspace,
};
use crate::{
    host::{
        cache::{self, Cache, Lock, Partial},
        open,
        progress::say,
        run::Run,
        sandbox::give_to_nobody,
    },
    kernel::{Kernel, KernelName, archive::Refresh, table::KERNELS},
    printer::Shown as _,
    problem::{Problem, Result},
};

/// The longest time that a build of some small modules may take.
const DEADLINE: Duration = Duration::from_secs(10 * 60);
/// The modules of our own stack, each after what it needs.
const OURS: [&str; 3] = ["provider", "consumer", "tally"];

/// A workspace in which a stack is built for one kernel.
#[derive(Clone, Debug)]
pub struct BuildDir {
    kernel: Kernel,
    stack: Stack,
    workspace: Workspace,
}

impl BuildDir {
    /// The workspace of a stack, with its sources of now in it. What of them is left out is said.
    ///
    /// # Errors
    /// The sources cannot be copied.
    pub fn open(kernel: &Kernel, stack: &Stack) -> Result<Self> {
        Self::open_beside(kernel, stack, "")
    }

    /// A workspace beside that one, for a build with other tools.
    fn open_beside(kernel: &Kernel, stack: &Stack, by: &str) -> Result<Self> {
        let workspace = stack.workspace(kernel, by)?;
        let build_dir = Self { kernel: kernel.clone(), stack: stack.clone(), workspace };
        let (_, left_out) = build_dir.refreshed()?;
        say_left_out(&left_out);
        Ok(build_dir)
    }

    /// Removes what was built in it.
    ///
    /// # Errors
    /// As [`BuildDir::open`]; or what is there cannot be removed.
    pub fn empty(&self) -> Result<()> {
        let lock = self.workspace.lock()?;
        self.workspace.empty()?;
        drop(lock);
        self.refreshed().map(drop)
    }

    /// Removes the workspace.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(self) -> Result<()> {
        let _lock = self.workspace.lock()?;
        self.workspace.empty()
    }

    /// The folder in which the build runs. What is in it is for the build alone: all that is read
    /// of it is among the products.
    pub fn tree(&self) -> PathBuf {
        self.workspace.tree()
    }

    /// The same folder, as the build sees it: the paths that compilers name begin with it.
    pub fn folder(&self) -> PathBuf {
        self.workspace.seen()
    }

    /// The folder of what was built: modules and lists, regular files all.
    pub fn products(&self) -> PathBuf {
        self.workspace.products()
    }

    /// Eight digits that stand for all sources in it.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn sources_key(&self) -> Result<String> {
        let sources = self.stack.sources()?;
        let mut parts = Vec::new();
        for name in sources.names() {
            let content = sources.read(name).map_err(|error| sources::unreadable(name, &error))?;
            parts.push(name.clone().into_bytes());
            parts.push(content.bytes);
        }
        Ok(cache::key(parts))
    }

    /// The word that [`BuildDir::set_note`] left, until the workspace is emptied.
    pub fn note(&self) -> Option<String> {
        self.workspace.note()
    }

    /// Leaves a word for the next run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_note(&self, note: String) -> Result<()> {
        self.workspace.set_note(note)
    }

    /// Copies the sources anew. The lock keeps others out while it is held.
    fn refreshed(&self) -> Result<(Lock, Vec<String>)> {
        let lock = self.workspace.lock()?;
        let mut left_out = self.fill()?;
        if give_to_nobody(&self.tree()).is_err() {
            // A build may leave folders so deep that no path leads to them.
            self.workspace.empty()?;
            left_out = self.fill()?;
            give_to_nobody(&self.tree())?;
        }
        Ok((lock, left_out))
    }

    /// Fills the tree with what is built, and returns lines about what is left out.
    fn fill(&self) -> Result<Vec<String>> {
        let sources = self.stack.sources()?;
        if !self.stack.is_for_dkms() {
            return self.workspace.refresh(&sources);
        }
        let left_out = self.workspace.refresh(&sources.below(dkms::SOURCES))?;
        dkms::put_script(&self.workspace)?;
        Ok(left_out)
    }

    /// The command that builds the stack: dkms where it has a dkms.conf, and otherwise `make`.
    fn command(&self, target: MakeTarget) -> Run {
        if self.stack.is_for_dkms() {
            return dkms::build(&self.kernel, &self.tree()).deadline(DEADLINE);
        }
        self.make(target.target())
    }

    /// `make` with a target: of the project's Makefile, or for another stack of the kernel's.
    pub fn make(&self, target: &str) -> Run {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let (kdir, tree) = (self.kernel.kdir.to_string_lossy(), self.folder());
        let run = self.workspace.sandbox(&self.kernel.toolchain).run("make");
        let run = run.arg(format!("-j{jobs}"));
        let run = if self.stack.is_ours() {
            run.arg(format!("KDIR={kdir}"))
        } else {
            run.args(["-C".into(), kdir.to_string(), format!("M={}", tree.to_string_lossy())])
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
        let (_lock, _) = self.refreshed()?;
        let command = self.command(target);
        let status = command.passed_on()?;
        if status.success() {
            self.workspace.export()?;
            return self.modules();
        }
        Err(self.broken("what the compiler said is above", &command, status))
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
        let (_lock, _) = self.refreshed()?;
        let command = self.command(target);
        // A kernel of the cache never changes; a folder is its owner's, and so is what lies beside.
        let fixed = matches!(self.kernel.name, KernelName::Listed(..)) && !self.stack.sees_more();
        if !fixed || !self.workspace.is_built(&command.to_string()) {
            self.attempt(&command, said)?;
            self.workspace.export()?;
            self.workspace.set_built(command.to_string())?;
        }
        self.modules()
    }

    /// Builds with one more variable, and shows what Kbuild said only when it fails.
    fn build_with(&self, variable: &str) -> Result<()> {
        let (_lock, _) = self.refreshed()?;
        let make = self.make(MakeTarget::Modules.target()).arg(variable);
        shown(|said| self.attempt(&make, said))
    }

    fn attempt(&self, command: &Run, said: &mut String) -> Result<()> {
        let outcome = command.output()?;
        if outcome.status.success() {
            return Ok(());
        }
        *said = format!("{}\n{}", outcome.stdout.trim_end(), outcome.stderr.trim_end());
        Err(self.broken("what Kbuild said is above", command, outcome.status))
    }

    /// Takes out what commands built that ran in the tree by themselves.
    ///
    /// # Errors
    /// The products cannot be taken out.
    pub fn export(&self) -> Result<()> {
        let _lock = self.workspace.lock()?;
        self.workspace.export()
    }

    /// The file that its owner edits, of a source in the tree; a generated one is its own.
    fn source_of(&self, path: &Path) -> PathBuf {
        let within = path.strip_prefix(self.folder()).ok().map(|path| self.stack.path(path));
        let source = within.or_else(|| self.workspace.beside(path));
        source.filter(|source| source.exists()).unwrap_or_else(|| path.into())
    }

    fn broken(&self, above: &str, command: &Run, status: ExitStatus) -> Problem {
        if self.stack.is_for_dkms() {
            if let Some(problem) = dkms::refused(&self.kernel, &self.tree(), status.code()) {
                return problem;
            }
        }
        if let Some(source) = self.stack.rust_without_support(&self.kernel) {
            let fact = format!("{source} is Rust, and {} has no CONFIG_RUST", self.kernel);
            let rust = KERNELS.iter().filter(|recipe| recipe.rust).map(|recipe| recipe.name);
            let rust = Vec::from_iter(rust).join(", ");
            return Problem::does_not_hold(fact).hint(format!("kernels with Rust are: {rust}"));
        }
        let fact = format!("the modules do not build for {}", self.kernel);
        let unseen = self.stack.unseen().map(|unseen| format!("{unseen}; ")).unwrap_or_default();
        Problem::does_not_hold(fact).hint(format!("{unseen}{above}; by hand: {command}"))
    }

    /// The modules of the stack: of ours the provider first, of another in Kbuild's order.
    ///
    /// # Errors
    /// Nothing was built, or something that is no module.
    pub fn modules(&self) -> Result<Vec<PathBuf>> {
        let products = self.products();
        if self.stack.is_ours() {
            let module = |name: &&str| products.join(name).join(format!("{name}.ko"));
            return Ok(OURS.iter().map(module).collect());
        }
        let modules = self.workspace.modules()?;
        if modules.is_empty() {
            return Err(self.builds_nothing());
        }
        Ok(modules)
    }

    fn builds_nothing(&self) -> Problem {
        let fact = format!("{} builds no module", self.stack);
        if self.stack.is_for_dkms() {
            let hint = format!("name one in its {}: BUILT_MODULE_NAME[0]=NAME", dkms::CONF);
            return Problem::does_not_hold(fact).hint(hint);
        }
        let options = Vec::from_iter(self.stack.options_not_set(&self.kernel));
        let Some(option) = options.first() else {
            let Some((makefile, folder)) = self.stack.deeper() else {
                let hint = "name one in its Kbuild: obj-m := NAME.o";
                return Problem::does_not_hold(fact).hint(hint);
            };
            let problem = Problem::does_not_hold(format!("{fact}, and its {makefile} does"));
            return problem.hint(format!("--stack {}", folder.shown()));
        };
        let fact = format!("{fact}: {} does not set {}", self.kernel, options.join(", "));
        Problem::does_not_hold(fact)
            .hint(format!("write obj-m for obj-$({option}), or {option} := m above it"))
    }

    /// A module of `tests/modules`.
    pub fn test_module(&self, name: &str) -> PathBuf {
        self.products().join("tests/modules").join(name).join(format!("{name}.ko"))
    }

    /// The `Module.symvers` of a whole build.
    pub fn symvers(&self) -> PathBuf {
        self.products().join("Module.symvers")
    }
}

/// Returns the attempt's result, after what it said is shown.
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
    let stamp =
        format!("{} {:?}", kernel.tree.to_string_lossy(), Stamp::from_metadata(&configured));
    let entry = format!("facts/struct-module-of-{}", cache::key([stamp.as_str()]));
    let built = Cache::open().ok()?.entry(&entry, Partial::Discard, |aside| {
        let workspace = Workspace::at(aside.into());
        for (name, text) in PROBE {
            workspace.put(Path::new(name), text, 0o666)?;
        }
        let tree = workspace.tree();
        let make = kernel.toolchain.run("make", &tree).arg("-C").arg(&kernel.kdir);
        let make =
            make.arg(format!("M={}", tree.to_string_lossy())).arg(kernel.config()?.compiler());
        make.arg("modules").deadline(DEADLINE).stdout()?;
        workspace.export()
    });
    let module = Workspace::at(built.ok()?).products().join("probe.ko");
    struct_module::this_module_of_module(&open::read(module).ok()?)
}
