//! `cargo xtask VERB`: dispatch only.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
