//! The runner of symstack: everything between the source of stacked Rust kernel modules and the
//! proof of the stack on a real kernel.
//!
//! Rooms, top to bottom; one may use those below it, never those above. See ARCHITECTURE.md.

pub mod build;
pub mod command;
pub mod guest;
pub mod host;
pub mod kernel;
pub mod lesson;
pub mod printer;
pub mod problem;
pub mod proof;
pub mod tree;
