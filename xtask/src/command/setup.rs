//! `setup`: the private root and the kernels.

use std::process::ExitCode;

use crate::{
    host::cache::Cache,
    kernel::{Kernel, KernelName, archive::Refresh},
    printer::Shown as _,
    problem::Result,
};

/// Make the private root and prepare kernels, following the archive
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A kernel to prepare, by its name; may be given several times
    #[arg(long = "kernel", value_name = "K", default_values = ["stock", "lab"])]
    kernels: Vec<KernelName>,
}

impl Args {
    /// Prepares each kernel that was asked for.
    ///
    /// # Errors
    /// One of them cannot be prepared.
    pub fn run(mut self) -> Result<ExitCode> {
        let cache = Cache::open()?;
        // The others then find the source there, and leave it.
        self.kernels.sort_by_key(|name| !name.keeps_source());
        for name in &self.kernels {
            let kernel = Kernel::obtain(&cache, name, Refresh::Now)?;
            outln!("{kernel} is ready: {}", kernel.tree.shown());
        }
        Ok(ExitCode::SUCCESS)
    }
}
