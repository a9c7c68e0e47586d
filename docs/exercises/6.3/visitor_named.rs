// SPDX-License-Identifier: GPL-2.0

//! Calls nobody yet.

use kernel::prelude::*;

module! {
    type: VisitorNamed,
    name: "visitor_named",
    authors: ["The symstack authors"],
    description: "Calls nobody yet",
    license: "GPL",
}

struct VisitorNamed;

impl kernel::Module for VisitorNamed {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("call {}\n", 0);
        Ok(VisitorNamed)
    }
}
