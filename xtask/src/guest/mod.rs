//! The VM: image, QEMU, the agent inside, the record it returns, the judge of its console.
//!
//! [`Guest`] says what is to run, [`Session`] is a guest that runs, [`report::Report`] is what
//! remains. Commands go to the agent over a virtio port of its own, and their output, status and
//! kernel messages come back over it, so nothing interleaves with the console. A report is
//! returned only when three verdicts hold (see `session_verdict.rs`).

mod accel;
mod command_line;
pub mod console;
pub mod device;
mod initramfs;
mod launch;
mod ldd;
pub mod leftovers;
mod message;
pub mod protocol;
#[cfg(test)]
mod protocol_tests;
mod qemu;
mod qmp;
pub mod report;
pub mod round;
mod run_dir;
pub mod saved_state;
mod session;
mod session_verdict;
mod shell;
mod start;
pub mod static_program;
mod vmlinux;

use std::{path::PathBuf, time::Duration};

use sha2::{Digest, Sha256};

pub use self::{accel::Accel, command_line::Command, session::Session};
use self::{console::Allowed, device::Device, report::Report};
use crate::{
    host::{
        builder::builder,
        cache::Cache,
        root::{Root, TRIXIE},
    },
    kernel::Kernel,
    problem::{Problem, Result},
};

/// The longest time that a guest may take to come up.
pub const BOOT_DEADLINE: Duration = Duration::from_secs(60);
/// The longest time that a command in the guest may take.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

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
    devices: Vec<Device>,
    fresh_boot: bool,
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
            devices: Vec::new(),
            fresh_boot: false,
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

    /// Puts a file into `/work`, where commands run.
    #[must_use]
    pub fn file(self, file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        // One without a name is refused when it is read.
        let name = file.file_name().unwrap_or_default().to_owned();
        self.file_at(name, file)
    }

    builder! {
        /// Puts a module into `/lib/modules/RELEASE/updates`. `depmod` is left to the caller.
        fn module(self, module: impl Into<PathBuf>) {
            self.modules.push(module.into());
        }

        /// Puts a file at a path below `/work`.
        fn file_at(self, path: impl Into<PathBuf>, file: impl Into<PathBuf>) {
            self.files.push((path.into(), file.into()));
        }

        /// Puts a symbolic link at a path, in the place of what the image has there.
        fn link(self, path: impl Into<String>, target: impl Into<String>) {
            self.links.push((path.into(), target.into()));
        }

        /// Adds a word to the kernel's command line, for example `module_blacklist=provider`.
        fn cmdline(self, word: impl Into<String>) {
            self.cmdline.push(word.into());
        }

        /// Does not count lines of the log that begin so as complaints, for the reason given.
        fn allow(self, begins: impl Into<String>, reason: impl Into<String>) {
            let (begins, reason) = (begins.into(), reason.into());
            self.allowed.push(Allowed { begins, reason, ..Allowed::default() });
        }

        /// Does not count these lines of the log as complaints.
        fn allow_all(self, lines: &[Allowed]) {
            self.allowed.extend_from_slice(lines);
        }

        /// Chooses what runs it.
        fn accel(self, accel: Accel) {
            self.accel = accel;
        }

        /// Boots it, also where it could be restored from a saved state. A guest whose kernel has
        /// words of its own on its command line, links, devices, or other than one processor boots
        /// in any case.
        fn fresh_boot(self) {
            self.fresh_boot = true;
        }

        /// Sets the number of its processors; default: 1, which boots fastest under emulation.
        fn cpus(self, cpus: u8) {
            self.cpus = cpus;
        }

        /// Adds a device to the machine.
        fn device(self, device: Device) {
            self.devices.push(device);
        }

        /// Sets the longest time that each command may take; [`COMMAND_DEADLINE`] unless told.
        fn deadline(self, deadline: Duration) {
            self.deadline = deadline;
        }

        /// Sets the longest time that it may take to come up; [`BOOT_DEADLINE`] unless told.
        fn boot_deadline(self, deadline: Duration) {
            self.boot_deadline = deadline;
        }
    }

    /// The lines of the log that are no complaints.
    pub fn allowed(&self) -> &[Allowed] {
        &self.allowed
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
}

/// Returns the text that stands for the contents of a file in a name.
fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
