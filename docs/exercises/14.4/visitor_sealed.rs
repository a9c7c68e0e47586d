// SPDX-License-Identifier: GPL-2.0

//! Loads with the greeter that it was built for, and with no other.

use kernel::prelude::*;

module! {
    type: VisitorSealed,
    name: "visitor_sealed",
    authors: ["The symstack authors"],
    description: "Loads with the greeter that it was built for, and with no other",
    license: "GPL",
}

struct VisitorSealed;

impl kernel::Module for VisitorSealed {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("sealed with nothing\n");
        Ok(VisitorSealed)
    }
}
