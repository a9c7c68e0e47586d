//! Leftovers in the cache, of earlier versions of the agent and of kernels that are gone.

use std::collections::BTreeSet;

use super::{Boot, initramfs, static_program::AGENT, vmlinux};
use crate::{
    host::{
        cache::Cache,
        root::{Root, TRIXIE},
    },
    kernel::{
        Kernel,
        disk::{self, Item},
        listing,
    },
    problem::Result,
};

/// The entries of the cache, and those that nothing needs.
///
/// # Errors
/// The cache cannot be read.
pub fn items(cache: &Cache) -> Result<Vec<Item>> {
    let prepared = listing::prepared(cache);
    let kernels: Vec<Kernel> =
        prepared.iter().filter_map(|known| Kernel::present(cache, &known.name)).collect();
    let needed = needed(cache, &kernels);
    disk::items(cache, |entry| is_spare(entry, &needed))
}

/// The entries of the cache's folder `guest` that guests of these kernels are made of.
fn needed(cache: &Cache, kernels: &[Kernel]) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let Some(root) = Root::present(cache, TRIXIE) else { return needed };
    let agent = AGENT.key(&root);
    for kernel in kernels {
        let Some(image) = kernel.image.clone() else { continue };
        needed.extend(vmlinux::extracted(cache, &image));
        let (release, modules) = (kernel.release.clone(), kernel.modules.clone());
        let base = initramfs::base_key(&Boot { image, release, modules }, &agent);
        needed.extend(base.ok().map(|base| format!("guest/base-{base}")));
    }
    needed.insert(format!("guest/agent-{agent}"));
    needed
}

/// `true` if an entry is one that every guest of the same kind would make again within seconds, and
/// none of these kernels needs. Saved states look after themselves.
fn is_spare(entry: &str, needed: &BTreeSet<String>) -> bool {
    let kinds = ["guest/agent-", "guest/base-", "guest/kernel-"];
    kinds.iter().any(|kind| entry.starts_with(kind)) && !needed.contains(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_are_made_again_are_spare_and_unknown_ones_are_not() {
        let needed = BTreeSet::from(["guest/base-1".to_owned()]);
        assert!(is_spare("guest/base-2", &needed) && is_spare("guest/agent-1", &needed));
        for kept in ["guest/base-1", "guest/states", "guest/finit-1"] {
            assert!(!is_spare(kept, &needed), "{kept}");
        }
    }
}
