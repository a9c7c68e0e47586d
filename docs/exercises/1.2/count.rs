// SPDX-License-Identifier: GPL-2.0

//! Says how long it has been there.

use kernel::prelude::*;

module! {
    type: Count,
    name: "count",
    authors: ["The symstack authors"],
    description: "Says how long it has been there",
    license: "GPL",
}

struct Count;

impl kernel::Module for Count {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("loaded\n");
        Ok(Count)
    }
}
