//! The end of a command: one sentence of fact, the next thing to do, and the exit status.

use std::{fmt, io, process::ExitCode};

/// The result of everything that can end a command.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// The documented exit status a [`Problem`] ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request that does not hold: a module does not build, a check fails. Status 1.
    DoesNotHold,
    /// A stack that says itself that it is not for a kernel. Status 1.
    NotForKernel,
    /// The request itself is wrong: an unknown kernel, a file that is not there. Status 2.
    Usage,
    /// This machine could not do it: no QEMU, no network, no disk, a deadline. Status 69.
    Host,
}

impl Kind {
    /// The exit status, 69 being `EX_UNAVAILABLE` of sysexits.h.
    pub fn status(self) -> u8 {
        match self {
            Self::DoesNotHold | Self::NotForKernel => 1,
            Self::Usage => 2,
            Self::Host => 69,
        }
    }
}

/// A fact that ends a command, and what its reader can do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Returns the meaning of the exit status.
    pub kind: Kind,
    /// One lowercase sentence without a full stop that names the file or value and the fact.
    pub fact: String,
    /// The next command, or what to change.
    pub hint: Option<String>,
}

impl Problem {
    /// A check that failed, an input that does not hold.
    pub fn does_not_hold(fact: impl Into<String>) -> Self {
        Self::new(Kind::DoesNotHold, fact)
    }

    /// A stack says that it is not for a kernel.
    pub fn not_for_kernel(fact: impl Into<String>) -> Self {
        Self::new(Kind::NotForKernel, fact)
    }

    /// A request that cannot be understood or names something that is not there.
    pub fn usage(fact: impl Into<String>) -> Self {
        Self::new(Kind::Usage, fact)
    }

    /// Something this machine lacks or could not do in time.
    pub fn host(fact: impl Into<String>) -> Self {
        Self::new(Kind::Host, fact)
    }

    fn new(kind: Kind, fact: impl Into<String>) -> Self {
        Self { kind, fact: fact.into(), hint: None }
    }

    /// Adds the next thing to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fact, said of this place: a file, a line, a step.
    #[must_use]
    pub fn of(self, place: impl fmt::Display) -> Self {
        Self { fact: format!("{place}: {}", self.fact), ..self }
    }

    /// The first line of the fact; what follows is the end of some output.
    pub fn first_line(&self) -> &str {
        self.fact.lines().next().unwrap_or_default()
    }

    /// The status with which the process ends.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.status())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fact)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// Turns an error of the operating system into a [`Problem`] that names what it was about.
pub trait OrProblem<T> {
    /// The machine is at fault: `what` becomes "`what`: the system's own words".
    ///
    /// # Errors
    /// Whatever `self` holds, as a [`Kind::Host`] problem.
    fn or_host(self, what: impl FnOnce() -> String) -> Result<T>;

    /// The request is at fault, for example it names a file that cannot be read.
    ///
    /// # Errors
    /// Whatever `self` holds, as a [`Kind::Usage`] problem.
    fn or_usage(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> OrProblem<T> for Result<T, E> {
    fn or_host(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let error = error.into();
            let problem = Problem::host(format!("{}: {error}", what()));
            match error.kind() {
                io::ErrorKind::StorageFull => problem.hint("free some space and run it again"),
                _ => problem,
            }
        })
    }

    fn or_usage(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Problem::usage(format!("{}: {}", what(), error.into())))
    }
}
