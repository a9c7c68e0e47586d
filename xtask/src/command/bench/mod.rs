//! `bench`: the figures we state, measured here and now.

pub mod facts;
mod measure;

use std::process::ExitCode;

use clap::Subcommand;

use crate::problem::Result;

/// Measure what the documentation states
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Facts(facts::Facts),
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A tree or a tool that is not there, a tool that fails.
    pub fn run(self) -> Result<ExitCode> {
        match self.what {
            What::Facts(facts) => facts.run(),
        }
    }
}
