//! A command for the guest.

use std::time::Duration;

use crate::host::builder::builder;

/// A command line for the guest, run by `/bin/sh -c` in `/work`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub(super) line: String,
    pub(super) split_stderr: bool,
    pub(super) deadline: Option<Duration>,
}

impl Command {
    /// A command whose two outputs are merged in the order in which it writes.
    pub fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), split_stderr: false, deadline: None }
    }

    builder! {
        /// Keeps its standard output and standard error apart.
        fn split_stderr(self) {
            self.split_stderr = true;
        }

        /// Gives it another deadline than the guest's other commands.
        fn deadline(self, deadline: Duration) {
            self.deadline = Some(deadline);
        }
    }
}

impl<T: Into<String>> From<T> for Command {
    fn from(line: T) -> Self {
        Self::new(line)
    }
}
