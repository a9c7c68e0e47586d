//! `cargo xtask VERB`: dispatch only.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{command, problem::Result};

/// Builds, orders, checks and proves a stack of Rust kernel modules
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Bench(command::bench::Args),
    Inspect(command::inspect::Args),
    Order(command::order::Args),
    Symvers(command::symvers::Args),
    Vermagic(command::vermagic::Args),
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Bench(args) => args.run(),
        Verb::Inspect(args) => args.run(),
        Verb::Order(args) => args.run(),
        Verb::Symvers(args) => args.run(),
        Verb::Vermagic(args) => args.run(),
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(status) => status,
        Err(problem) => {
            eprintln!("error: {problem}");
            problem.exit_code()
        }
    }
}
