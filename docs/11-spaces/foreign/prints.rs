// SPDX-License-Identifier: GPL-2.0

//! Asks for the standard library.

use std::io;

/// Says hello as a program does.
pub fn hello() -> io::Result<()> {
    println!("Hello world!");
    Ok(())
}
