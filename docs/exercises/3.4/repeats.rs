// SPDX-License-Identifier: GPL-2.0

//! Greets once.

use kernel::prelude::*;

module! {
    type: Repeats,
    name: "repeats",
    authors: ["The symstack authors"],
    description: "Greets once",
    license: "GPL",
}

struct Repeats;

impl kernel::Module for Repeats {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello world!\n");
        Ok(Repeats)
    }
}
