// SPDX-License-Identifier: GPL-2.0

//! Is wanted by another module, which does not need it.

use kernel::prelude::*;

module! {
    type: WarmUp,
    name: "warm_up",
    authors: ["The symstack authors"],
    description: "Is good to have before a concert",
    license: "GPL",
    alias: ["symstack:rehearsal*"],
}

struct WarmUp;

impl kernel::Module for WarmUp {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("ready\n");
        Ok(WarmUp)
    }
}
