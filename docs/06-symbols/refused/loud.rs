// SPDX-License-Identifier: GPL-2.0

//! Proprietary, and prints.

use kernel::prelude::*;

module! {
    type: Loud,
    name: "loud",
    authors: ["The symstack authors"],
    description: "Proprietary, and prints",
    license: "Proprietary",
}

struct Loud;

impl kernel::Module for Loud {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("is heard\n");
        Ok(Loud)
    }
}
