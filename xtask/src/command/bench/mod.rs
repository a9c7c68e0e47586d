//! `bench`: the figures we state, measured here and now.

pub mod facts;
mod measure;
mod restore;

use std::process::ExitCode;

use crate::problem::Result;

/// Measure what the documentation states
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

verbs! {
    enum What {
        Facts(facts::Facts),
        Loop(restore::Loop),
    }
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A tree or a tool that is not there, a tool that fails.
    pub fn run(self) -> Result<ExitCode> {
        self.what.dispatch()
    }
}
