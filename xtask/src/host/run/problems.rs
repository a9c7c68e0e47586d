//! The sentences about a command that did not end well.

use std::{path::Path, process::ExitStatus};

use super::Run;
use crate::{
    host::{diagnosis, limits},
    problem::Problem,
};

impl Run {
    pub(super) fn late(&self) -> Problem {
        let seconds = self.deadline.as_secs();
        let problem = Problem::host(format!("{} took more than {seconds} s", self.name()));
        problem.hint(format!("run it by hand to see where it stops: {self}"))
    }

    pub(super) fn beyond(&self, excess: &str) -> Problem {
        let problem = self.at_fault(format!("{} took {excess}: it is ended", self.name()));
        problem.hint(format!("run it by hand to see what it does: {self}"))
    }

    /// The limit that the kernel holds and that a sandbox met, as its output tells.
    pub(super) fn limit_met(&self, status: ExitStatus, texts: &[Vec<u8>; 2]) -> Option<String> {
        let failed = self.sandbox.is_some() && !status.success();
        texts.iter().filter(|_| failed).find_map(|text| limits::met(&String::from_utf8_lossy(text)))
    }

    pub(super) fn too_much(&self, bytes: u64) -> Problem {
        self.at_fault(format!("{} printed more than {} MiB", self.name(), bytes >> 20))
    }

    /// A limit that is met in a sandbox is the fault of what runs there.
    fn at_fault(&self, fact: String) -> Problem {
        match self.sandbox {
            Some(_) => Problem::does_not_hold(fact),
            None => Problem::host(fact),
        }
    }

    /// The hint follows from the cause that its output names, if it names one.
    pub(super) fn failed(&self, status: ExitStatus, said: &str) -> Problem {
        let problem = Problem::host(format!("{} failed ({status}){said}", self.name()));
        let met = self.sandbox.as_ref().and_then(|_| limits::met(said));
        let hint = diagnosis::hint(said).or(self.hint.as_deref()).map(str::to_owned);
        let hint = met.or(hint);
        problem.hint(hint.unwrap_or_else(|| format!("run it by hand: {self}")))
    }

    /// The command's own name: what runs inside when it enters a private root.
    pub(super) fn name(&self) -> String {
        let inside = self.args.iter().skip_while(|arg| *arg != "--").nth(1);
        Path::new(inside.unwrap_or(&self.program))
            .file_name()
            .map_or_else(|| "the command".into(), |name| name.to_string_lossy().into_owned())
    }

    pub(super) fn not_started(&self) -> String {
        format!("{} cannot be started", self.program.to_string_lossy())
    }
}
