// SPDX-License-Identifier: GPL-2.0

//! Keeps more on the stack than there is room for.

use core::hint::black_box;
use kernel::prelude::*;

module! {
    type: Wide,
    name: "wide",
    authors: ["The symstack authors"],
    description: "Has a wide frame on the stack",
    license: "GPL",
}

struct Wide;

impl kernel::Module for Wide {
    // ANCHOR: init
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let table = black_box([1_u8; 16_000]);
        pr_info!("{}\n", table[0]);
        Ok(Wide)
    }
    // ANCHOR_END: init
}
