//! A command for the guest.

use std::time::Duration;

use super::protocol::Request;
use crate::host::builder::builder;

/// A command for the guest, run in `/work`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub(super) request: Request,
    /// The words by which it is told.
    pub(super) line: String,
    pub(super) deadline: Option<Duration>,
}

impl Command {
    /// A line for `/bin/sh -c`, whose two outputs are merged in the order in which it writes.
    pub fn new(line: impl Into<String>) -> Self {
        let line = line.into();
        let request = Request::Run { split_stderr: false, line: line.clone() };
        Self { request, line, deadline: None }
    }

    /// A program with its arguments, which no shell reads: they may hold what others wrote.
    pub fn tool(words: &[&str]) -> Self {
        let line = shell_words::join(words);
        let request = Request::Tool(words.iter().map(|word| (*word).to_owned()).collect());
        Self { request, line, deadline: None }
    }

    /// A file of the guest, read by the agent itself instead of by a program.
    pub fn read(path: &str) -> Self {
        Self { request: Request::Read(path.into()), line: format!("cat {path}"), deadline: None }
    }

    /// Keeps the standard output and the standard error of a line apart.
    #[must_use]
    pub fn split_stderr(mut self) -> Self {
        if let Request::Run { split_stderr, .. } = &mut self.request {
            *split_stderr = true;
        }
        self
    }

    builder! {
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
