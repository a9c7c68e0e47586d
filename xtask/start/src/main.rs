//! The program behind `cargo xtask`: it builds the runner and becomes it.
//!
//! `cargo run --quiet` would say nothing for the minute that the first build takes, and without
//! `--quiet` it would say two lines before every command. So cargo's lines are passed on but for
//! the one that says that all is built. This crate depends on nothing: it is built in a second.

use std::{
    env,
    io::{self, BufRead, BufReader, IsTerminal, Write, stderr},
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
};

/// The project's manifest.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
/// A release build: the runner reads whole module trees and writes whole initramfs images.
const BUILD: [&str; 7] = [
    "build",
    "--release",
    "--locked",
    "--package=xtask",
    "--bin=xtask",
    "--manifest-path",
    MANIFEST,
];

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(stderr(), "error: the runner cannot be started: {error}");
            // As the runner does when the machine is at fault.
            ExitCode::from(69)
        }
    }
}

/// Returns only when the runner does not build.
fn start() -> io::Result<ExitCode> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let color = if stderr().is_terminal() { "--color=always" } else { "--color=auto" };
    let mut build = Command::new(cargo).args(BUILD).arg(color).stderr(Stdio::piped()).spawn()?;
    for line in BufReader::new(build.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if !(line.contains("Finished") && line.contains("target(s) in")) {
            let _ = writeln!(stderr(), "{line}");
        }
    }
    if !build.wait()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    // This program is in `debug`, and the runner beside it in `release`.
    let mut program = env::current_exe()?;
    program.pop();
    program.set_file_name("release");
    Err(Command::new(program.join("xtask")).args(env::args_os().skip(1)).exec())
}
