// SPDX-License-Identifier: GPL-2.0

//! Says one line at each level of the kernel's log.

use kernel::prelude::*;

module! {
    type: Levels,
    name: "levels",
    authors: ["The symstack authors"],
    description: "A message of each level",
    license: "GPL",
}

struct Levels;

impl kernel::Module for Levels {
    // ANCHOR: init
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_emerg!("the system is unusable\n");
        pr_alert!("act now\n");
        pr_crit!("critical\n");
        pr_err!("an error\n");
        pr_warn!("a warning\n");
        pr_notice!("normal, but of note\n");
        pr_info!("for your information\n");
        pr_debug!("for whoever looks for a bug\n");
        Ok(Levels)
    }
    // ANCHOR_END: init
}
