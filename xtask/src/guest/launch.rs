//! The start of a guest: a machine that boots, or one that is restored from a saved state.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use crate::{
    guest::{
        Accel, Guest, accel,
        initramfs::{self, Initramfs},
        qemu::{self, Machine, Memory},
        run_dir::RunDir,
        saved_state::{self, SavedState},
        session::{self, Limits, Session},
        start::Saved,
        static_program::AGENT,
        vmlinux,
    },
    host::{
        cache::{self, Partial},
        file_system::{read_file, write_file},
        process::{Process, interrupted},
        progress::say,
    },
    printer::Shown as _,
    problem::{Kind, OrProblem, Problem, Result},
};

/// The longest time that the trial guest with KVM may take to come up. Where KVM works it takes a
/// second.
const TRIAL_DEADLINE: Duration = Duration::from_secs(15);

impl Guest {
    /// Starts it and waits until it is up: restored from a saved state where that can be, which is
    /// made first if there is none.
    ///
    /// # Errors
    /// A file is missing, QEMU cannot start, or the guest does not come up in time.
    pub fn start(&self) -> Result<Session> {
        self.start_on(false)
    }

    /// The same, with a terminal or without.
    pub(super) fn start_on(&self, terminal: bool) -> Result<Session> {
        let files = self.files()?;
        let choice = self.choose()?;
        match self.start_by(&files, &choice, terminal) {
            Err(problem)
                if choice.kvm
                    && self.accel == Accel::Auto
                    && problem.kind == Kind::Host
                    && interrupted().is_none() =>
            {
                let why = problem.first_line();
                say(&format!("KVM worked before, and now {why}: the guest is emulated"));
                accel::take_back(&self.cache, &self.root, why);
                let choice = accel::Choice { kvm: false, why: format!("with KVM {why}") };
                self.start_by(&files, &choice, terminal)
            }
            started => started,
        }
    }

    fn start_by(
        &self,
        files: &Initramfs,
        choice: &accel::Choice,
        terminal: bool,
    ) -> Result<Session> {
        let machine = Machine { terminal, ..self.machine(choice.kvm) };
        let boots = self.fresh_boot
            || self.cpus != 1
            || !self.cmdline.is_empty()
            || !self.links.is_empty()
            || !self.devices.is_empty();
        if !boots {
            if let Some(session) = self.restore(files, machine, &choice.line())? {
                return Ok(session);
            }
        }
        self.boot(files, machine, choice.line(), self.boot_deadline)
    }

    fn machine(&self, kvm: bool) -> Machine<'_> {
        let (cpus, cmdline, devices) = (self.cpus, &self.cmdline, &self.devices);
        Machine { kvm, memory: Memory::Fresh, terminal: false, cpus, cmdline, devices }
    }

    fn choose(&self) -> Result<accel::Choice> {
        // The trial has nothing of this guest's own, which may be at fault itself.
        let plain = Self::new(&self.cache, &self.root, self.boot.clone());
        accel::choose(&self.cache, &self.root, self.accel, move || {
            let machine = plain.machine(true);
            let nothing = Initramfs::default();
            let session = plain.boot(&nothing, machine, String::new(), TRIAL_DEADLINE);
            let booted = session.and_then(Session::finish).map(drop);
            interrupted().is_none().then_some(booted)
        })
    }

    /// Boots a machine with the base of its file system and what this guest adds to it.
    fn boot(
        &self,
        files: &Initramfs,
        machine: Machine<'_>,
        accel: String,
        boot_deadline: Duration,
    ) -> Result<Session> {
        let mut initrd = self.base()?;
        initrd.extend(files.archive()?);
        let kernel = self.kernel()?;
        let run_dir = RunDir::new(&self.cache)?;
        let (limits, child) = self.launch(machine, &kernel, Some(&initrd), None, &run_dir)?;
        let limits = Limits { accel, boot_deadline, ..limits };
        Session::boot(limits, run_dir, child)
    }

    /// A machine restored from a saved state; none where no state can be saved, or where the
    /// state is of no use a second time.
    fn restore(
        &self,
        files: &Initramfs,
        machine: Machine<'_>,
        accel: &str,
    ) -> Result<Option<Session>> {
        for again in ["made again", "it is booted"] {
            let mut unfit = None;
            let state = match self.saved_state(machine, accel, &mut unfit) {
                Ok(state) => state,
                // The same would be seen again.
                Err(problem) if problem.kind != Kind::Host || interrupted().is_some() => {
                    return Err(problem);
                }
                Err(problem) => {
                    let why = problem.first_line();
                    say(&format!("no state of the guest is saved, it is booted: {why}"));
                    // It has booted already, and only lacks a terminal.
                    let mut booted = unfit.filter(|_| !machine.terminal);
                    booted.as_mut().map(|session| session.put(files)).transpose()?;
                    return Ok(booted);
                }
            };
            match self.resume(&state, machine, accel) {
                Ok(mut session) => {
                    session.put(files)?;
                    return Ok(Some(session));
                }
                Err(why) => {
                    say(&format!("a saved state of the guest is thrown away, {again}: {why}"));
                    state.discard(&self.cache)?;
                }
            }
        }
        Ok(None)
    }

    /// Restores a state, and checks it meanwhile.
    fn resume(
        &self,
        state: &SavedState,
        machine: Machine<'_>,
        accel: &str,
    ) -> Result<Session, String> {
        let folder = state.folder().to_owned();
        let check = thread::spawn(move || SavedState::check(&folder));
        let start = || {
            let transcript = read_file(&state.folder().join(saved_state::TRANSCRIPT))?;
            let kernel = vmlinux::extract(&self.cache, &self.boot.image)?;
            let kernel = vmlinux::stand_in(&self.cache, &kernel)?;
            let machine = Machine { memory: Memory::Restored, ..machine };
            let run_dir = RunDir::new(&self.cache)?;
            let folder = Some(state.folder());
            let (limits, child) = self.launch(machine, &kernel, None, folder, &run_dir)?;
            let limits = Limits { accel: accel.into(), ..limits };
            Session::resume(limits, run_dir, child, &transcript)
        };
        let session = start();
        match check.join() {
            Ok(Ok(())) => session.map_err(|problem| problem.first_line().into()),
            Ok(Err(why)) => Err(why),
            Err(_) => Err("it cannot be checked".into()),
        }
    }

    /// The state that a machine is restored from, made first if it is absent. `unfit` becomes the
    /// guest whose kernel complained, so that none can be made.
    fn saved_state(
        &self,
        machine: Machine<'_>,
        accel: &str,
        unfit: &mut Option<Session>,
    ) -> Result<SavedState> {
        let machine = Machine { memory: Memory::Saved, terminal: false, ..machine };
        let kernel = vmlinux::extract(&self.cache, &self.boot.image)?;
        let base = self.base_entry()?;
        let key = state_key(machine, &kernel, &base, &self.root.path(qemu::PROGRAM))?;
        let about = format!("{} by {}", self.boot.release, if machine.kvm { "KVM" } else { "TCG" });
        SavedState::obtain(&self.cache, &key, &about, |folder| {
            let kernel = self.kernel()?;
            let initrd = self.base()?;
            let run_dir = RunDir::new(&self.cache)?;
            let folder = Some(folder);
            let (limits, child) = self.launch(machine, &kernel, Some(&initrd), folder, &run_dir)?;
            let limits = Limits { accel: accel.into(), ..limits };
            match Session::save(limits, run_dir, child)? {
                Saved::State(transcript) => Ok(transcript),
                Saved::Unfit(session, line) => {
                    *unfit = Some(*session);
                    Err(Problem::host(format!("its kernel complains while it boots: {line}")))
                }
            }
        })
    }

    /// Starts QEMU.
    fn launch(
        &self,
        machine: Machine<'_>,
        kernel: &Path,
        initrd: Option<&[u8]>,
        state: Option<&Path>,
        run_dir: &RunDir,
    ) -> Result<(Limits, Process)> {
        let cmdline = machine.cmdline();
        if cmdline.len() > qemu::CMDLINE_MAX || cmdline.contains('\n') {
            return Err(Problem::usage("the kernel's command line is too long or has two lines"));
        }
        let what = || format!("{} cannot be written", run_dir.path().shown());
        if let Some(initrd) = initrd {
            fs::write(run_dir.path().join(qemu::INITRD), initrd).or_host(what)?;
        }
        let log = File::create(run_dir.path().join(session::QEMU_LOG)).or_host(what)?;
        let mut sandbox = self.root.sandbox();
        sandbox = sandbox.writable(run_dir.path(), qemu::FOLDER).read_only(kernel, qemu::KERNEL);
        sandbox = match (state, machine.memory) {
            (Some(state), Memory::Saved) => sandbox.writable(state, qemu::STATE),
            (Some(state), _) => sandbox.read_only(state, qemu::STATE),
            (None, _) => sandbox,
        };
        if machine.kvm {
            sandbox = sandbox.device(accel::DEVICE);
        }
        let run = sandbox.run(qemu::PROGRAM).args(machine.arguments());
        let child = run.spawn(Stdio::null(), log.into())?;
        let limits = Limits {
            started_by: run.to_string(),
            cache: self.cache.clone(),
            accel: String::new(),
            release: self.boot.release.clone(),
            boot_deadline: self.boot_deadline,
            deadline: self.deadline,
            allowed: self.allowed.clone(),
        };
        Ok((limits, child))
    }

    /// Returns the files that this guest adds to the base of its file system.
    fn files(&self) -> Result<Initramfs> {
        let mut files = Initramfs::default();
        let updates = initramfs::updates(&self.boot.release);
        for module in &self.modules {
            let path = updates.join(initramfs::name(module)?);
            files.host_file(&path.to_string_lossy(), module)?;
        }
        for (path, file) in &self.files {
            let path = Path::new("work").join(path);
            files.host_file(&path.to_string_lossy(), file)?;
        }
        for (path, target) in &self.links {
            files.link(path, target);
        }
        files.check_size()?;
        Ok(files)
    }

    /// The part of the file system that every guest of this kernel has.
    fn base(&self) -> Result<Vec<u8>> {
        let base = self.base_entry()?.join("base.cpio");
        self.cache.require_whole(&base)?;
        read_file(&base)
    }

    /// The kernel to boot. One that is damaged might not end before its deadline.
    fn kernel(&self) -> Result<PathBuf> {
        let kernel = vmlinux::extract(&self.cache, &self.boot.image)?;
        self.cache.require_whole(&kernel)?;
        Ok(kernel)
    }

    /// Where it is, made once.
    fn base_entry(&self) -> Result<PathBuf> {
        let agent = AGENT.obtain(&self.cache, &self.root)?;
        let key = initramfs::base_key(&self.boot, &AGENT.key(&self.root))?;
        self.cache.entry(&format!("guest/base-{key}"), Partial::Discard, |aside| {
            self.cache.require_whole(&agent)?;
            let agent = read_file(&agent)?;
            let archive = Initramfs::base(&self.root, &self.boot, agent)?.archive()?;
            write_file(&aside.join("base.cpio"), archive)
        })
    }
}

/// Returns the text that stands for everything that makes a saved machine what it is: its options
/// and its kernel's command line, the kernel, the base of its file system, which stands for our own
/// protocol and the release as well, the QEMU, and the processor where the machine sees the host's.
/// The name of the base is that of its contents; the kernel may be its owner's file, which is built
/// again.
fn state_key(machine: Machine<'_>, kernel: &Path, base: &Path, qemu: &Path) -> Result<String> {
    let mut parts = machine.arguments();
    parts.extend([kernel, base].map(|path| path.to_string_lossy().into_owned()));
    for file in [kernel, qemu] {
        let what = || format!("{} cannot be read", file.shown());
        parts.push(saved_state::stamp(file).or_host(what)?);
    }
    parts.extend(machine.kvm.then(accel::processor));
    Ok(cache::key(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_kernel_file_system_or_qemu_has_another_state() {
        let folder = tempfile::tempdir().unwrap();
        let qemu = folder.path().join("qemu");
        fs::write(&qemu, "of the same size").unwrap();
        let words = ["quiet".to_owned()];
        let (memory, terminal) = (Memory::Saved, false);
        let machine = Machine { kvm: false, memory, terminal, cpus: 1, cmdline: &[], devices: &[] };
        let key = |machine, kernel: &str, base: &str| {
            let kernel = folder.path().join(kernel);
            state_key(machine, &kernel, Path::new(base), &qemu).unwrap()
        };
        let rebuild = |name: &str| {
            fs::write(folder.path().join("new"), "of the same size").unwrap();
            fs::rename(folder.path().join("new"), folder.path().join(name)).unwrap();
        };
        ["kernel-1", "kernel-2"].into_iter().for_each(rebuild);
        let this = key(machine, "kernel-1", "base-1");
        assert_eq!(this, key(machine, "kernel-1", "base-1"));
        let others = [
            key(machine, "kernel-2", "base-1"),
            key(machine, "kernel-1", "base-2"),
            key(Machine { cpus: 2, ..machine }, "kernel-1", "base-1"),
            key(Machine { kvm: true, ..machine }, "kernel-1", "base-1"),
            key(Machine { cmdline: &words, ..machine }, "kernel-1", "base-1"),
        ];
        assert!(others.iter().all(|other| *other != this));
        rebuild("kernel-1");
        let rebuilt = key(machine, "kernel-1", "base-1");
        assert_ne!(rebuilt, this);
        rebuild("qemu");
        assert_ne!(key(machine, "kernel-1", "base-1"), rebuilt);
    }
}
