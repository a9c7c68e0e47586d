//! The kernel that judges a module: one of ours, a tree, or the running one.

use std::path::PathBuf;

use crate::{
    build,
    host::cache::Cache,
    kernel::{
        Kernel, KernelName,
        archive::Refresh,
        certificates,
        facts::{self, Overrides, TreeFacts},
        live,
    },
    problem::{Problem, Result},
};

/// The kernel that judges.
#[derive(clap::Args, Clone, Debug)]
pub struct JudgeArgs {
    /// Its name.
    #[arg(long, value_name = "K", help = KernelName::choices(), conflicts_with_all = ["tree", "live"])]
    kernel: Option<KernelName>,
    /// A prepared kernel tree, or an installed /lib/modules/RELEASE
    #[arg(long, value_name = "DIR", conflicts_with = "live")]
    pub(super) tree: Option<PathBuf>,
    /// The configuration, where the tree has none
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The kernel's Module.symvers, where the tree has none
    #[arg(long, value_name = "FILE")]
    symvers: Option<PathBuf>,
    /// The kernel's image (vmlinuz), whose certificates verify signatures, where the tree has none
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// A certificate in DER that the kernel trusts besides those in its image
    #[arg(long, value_name = "FILE")]
    certificate: Vec<PathBuf>,
    /// The running kernel, with its keyrings, the firmware's keys, and what is loaded there
    #[arg(long)]
    pub(super) live: bool,
}

impl JudgeArgs {
    /// `true` if a kernel was named.
    pub(super) fn is_named(&self) -> bool {
        self.kernel.is_some() || self.tree.is_some() || self.live
    }

    /// The name of a kernel of ours; without one it is the stock kernel.
    pub(super) fn name(&self) -> KernelName {
        self.kernel.clone().unwrap_or(KernelName::STOCK)
    }

    /// Returns the facts about the kernel, with the certificates that were named.
    ///
    /// # Errors
    /// Its tree, or a file that was named, cannot be read.
    pub(super) fn facts(&self) -> Result<TreeFacts> {
        let mut facts = self.kernel_facts()?;
        for file in &self.certificate {
            facts.trust(certificates::of_file(file)?);
        }
        Ok(facts)
    }

    fn kernel_facts(&self) -> Result<TreeFacts> {
        let overrides = Overrides {
            config: self.config.clone(),
            symvers: self.symvers.clone(),
            image: self.image.clone(),
        };
        if self.live {
            return live::of_running(&overrides);
        }
        if let Some(tree) = &self.tree {
            return facts::of_tree(tree, &overrides);
        }
        if self.config.is_some() || self.symvers.is_some() || self.image.is_some() {
            let fact = "--config, --symvers and --image go with --tree or --live";
            return Err(Problem::usage(fact));
        }
        let kernel = Kernel::obtain(&Cache::open()?, &self.name(), Refresh::Daily)?;
        facts::of_kernel(&kernel, || build::this_module(&kernel))
    }
}
