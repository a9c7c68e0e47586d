//! What runs the guest's instructions: KVM where it is proven to work, emulation elsewhere.
//!
//! That `/dev/kvm` is there and can be opened proves nothing. In a virtual machine QEMU may abort
//! over it, or sit for ever with a guest that does not run, so KVM is used only after a guest
//! has really come up with it.

use std::{fs, fs::File, path::Path, str::FromStr, sync::Once};

use crate::{
    host::{
        cache::{self, Cache},
        progress::say,
        root::Root,
    },
    problem::{Kind, Problem, Result},
};

pub(super) const DEVICE: &str = "/dev/kvm";

/// What the caller wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accel {
    /// KVM if a trial shows that it works, otherwise emulation.
    #[default]
    Auto,
    /// KVM, or a problem.
    Kvm,
    /// Emulation.
    Tcg,
}

impl FromStr for Accel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Kvm),
            "tcg" => Ok(Self::Tcg),
            _ => Err("it is auto, kvm or tcg".into()),
        }
    }
}

/// What was chosen, and why.
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

/// Chooses; `trial` boots a guest with KVM and fails where that does not work. Its outcome is
/// remembered until the host boots again.
///
/// # Errors
/// KVM was demanded and does not work.
pub(super) fn choose(
    cache: &Cache,
    root: &Root,
    wish: Accel,
    trial: impl FnOnce() -> Result<()>,
) -> Result<Choice> {
    let choice = match wish {
        Accel::Tcg => Choice::new(false, "as asked"),
        Accel::Auto | Accel::Kvm => probe(cache, root, trial),
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

fn probe(cache: &Cache, root: &Root, trial: impl FnOnce() -> Result<()>) -> Choice {
    if let Err(error) = File::options().read(true).write(true).open(DEVICE) {
        return Choice::new(false, format!("{DEVICE} cannot be opened ({error})"));
    }
    let answer = cache.path(format!("guest/accel-{}", key(root)));
    if let Some(choice) = remembered(&answer) {
        return choice;
    }
    // Several guests that start at once try it once.
    let _lock = cache.lock("guest/accel");
    if let Some(choice) = remembered(&answer) {
        return choice;
    }
    say(&format!("{DEVICE} is there: trying whether a guest boots with it"));
    let (choice, lasting) = match trial() {
        Ok(()) => (Choice::new(true, "a trial guest booted with it"), true),
        Err(problem) => {
            let fact = problem.fact.lines().next().unwrap_or_default();
            // A kernel that panics in the trial says nothing about KVM under another one.
            let lasting = problem.kind == Kind::Host;
            (Choice::new(false, format!("with KVM {fact}")), lasting)
        }
    };
    if lasting {
        let name = if choice.kvm { "kvm" } else { "tcg" };
        // If it cannot be written, the next guest tries again.
        let _ = cache::write_atomic(&answer, format!("{name}\n{}\n", choice.why).as_bytes());
    }
    choice
}

fn remembered(answer: &Path) -> Option<Choice> {
    let text = fs::read_to_string(answer).ok()?;
    match text.split_once('\n')? {
        ("kvm", why) => Some(Choice::new(true, why.trim_end())),
        ("tcg", why) => Some(Choice::new(false, why.trim_end())),
        _ => None,
    }
}

/// The host's processor, as far as a guest sees it under KVM: the text about the first one.
pub(super) fn processor() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let fixed = |line: &&str| {
        ["vendor_id", "cpu family", "model", "stepping", "microcode", "flags"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let first = all.split("\n\n").next().unwrap_or_default();
    first.lines().filter(fixed).collect::<Vec<_>>().join("\n")
}

/// What the answer depends on: the host's kernel since its boot, and QEMU.
fn key(root: &Root) -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let boot = read("/proc/sys/kernel/random/boot_id");
    let release = read("/proc/sys/kernel/osrelease");
    cache::key([boot.as_str(), release.as_str(), Root::name(root.suite).as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_remembered_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let answer = folder.path().join("accel");
        assert_eq!(remembered(&answer), None);
        fs::write(&answer, "tcg\nwith KVM it hung\n").unwrap();
        assert_eq!(remembered(&answer), Some(Choice::new(false, "with KVM it hung")));
        fs::write(&answer, "kvm").unwrap();
        assert_eq!(remembered(&answer), None);
    }
}
