// SPDX-License-Identifier: GPL-2.0

//! Is wanted by another module, which does not need it.

use kernel::prelude::*;

module! {
    type: Greeter,
    name: "greeter",
    authors: ["The symstack authors"],
    description: "Greets whoever comes to a party",
    license: "GPL",
    alias: ["symstack:greeting*"],
}

struct Greeter;

impl kernel::Module for Greeter {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("ready\n");
        Ok(Greeter)
    }
}
