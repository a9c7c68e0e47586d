// SPDX-License-Identifier: GPL-2.0

//! Proprietary, and calls nothing.

use kernel::prelude::*;

module! {
    type: Silent,
    name: "silent",
    authors: ["The symstack authors"],
    description: "Proprietary, and calls nothing",
    license: "Proprietary",
}

struct Silent;

impl kernel::Module for Silent {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Silent)
    }
}
