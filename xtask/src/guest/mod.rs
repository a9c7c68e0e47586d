//! The VM: image, QEMU, the agent inside, the record it returns, the judge of its console.
//!
//! [`Guest`] says what is to run, [`Session`] is a guest that runs, [`report::Report`] is what
//! remains. Commands go to the agent over a virtio port of its own, and their output, status and
//! kernel messages come back over it, so nothing interleaves with the console. A report is
//! returned only when three verdicts hold (see `session_verdict.rs`).

mod accel;
mod agent_build;
pub mod console;
mod initramfs;
mod ldd;
pub mod protocol;
#[cfg(test)]
mod protocol_tests;
mod qemu;
pub mod report;
mod session;
mod session_verdict;
mod shell;
mod vmlinux;

use std::{
    fs,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sha2::{Digest, Sha256};

pub use self::{accel::Accel, session::Session};
use self::{
    console::Allowed,
    initramfs::Initramfs,
    qemu::Machine,
    report::Report,
    session::{Limits, RunDir},
};
use crate::{
    host::{
        cache::{Cache, Partial},
        process::Process,
        root::{Root, TRIXIE},
        run::Run,
    },
    kernel::Kernel,
    problem::{OrProblem, Problem, Result},
};

/// How long a guest may take to come up.
pub const BOOT_DEADLINE: Duration = Duration::from_secs(60);
/// How long a command in the guest may take.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(60);
/// How long the trial guest with KVM may take to come up. Where KVM works it takes a second.
const TRIAL_DEADLINE: Duration = Duration::from_secs(15);

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// A bzImage or an ELF vmlinux.
    pub image: PathBuf,
    /// Its release, as `uname -r` says it.
    pub release: String,
    /// The folder with its `modules.builtin`, `modules.builtin.modinfo` and `modules.order`.
    pub modules: PathBuf,
}

/// A command line for the guest, run by `/bin/sh -c` in `/work`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    line: String,
    split_stderr: bool,
    deadline: Option<Duration>,
}

impl Command {
    /// A command whose two outputs are merged in the order in which it writes.
    pub fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), split_stderr: false, deadline: None }
    }

    /// Keeps its standard output and standard error apart.
    #[must_use]
    pub fn split_stderr(mut self) -> Self {
        self.split_stderr = true;
        self
    }

    /// Gives it another deadline than the guest's other commands.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

impl<T: Into<String>> From<T> for Command {
    fn from(line: T) -> Self {
        Self::new(line)
    }
}

/// A guest to be started: a kernel, and what is to be in its file system.
#[derive(Clone, Debug)]
pub struct Guest {
    cache: Cache,
    root: Root,
    boot: Boot,
    modules: Vec<PathBuf>,
    files: Vec<(PathBuf, PathBuf)>,
    links: Vec<(String, String)>,
    cmdline: Vec<String>,
    allowed: Vec<Allowed>,
    accel: Accel,
    cpus: u8,
    boot_deadline: Duration,
    deadline: Duration,
}

impl Guest {
    /// A guest of this kernel, with the tools of this root.
    pub fn new(cache: &Cache, root: &Root, boot: Boot) -> Self {
        Self {
            cache: cache.clone(),
            root: root.clone(),
            boot,
            modules: Vec::new(),
            files: Vec::new(),
            links: Vec::new(),
            cmdline: Vec::new(),
            allowed: Vec::new(),
            accel: Accel::Auto,
            cpus: 1,
            boot_deadline: BOOT_DEADLINE,
            deadline: COMMAND_DEADLINE,
        }
    }

    /// A guest of a kernel, with the tools of the first suite's root.
    ///
    /// # Errors
    /// The kernel has no image, or the private root cannot be made.
    pub fn on(cache: &Cache, kernel: &Kernel) -> Result<Self> {
        let image = kernel.image.clone().ok_or_else(|| {
            let fact = format!("{kernel} has no bootable image");
            Problem::usage(fact).hint("make bzImage, in that folder")
        })?;
        let boot = Boot { image, release: kernel.release.clone(), modules: kernel.modules.clone() };
        Ok(Self::new(cache, &Root::obtain(cache, TRIXIE)?, boot))
    }

    /// The version of the QEMU that runs it, for example `10.0.8`.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn qemu_version(&self) -> Result<String> {
        let qemu = self.root.sandbox().run(qemu::PROGRAM).arg("--version").quiet();
        let said = qemu.stdout()?;
        let version = said.split_whitespace().nth(3).unwrap_or_default();
        Ok(version.into())
    }

    /// Puts a module into `/lib/modules/RELEASE/updates`. `depmod` is left to the caller.
    #[must_use]
    pub fn module(mut self, module: impl Into<PathBuf>) -> Self {
        self.modules.push(module.into());
        self
    }

    /// Puts a file into `/work`, where commands run.
    #[must_use]
    pub fn file(self, file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        // One without a name is refused when it is read.
        let name = file.file_name().unwrap_or_default().to_owned();
        self.file_at(name, file)
    }

    /// Puts a file at a path below `/work`.
    #[must_use]
    pub fn file_at(mut self, path: impl Into<PathBuf>, file: impl Into<PathBuf>) -> Self {
        self.files.push((path.into(), file.into()));
        self
    }

    /// Puts a symbolic link at a path, in the place of what the image has there.
    #[must_use]
    pub fn link(mut self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.links.push((path.into(), target.into()));
        self
    }

    /// Adds a word to the kernel's command line, for example `module_blacklist=provider`.
    #[must_use]
    pub fn cmdline(mut self, word: impl Into<String>) -> Self {
        self.cmdline.push(word.into());
        self
    }

    /// Does not count lines of the log that begin so as complaints, for the reason given.
    #[must_use]
    pub fn allow(mut self, begins: impl Into<String>, reason: impl Into<String>) -> Self {
        self.allowed.push(Allowed { begins: begins.into(), reason: reason.into() });
        self
    }

    /// Chooses what runs it.
    #[must_use]
    pub fn accel(mut self, accel: Accel) -> Self {
        self.accel = accel;
        self
    }

    /// How many processors it has; one unless told, which boots fastest under emulation.
    #[must_use]
    pub fn cpus(mut self, cpus: u8) -> Self {
        self.cpus = cpus;
        self
    }

    /// How long each command may take; [`COMMAND_DEADLINE`] unless told.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long it may take to come up; [`BOOT_DEADLINE`] unless told.
    #[must_use]
    pub fn boot_deadline(mut self, deadline: Duration) -> Self {
        self.boot_deadline = deadline;
        self
    }

    /// Runs commands in a fresh guest, one after the other whatever their statuses.
    ///
    /// # Errors
    /// Those of [`Guest::start`], [`Session::exec`] and [`Session::finish`].
    pub fn run<C: Into<Command>>(&self, commands: impl IntoIterator<Item = C>) -> Result<Report> {
        let mut session = self.start()?;
        for command in commands {
            session.exec(command)?;
        }
        session.finish()
    }

    /// Boots it and waits until it is up.
    ///
    /// # Errors
    /// A file is missing, QEMU cannot start, or the guest does not come up in time.
    pub fn start(&self) -> Result<Session> {
        let prepared = self.prepare(false)?;
        let choice = self.choose()?;
        let machine = self.machine(choice.kvm, false);
        self.launch(&prepared, machine, choice.line(), self.boot_deadline, batch)
    }

    fn machine(&self, kvm: bool, terminal: bool) -> Machine<'_> {
        Machine { kvm, terminal, cpus: self.cpus, cmdline: &self.cmdline }
    }

    fn choose(&self) -> Result<accel::Choice> {
        accel::choose(&self.cache, &self.root, self.accel, || {
            // Nothing of this guest's own, which may be at fault itself.
            let plain = Self::new(&self.cache, &self.root, self.boot.clone());
            let prepared = plain.prepare(false)?;
            let machine = plain.machine(true, false);
            let session = plain.launch(&prepared, machine, String::new(), TRIAL_DEADLINE, batch);
            session.and_then(Session::finish).map(drop)
        })
    }

    fn launch(
        &self,
        prepared: &Prepared,
        machine: Machine<'_>,
        accel: String,
        boot_deadline: Duration,
        spawn: impl FnOnce(&Run, File) -> Result<Process>,
    ) -> Result<Session> {
        let cmdline = machine.cmdline();
        if cmdline.len() > qemu::CMDLINE_MAX || cmdline.contains('\n') {
            return Err(Problem::usage("the kernel's command line is too long or has two lines"));
        }
        let run_dir = RunDir::new()?;
        let initrd = run_dir.path().join(qemu::INITRD);
        let what = || format!("{} cannot be written", initrd.display());
        fs::write(&initrd, &prepared.initrd).or_host(what)?;
        let log = File::create(run_dir.path().join(session::QEMU_LOG)).or_host(what)?;
        let mut sandbox = self.root.sandbox();
        sandbox = sandbox.writable(run_dir.path(), qemu::FOLDER);
        sandbox = sandbox.read_only(&prepared.kernel, qemu::KERNEL);
        if machine.kvm {
            sandbox = sandbox.device("/dev/kvm");
        }
        let run = sandbox.run(qemu::PROGRAM).args(machine.arguments());
        let child = spawn(&run, log)?;
        let limits = Limits {
            started_by: run.to_string(),
            cache: self.cache.clone(),
            accel,
            release: self.boot.release.clone(),
            boot_deadline,
            deadline: self.deadline,
            allowed: self.allowed.clone(),
        };
        Session::open(limits, run_dir, child)
    }

    /// What QEMU is to boot: the kernel, and the base of its file system with what this guest
    /// adds to it.
    fn prepare(&self, shell: bool) -> Result<Prepared> {
        let kernel = vmlinux::extract(&self.cache, &self.boot.image)?;
        let mut initrd = self.base()?;
        let mut extra = Initramfs::default();
        let updates = initramfs::updates(&self.boot.release);
        for module in &self.modules {
            let path = updates.join(initramfs::name(module)?);
            extra.host_file(&path.to_string_lossy(), module)?;
        }
        for (path, file) in &self.files {
            let path = Path::new("work").join(path);
            extra.host_file(&path.to_string_lossy(), file)?;
        }
        for (path, target) in &self.links {
            extra.link(path, target);
        }
        if shell {
            extra.program(&self.root, "usr/bin/bash")?;
        }
        initrd.extend(extra.archive()?);
        Ok(Prepared { kernel, initrd })
    }

    /// The part of the file system that every guest of this kernel has, made once.
    fn base(&self) -> Result<Vec<u8>> {
        let agent = agent_build::obtain(&self.cache, &self.root)?;
        let key = initramfs::base_key(&self.boot, &agent_build::key(&self.root))?;
        let entry = self.cache.entry(&format!("guest/base-{key}"), Partial::Discard, |aside| {
            let agent = fs::read(&agent).or_host(|| format!("{}", agent.display()))?;
            let archive = Initramfs::base(&self.root, &self.boot, agent)?.archive()?;
            let path = aside.join("base.cpio");
            fs::write(&path, archive).or_host(|| format!("{} cannot be written", path.display()))
        })?;
        let path = entry.join("base.cpio");
        fs::read(&path).or_host(|| format!("{} cannot be read", path.display()))
    }
}

/// Starts QEMU without a terminal.
fn batch(run: &Run, log: File) -> Result<Process> {
    run.spawn(Stdio::null(), log.into())
}

/// What a guest boots.
struct Prepared {
    kernel: PathBuf,
    initrd: Vec<u8>,
}

/// What stands for the contents of a file in a name.
fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
