//! One file a verb: parse nothing, decide nothing, call the rooms and print.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::problem::{Problem, Result};

/// `println!`, but a reader that closed the pipe ends the process quietly instead of by a panic.
macro_rules! outln {
    ($($arg:tt)*) => { $crate::command::print_line(format_args!($($arg)*)) };
}

pub mod bench;
pub mod inspect;
pub mod order;
pub mod symvers;
pub mod vermagic;

/// Writes one line to standard output; see [`outln!`].
fn print_line(line: std::fmt::Arguments<'_>) {
    if writeln!(io::stdout().lock(), "{line}").is_err() {
        // Nobody reads any more, as after `… | head`: what `SIGPIPE` does to other programs.
        std::process::exit(141);
    }
}

/// Writes a whole text to standard output, as it is.
fn print_text(text: &str) {
    if io::stdout().lock().write_all(text.as_bytes()).is_err() {
        std::process::exit(141);
    }
}

/// Prints a documented JSON form, indented, with its newline.
///
/// # Errors
/// A value that JSON cannot hold; none of our forms has one.
fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Problem::host(format!("cannot write JSON: {error}")))?;
    outln!("{text}");
    Ok(())
}
