// SPDX-License-Identifier: GPL-2.0

//! Asks for the standard library.

use std::io;

/// Where a program's output goes.
pub fn output() -> io::Stdout {
    io::stdout()
}
