//! The kernel's answer to one file, check by check.

use ko::kmod_unpack::{KmodErrno, KmodRefusal};

use crate::{
    check_id::CheckId,
    errno::Errno,
    hint::{Cause, FOR_KMOD},
    taints::Taints,
};

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel goes on.
    Pass,
    /// The kernel refuses the module with this error.
    Fail(Errno),
    /// The check does not apply to this kernel or this request; the reason.
    Skip(String),
    /// The check's answer is not known before the load, and the later checks do not depend on it;
    /// what is not known.
    Open(String),
    /// The kernel's answer from here on cannot be decided offline; the reason.
    Unknown(String),
}

/// One check: what was wanted, what was found, what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// Its name.
    pub id: CheckId,
    /// Its outcome.
    pub outcome: Outcome,
    /// The kernel's demand; empty where a pass says it all.
    pub want: String,
    /// The file's own value.
    pub have: String,
    /// The remedy for a refusal; empty where there is none.
    pub hint: String,
}

/// The result of a check function; a [`CheckResult`] is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) want: String,
    pub(super) have: String,
    /// Decides over the hint where the check alone does not.
    pub(super) cause: Option<Cause>,
}

impl Finding {
    pub(super) fn pass() -> Self {
        Self::new(Outcome::Pass)
    }

    pub(super) fn fail(errno: Errno) -> Self {
        Self::new(Outcome::Fail(errno))
    }

    pub(super) fn skip(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Skip(reason.into()))
    }

    pub(super) fn open(what: impl Into<String>) -> Self {
        Self::new(Outcome::Open(what.into()))
    }

    /// The reason ends in what would decide, after a colon. Without one it is a file that no build
    /// makes and of which the kernel does not check what is named: the hint is then
    /// [`crate::hint::hint_for_unknown`]'s.
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Unknown(reason.into()))
    }

    fn new(outcome: Outcome) -> Self {
        Self { outcome, want: String::new(), have: String::new(), cause: None }
    }

    pub(super) fn want(mut self, want: impl Into<String>) -> Self {
        self.want = want.into();
        self
    }

    pub(super) fn have(mut self, have: impl Into<String>) -> Self {
        self.have = have.into();
        self
    }

    pub(super) fn because(mut self, cause: impl Into<Option<Cause>>) -> Self {
        self.cause = cause.into();
        self
    }
}

/// The prediction for the load of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No check refuses it: the kernel would run its init.
    Loads,
    /// The kernel refuses it with this error.
    Refused(Errno),
    /// It cannot be decided offline; the reason.
    Unknown(String),
}

/// The verdict on one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The module's name, as far as it has one.
    pub name: String,
    /// The answer for it.
    pub answer: Answer,
    /// The lines that the kernel would log, in order, without timestamps. [`crate::log_line`] has
    /// the stand-ins for what differs from boot to boot or from build to build.
    pub messages: Vec<String>,
    /// The taints that the module would carry.
    pub taints: Taints,
    /// Every check that the kernel would come to, in its order.
    pub checks: Vec<CheckResult>,
}

impl Verdict {
    /// The verdict on a file that kmod refuses: the kernel is not asked, and logs nothing.
    pub fn refused_by_kmod(name: String, refusal: &KmodRefusal) -> Self {
        let errno = match refusal.errno {
            KmodErrno::Invalid => Errno::EINVAL,
            KmodErrno::NotBuiltIn => Errno::ENOSYS,
        };
        let check = CheckResult {
            id: CheckId::Kmod,
            outcome: Outcome::Fail(errno),
            want: format!("a file that {} takes", refusal.by),
            have: refusal.reason.clone(),
            hint: FOR_KMOD.into(),
        };
        let (answer, messages) = (Answer::Refused(errno), Vec::new());
        Self { name, answer, messages, taints: Taints::default(), checks: vec![check] }
    }

    /// Returns `true` if kmod refuses the file, and the kernel is not asked.
    pub fn is_kmods(&self) -> bool {
        self.decisive().is_some_and(|check| check.id == CheckId::Kmod)
    }

    /// `true` if it would load.
    pub fn loads(&self) -> bool {
        self.answer == Answer::Loads
    }

    /// The check that decided, unless all passed.
    pub fn decisive(&self) -> Option<&CheckResult> {
        let decides =
            |c: &&CheckResult| matches!(c.outcome, Outcome::Fail(_) | Outcome::Unknown(_));
        self.checks.iter().find(decides)
    }
}
