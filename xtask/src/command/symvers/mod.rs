//! `symvers`: what a Module.symvers exports, and which importers a change of it breaks.

mod diff;
mod expected;
mod explain;

use std::process::ExitCode;

use crate::problem::Result;

/// Read Module.symvers: what is exported, and what a change of it breaks
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

verbs! {
    enum Action {
        Check(expected::Check),
        Bless(expected::Bless),
        Diff(diff::Diff),
        Explain(explain::Explain),
    }
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A file that cannot be read, or that modpost would refuse.
    pub fn run(self) -> Result<ExitCode> {
        self.action.dispatch()
    }
}

/// A number of changes, in words.
fn counted(changes: usize) -> String {
    match changes {
        1 => "1 change".into(),
        many => format!("{many} changes"),
    }
}
