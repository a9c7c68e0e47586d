//! One question that a proof asks, and its answer.

use std::fmt;

use crate::problem::Kind;

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The question.
    pub subject: Subject,
    /// The answer.
    pub answer: Answered,
    /// The index of the proof's step that answered it, if one did.
    pub step: Option<usize>,
}

impl Point {
    /// A question that no command in the guest answers.
    pub fn new(subject: Subject, answer: Answered) -> Self {
        Self { subject, answer, step: None }
    }
}

/// A question, about a module by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Is the kernel there, or can it be prepared?
    Kernel,
    /// Does the stack build for it?
    Build,
    /// Would the module load?
    Check(String),
    /// Does the guest come up?
    Guest,
    /// Does depmod find an order?
    Depmod,
    /// Does the module load?
    Load(String),
    /// Does the user's command end with status 0?
    Run,
    /// Does the module go?
    Unload(String),
    /// Does nothing show itself that the modules left behind when they went?
    Afterwards,
    /// Did the kernel keep quiet, and the guest end as agreed?
    Log,
}

impl Subject {
    /// The module that it is about.
    pub fn module(&self) -> Option<&str> {
        match self {
            Self::Check(name) | Self::Load(name) | Self::Unload(name) => Some(name),
            _ => None,
        }
    }

    /// Returns the question in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Build => "build",
            Self::Check(_) => "check",
            Self::Guest => "guest",
            Self::Depmod => "depmod",
            Self::Load(_) => "load",
            Self::Run => "run",
            Self::Unload(_) => "unload",
            Self::Afterwards => "afterwards",
            Self::Log => "kernel log",
        }
    }
}

/// For example `load provider`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.module() {
            Some(module) => write!(f, "{} {module}", self.word()),
            None => f.write_str(self.word()),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Yes.
    Holds,
    /// It could not be asked, because of something else that is told, or that is no fault.
    Skipped(Fault),
    /// It was not asked: the stack says itself that it is not for this kernel.
    NotForKernel(Fault),
    /// Neither yes nor no: the module's init finds no device of its kind in this machine.
    NoDevice(Fault),
    /// No; whose fault that is.
    Fails(Kind, Fault),
    /// A prediction that did not come true: a fault of this program.
    Differs(Fault),
}

/// Why an answer is not yes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// In a word or two, for a table.
    pub word: String,
    /// In a sentence.
    pub reason: String,
}

impl Fault {
    /// A fault in a word and in a sentence.
    pub fn new(word: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { word: word.into(), reason: reason.into() }
    }
}

impl Answered {
    /// No, and it is the stack's fault.
    pub fn fails(word: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Fails(Kind::DoesNotHold, Fault::new(word, reason))
    }

    /// It was predicted otherwise.
    pub fn differs(word: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Differs(Fault::new(word, reason))
    }

    /// It could not be asked.
    pub fn skipped(word: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Skipped(Fault::new(word, reason))
    }

    /// Why it is not yes.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Holds => None,
            Self::Skipped(fault)
            | Self::NotForKernel(fault)
            | Self::NoDevice(fault)
            | Self::Fails(_, fault)
            | Self::Differs(fault) => Some(fault),
        }
    }

    pub(super) fn fault_mut(&mut self) -> Option<&mut Fault> {
        match self {
            Self::Holds => None,
            Self::Skipped(fault)
            | Self::NotForKernel(fault)
            | Self::NoDevice(fault)
            | Self::Fails(_, fault)
            | Self::Differs(fault) => Some(fault),
        }
    }

    /// Returns the exit status for an answer that is no.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Holds | Self::Skipped(_) | Self::NotForKernel(_) | Self::NoDevice(_) => None,
            Self::Fails(kind, _) => Some(*kind),
            Self::Differs(_) => Some(Kind::DoesNotHold),
        }
    }

    /// The word for it in every form for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Skipped(_) => "skipped",
            Self::NotForKernel(_) => "not-for-kernel",
            Self::NoDevice(_) => "no-device",
            Self::Fails(Kind::DoesNotHold, _) => "fails",
            Self::Fails(..) => "not-possible",
            Self::Differs(_) => "differs",
        }
    }

    /// Returns its weight beside other answers: the worst is shown.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Skipped(_) => 1,
            Self::NotForKernel(_) => 2,
            Self::NoDevice(_) => 3,
            Self::Fails(..) => 4,
            Self::Differs(_) => 5,
        }
    }
}
