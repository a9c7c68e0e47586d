//! `cargo xtask VERB`: dispatch only.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{
    command,
    host::{process, progress},
    problem::Result,
};

/// Stacked Rust kernel modules, and their proof on a real kernel.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
#[command(after_help = "Exit status: 0 it holds, 1 it does not hold, 2 a wrong request, \
69 this machine could not do it.\n`vm` passes the status of the guest's command through.")]
struct Xtask {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(command::demo::Args),
    Test(command::test::Args),
    Doctor(command::doctor::Args),
    Setup(command::setup::Args),
    Kernels(command::kernels::Args),
    New(command::new::Args),
    Build(command::build::Args),
    Vm(command::vm::Args),
    Shell(command::shell::Args),
    Watch(command::watch::Args),
    Prove(command::prove::Args),
    Enter(command::enter::Args),
    Editor(command::editor::Args),
    Inspect(command::inspect::Args),
    Symvers(command::symvers::Args),
    Order(command::order::Args),
    Check(command::check::Args),
    Vermagic(command::vermagic::Args),
    Lesson(command::lesson::Args),
    Exercise(command::exercise::Args),
    Bless(command::lesson::BlessArgs),
    Bench(command::bench::Args),
}

impl Verb {
    fn run(self) -> Result<ExitCode> {
        match self {
            Self::Demo(args) => args.run(),
            Self::Test(args) => args.run(),
            Self::Doctor(args) => args.run(),
            Self::Setup(args) => args.run(),
            Self::Kernels(args) => args.run(),
            Self::New(args) => args.run(),
            Self::Build(args) => args.run(),
            Self::Vm(args) => args.run(),
            Self::Shell(args) => args.run(),
            Self::Watch(args) => args.run(),
            Self::Prove(args) => args.run(),
            Self::Enter(args) => args.run(),
            Self::Editor(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Symvers(args) => args.run(),
            Self::Order(args) => args.run(),
            Self::Check(args) => args.run(),
            Self::Vermagic(args) => args.run(),
            Self::Lesson(args) => args.run(),
            Self::Exercise(args) => args.run(),
            Self::Bless(args) => args.run(),
            Self::Bench(args) => args.run(),
        }
    }
}

fn main() -> ExitCode {
    let ended = Xtask::parse().verb.run();
    process::end_if_interrupted();
    ended.unwrap_or_else(|problem| {
        progress::say(&format!("error: {problem}"));
        problem.exit_code()
    })
}
