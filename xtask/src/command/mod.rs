//! One file a verb: parse nothing, decide nothing, call the rooms and print.

pub mod shell;
pub mod vm;
