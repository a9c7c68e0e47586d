//! The accelerator of the guest: KVM where it is proven to work, emulation elsewhere.
//!
//! A `/dev/kvm` that can be opened proves nothing. In a virtual machine QEMU may abort over it, or
//! sit for ever with a guest that does not run, so KVM is used only after a guest has really come
//! up with it.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Once,
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    host::{
        cache::{self, Cache},
        file_system::age,
        open,
        progress::say,
        root::Root,
    },
    problem::{Problem, Result},
};

pub(super) const DEVICE: &str = "/dev/kvm";
/// The time for which a guest that did not come up speaks against KVM: perhaps the machine was
/// busy.
const SLOW: Duration = Duration::from_secs(60 * 60);
/// The time for which any other failure does, unless something changes that [`key`] knows.
const FAILED: Duration = Duration::from_secs(24 * 60 * 60);
/// The number of trials that may be cut short by the end of their command before they count as too
/// slow.
const CUT_SHORT_MAX: u32 = 3;

/// The caller's wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Accel {
    /// KVM if a trial shows that it works, otherwise emulation.
    #[default]
    Auto,
    /// KVM, or a problem.
    Kvm,
    /// Emulation.
    Tcg,
}

/// The accelerator that was chosen, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) kvm: bool,
    pub(super) why: String,
}

impl Choice {
    fn new(kvm: bool, why: impl Into<String>) -> Self {
        Self { kvm, why: why.into() }
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        let name = if self.kvm { "KVM" } else { "emulation (TCG)" };
        format!("the guest runs by {name}: {}", self.why)
    }
}

/// Chooses; `trial` boots a guest with KVM and fails where that does not work. It has no answer
/// when the command was interrupted meanwhile. It costs nothing: until its answer is known, guests
/// are emulated.
///
/// # Errors
/// KVM was demanded and does not work.
pub(super) fn choose(
    cache: &Cache,
    root: &Root,
    wish: Accel,
    trial: impl FnOnce() -> Option<Result<()>> + Send + 'static,
) -> Result<Choice> {
    let answer = Answer { path: cache.path(format!("guest/accel-{}", key(root))) };
    let device = File::options().read(true).write(true).open(DEVICE);
    let choice = match (wish, device) {
        (Accel::Tcg, _) => Choice::new(false, "as asked"),
        (_, Err(error)) => Choice::new(false, format!("{DEVICE} cannot be opened ({error})")),
        (Accel::Auto, Ok(_)) => answer.or_try_beside(trial),
        (Accel::Kvm, Ok(_)) => match answer.read() {
            Some(choice) if choice.kvm => choice,
            _ => answer.try_now(trial),
        },
    };
    if wish == Accel::Kvm && !choice.kvm {
        let problem = Problem::host(format!("KVM cannot be used: {}", choice.why));
        return Err(problem.hint("leave out --accel kvm: emulation is slower and works anywhere"));
    }
    // Once a process: a run of many guests says it once.
    static SAID: Once = Once::new();
    SAID.call_once(|| say(&choice.line()));
    Ok(choice)
}

/// Takes back that KVM works.
pub(super) fn take_back(cache: &Cache, root: &Root, why: &str) {
    let answer = Answer { path: cache.path(format!("guest/accel-{}", key(root))) };
    answer.write("no", &format!("with KVM {why}"));
}

/// The memory of trials: a file of two lines, a word and the reason.
#[derive(Clone, Debug)]
struct Answer {
    path: PathBuf,
}

impl Answer {
    fn read(&self) -> Option<Choice> {
        let age = age(&self.path)?;
        let text = open::read_text(&self.path).ok()?;
        let (word, why) = text.split_once('\n')?;
        let why = why.trim_end();
        match word.split_once(' ').unwrap_or((word, "")) {
            ("yes", _) => Some(Choice::new(true, why)),
            ("no", _) if age < FAILED => Some(Choice::new(false, why)),
            ("slow", _) if age < SLOW => Some(Choice::new(false, why)),
            ("trying", number)
                if age < SLOW
                    && number.parse().is_ok_and(|number: u32| number >= CUT_SHORT_MAX) =>
            {
                Some(Choice::new(false, "a guest with KVM did not come up while a command ran"))
            }
            _ => None,
        }
    }

    /// If it cannot be written, the next guest tries again.
    fn write(&self, word: &str, why: &str) {
        let _ = cache::write_atomic(&self.path, format!("{word}\n{why}\n"));
    }

    /// Returns the remembered answer; else emulation, and KVM is tried meanwhile. The trial ends
    /// with the process.
    fn or_try_beside(&self, trial: impl FnOnce() -> Option<Result<()>> + Send + 'static) -> Choice {
        if let Some(choice) = self.read() {
            return choice;
        }
        let answer = self.clone();
        thread::spawn(move || {
            // One trial at a time, of all processes.
            let lock =
                File::options().create(true).append(true).open(answer.path.with_extension("lock"));
            let Ok(lock) = lock else { return };
            let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            if locked && answer.read().is_none() {
                answer.try_now(trial);
            }
        });
        Choice::new(false, format!("{DEVICE} is there, and is being tried for the next guests"))
    }

    fn try_now(&self, trial: impl FnOnce() -> Option<Result<()>>) -> Choice {
        let text = open::read_text(&self.path).unwrap_or_default();
        let before = text.lines().next().and_then(|line| line.strip_prefix("trying "));
        let before = before.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
        self.write(&format!("trying {}", before + 1), "");
        let (word, choice) = match trial() {
            // Nothing is known of KVM: the trial counts as cut short.
            None => return Choice::new(false, "its trial was interrupted"),
            Some(Ok(())) => ("yes", Choice::new(true, "a trial guest booted with it")),
            Some(Err(problem)) => {
                let fact = problem.first_line();
                let word = if fact.contains("did not come up within") { "slow" } else { "no" };
                (word, Choice::new(false, format!("with KVM {fact}")))
            }
        };
        self.write(word, &choice.why);
        choice
    }
}

/// The host's processor, as far as a guest sees it under KVM: the text about the first one.
pub(super) fn processor() -> String {
    let all = open::read_text("/proc/cpuinfo").unwrap_or_default();
    let fixed = |line: &&str| {
        ["vendor_id", "cpu family", "model", "stepping", "microcode", "flags"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let first = all.split("\n\n").next().unwrap_or_default();
    first.lines().filter(fixed).collect::<Vec<_>>().join("\n")
}

/// Returns all that the answer depends on: the host's kernel since its boot, its processor, the
/// device, QEMU.
fn key(root: &Root) -> String {
    let read = |path| open::read_text(path).unwrap_or_default();
    let boot = read("/proc/sys/kernel/random/boot_id");
    let release = read("/proc/sys/kernel/osrelease");
    let device = fs::metadata(DEVICE).map(|device| (device.rdev(), device.mode(), device.ctime()));
    let parts = [boot, release, Root::name(root.suite), processor(), format!("{device:?}")];
    cache::key(parts)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn answer() -> (tempfile::TempDir, Answer) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accel");
        (folder, Answer { path })
    }

    fn aged(answer: &Answer, age: Duration) -> Option<Choice> {
        let file = File::options().write(true).open(&answer.path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        answer.read()
    }

    #[test]
    fn a_trial_is_waited_for_by_nobody_and_its_answer_is_remembered() {
        let (_folder, answer) = answer();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let choice = answer.or_try_beside(move || Some(gone.recv().map_err(|_| Problem::host(""))));
        assert!(!choice.kvm && choice.why.contains("being tried"));
        // While it goes on, nobody else tries.
        while !answer.path.exists() {
            thread::yield_now();
        }
        answer.or_try_beside(|| panic!("a second trial at once"));
        go.send(()).unwrap();
        while answer.read().is_none() {
            thread::yield_now();
        }
        assert_eq!(answer.read(), Some(Choice::new(true, "a trial guest booted with it")));
    }

    #[test]
    fn a_failure_is_not_for_ever() {
        let (_folder, answer) = answer();
        let slow =
            answer.try_now(|| Some(Err(Problem::host("the guest did not come up within 15 s"))));
        assert!(!slow.kvm);
        assert!(aged(&answer, SLOW - Duration::from_secs(60)).is_some());
        assert_eq!(aged(&answer, SLOW), None);
        answer.try_now(|| Some(Err(Problem::host("QEMU was killed by signal 6"))));
        assert!(aged(&answer, SLOW).is_some());
        assert_eq!(aged(&answer, FAILED), None);
        fs::write(&answer.path, "no").unwrap();
        assert_eq!(answer.read(), None, "cut short");
    }

    #[test]
    fn a_guest_that_never_comes_up_before_the_command_ends_is_not_tried_again_and_again() {
        let (_folder, answer) = answer();
        for _ in 0..CUT_SHORT_MAX {
            assert_eq!(answer.read(), None);
            let killed = std::panic::AssertUnwindSafe(|| answer.try_now(|| panic!("cut short")));
            assert!(std::panic::catch_unwind(killed).is_err());
        }
        assert!(!answer.read().unwrap().kvm);
        assert_eq!(aged(&answer, SLOW), None);
    }

    #[test]
    fn an_interrupted_trial_says_nothing_of_kvm() {
        let (_folder, answer) = answer();
        assert!(!answer.try_now(|| None).kvm);
        assert_eq!(answer.read(), None);
        answer.try_now(|| Some(Ok(())));
        assert!(answer.read().unwrap().kvm);
    }
}
