//! One file a verb: parse nothing, decide nothing, call the rooms and print.

pub mod build;
pub mod setup;

use clap::Args;

use crate::kernel::Name;

/// The kernel that a command is about.
#[derive(Args, Clone, Debug)]
pub struct KernelArg {
    /// stock, stock:RELEASE, lab, or the folder of a prepared kernel tree
    #[arg(long = "kernel", value_name = "K", default_value = "stock")]
    pub name: Name,
}
