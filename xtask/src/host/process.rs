//! A running child process, ended as a whole: at a deadline, with its owner, and on Ctrl-C.
//!
//! Each child leads a process group of its own, so that a signal reaches what it started, too. The
//! terminal's Ctrl-C therefore reaches only us; [`set_up`] passes it on. A child that needs
//! the terminal's input stays in our group, where the terminal delivers Ctrl-C itself.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus},
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, OwnedFd},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group,
        pidfd_open, set_child_subreaper, test_kill_process_group, waitid,
    },
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use crate::host::open;

/// The interval between two looks at something that cannot wake us.
const POLL: Duration = Duration::from_millis(20);
/// The longest time that a process may take to end after SIGTERM. Then it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// The longest time that the main thread may take to end after its children did: it removes
/// temporary folders.
const UNWIND: Duration = Duration::from_secs(1);

/// The process group of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// A new one, which the child leads.
    Own,
    /// Ours: the child reads from the terminal, which only the foreground group may.
    Ours,
}

/// The children that run, and the signal that ended us.
struct Registry {
    interrupted: Option<i32>,
    running: Vec<(Pid, Group)>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { interrupted: None, running: Vec::new() });
static MAIN_ENDED: AtomicBool = AtomicBool::new(false);

fn registry() -> MutexGuard<'static, Registry> {
    // No code panics while it holds the lock with the list half changed.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The signal that asked us to end, if one did. Then no process is started any more.
pub fn interrupted() -> Option<i32> {
    registry().interrupted
}

/// Ends us by the signal that asked for it, if one did, after all children have ended.
pub fn end_if_interrupted() {
    if interrupted().is_some() {
        MAIN_ENDED.store(true, Ordering::Relaxed);
        // The thread that handles signals ends the process.
        loop {
            thread::park();
        }
    }
}

/// A child process that runs. It is terminated when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    group: Group,
    /// Readable when the process has ended; kernels before 5.3 have none.
    pidfd: Option<OwnedFd>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts a command.
    ///
    /// # Errors
    /// It cannot be started, or we were asked to end ([`io::ErrorKind::Interrupted`]).
    pub(super) fn start(command: &mut Command, group: Group) -> io::Result<Self> {
        set_up();
        if group == Group::Own {
            command.process_group(0);
        }
        // The lock is held, so that a signal that comes now also reaches this child.
        let mut registry = registry();
        if registry.interrupted.is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        registry.running.push((pid, group));
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
        Ok(Self { child, pid, group, pidfd, status: None })
    }

    /// Its process id, which is also that of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn take_pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Returns its end, if it has ended. What it left running in its group is terminated then.
    ///
    /// # Errors
    /// The operating system lost it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() && self.has_ended()? {
            self.terminate();
        }
        Ok(self.status)
    }

    /// Waits for its end. Meanwhile `look` is called with its process id, about every `every`. When
    /// it returns false or `limit` has passed, the process is terminated and has no status.
    ///
    /// # Errors
    /// The operating system lost it.
    pub fn wait(
        &mut self,
        limit: Duration,
        every: Duration,
        mut look: impl FnMut(u32) -> bool,
    ) -> io::Result<Option<ExitStatus>> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if begin.elapsed() > limit || !look(self.id()) {
                self.terminate();
                return Ok(None);
            }
            self.sleep(every, &[]);
        }
    }

    /// Ends it and all of its group: with SIGTERM, and after a grace of 3 seconds with SIGKILL.
    pub fn terminate(&mut self) {
        // It is not reaped yet, so no other process can have its number.
        let _ = send(self.pid, self.group, Signal::TERM);
        let begin = Instant::now();
        while !self.all_ended() && begin.elapsed() < GRACE {
            thread::sleep(POLL);
        }
        if !self.all_ended() {
            let _ = send(self.pid, self.group, Signal::KILL);
            self.status = self.status.or(self.child.wait().ok());
        }
        registry().running.retain(|(pid, _)| *pid != self.pid);
    }

    /// `true` if it and all of its group have ended. It is reaped on the way: until then it counts
    /// as a member of its group.
    fn all_ended(&mut self) -> bool {
        if self.status.is_none() && self.has_ended().unwrap_or(true) {
            self.status = self.child.wait().ok();
        }
        // We reap the processes whose parent has ended.
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let group = || waitid(WaitId::Pgid(Some(self.pid)), how);
        while self.status.is_some() && matches!(group(), Ok(Some(_))) {}
        // The number of a group stays taken while one of its processes lives.
        let group_lives = self.group == Group::Own && test_kill_process_group(self.pid).is_ok();
        self.status.is_some() && !group_lives
    }

    /// Returns `true` if it has ended, without reaping it.
    pub(super) fn has_ended(&self) -> io::Result<bool> {
        if self.status.is_some() {
            return Ok(true);
        }
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(self.pid), how)?.is_some())
    }

    /// Sleeps until it ends, one of `pipes` can be read, or `limit` has passed.
    pub fn sleep(&self, limit: Duration, pipes: &[&dyn AsFd]) {
        let mut fds: Vec<PollFd<'_>> = pipes
            .iter()
            .map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN))
            .collect();
        // One that has ended is always readable: then only the pipes are waited for.
        if let (Some(pidfd), Ok(false)) = (&self.pidfd, self.has_ended()) {
            fds.push(PollFd::new(pidfd, PollFlags::IN));
        }
        let limit = if self.pidfd.is_some() { limit } else { limit.min(POLL) };
        let limit = Timespec::try_from(limit).ok();
        // A signal may end it early; all callers look again.
        let _ = poll(&mut fds, limit.as_ref());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() && matches!(self.try_wait(), Ok(None)) {
            self.terminate();
        }
    }
}

fn send(pid: Pid, group: Group, signal: Signal) -> rustix::io::Result<()> {
    match group {
        Group::Own => kill_process_group(pid, signal),
        Group::Ours => kill_process(pid, signal),
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP end all children first: with SIGTERM, and after the
/// grace, or at a second signal, with SIGKILL. Then they end us as they would have.
fn set_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Files that our caller left open are no child's.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        // A process that a child leaves behind becomes our child: only a parent learns of its end.
        let _ = set_child_subreaper(Some(getpid()));
        let ignored = ignored_signals();
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter();
        let wanted = wanted.filter(|signal| ignored & (1 << (signal - 1)) == 0);
        // Without a handler a signal ends us at once, and the sandbox ends what runs in it.
        let Ok(mut signals) = Signals::new(wanted) else { return };
        thread::spawn(move || {
            let Some(signal) = signals.forever().next() else { return };
            end_by(signal, || signals.pending().next().is_some());
        });
    });
}

fn end_by(signal: i32, mut asked_again: impl FnMut() -> bool) {
    registry().interrupted = Some(signal);
    signal_all(Signal::TERM);
    let begin = Instant::now();
    let none_runs = || registry().running.is_empty();
    while !none_runs() && begin.elapsed() < GRACE && !asked_again() {
        thread::sleep(POLL);
    }
    signal_all(Signal::KILL);
    let begin = Instant::now();
    while !(none_runs() && MAIN_ENDED.load(Ordering::Relaxed)) && begin.elapsed() < UNWIND {
        thread::sleep(POLL);
    }
    let _ = emulate_default_handler(signal);
    std::process::exit(128 + signal);
}

fn signal_all(signal: Signal) {
    for (pid, group) in &registry().running {
        let _ = send(*pid, *group, signal);
    }
}

/// The signals that our caller made us ignore, as `nohup` does: bit 0 is signal 1.
fn ignored_signals() -> u64 {
    let status = open::read_text("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
