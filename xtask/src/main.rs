//! `cargo xtask VERB`.

use std::process::ExitCode;

use clap::Parser;
use xtask::command::verb::{self, AFTER_HELP, Verb};

/// Stacked Rust kernel modules, and their proof on a real kernel.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
#[command(after_help = AFTER_HELP)]
struct Xtask {
    #[command(subcommand)]
    verb: Verb,
}

fn main() -> ExitCode {
    verb::parse::<Xtask>().map_or_else(|status| status, |given| verb::run(given.verb))
}
