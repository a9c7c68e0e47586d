// SPDX-License-Identifier: GPL-2.0

//! Says ten times the same.

use kernel::prelude::*;

module! {
    type: Once,
    name: "once",
    authors: ["The symstack authors"],
    description: "Says ten times the same",
    license: "GPL",
}

struct Once;

impl kernel::Module for Once {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        for _ in 0..10 {
            pr_info!("said once\n");
        }
        Ok(Once)
    }
}
