// SPDX-License-Identifier: GPL-2.0

//! Calls nobody yet.

use kernel::prelude::*;

module! {
    type: VisitorOwn,
    name: "visitor_own",
    authors: ["The symstack authors"],
    description: "Calls nobody yet",
    license: "GPL",
}

struct VisitorOwn;

impl kernel::Module for VisitorOwn {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("call {}\n", 0);
        Ok(VisitorOwn)
    }
}
