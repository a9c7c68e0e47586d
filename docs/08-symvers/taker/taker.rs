// SPDX-License-Identifier: GPL-2.0

//! Uses a function of `giver`.

use kernel::prelude::*;

module! {
    type: Taker,
    name: "taker",
    authors: ["The symstack authors"],
    description: "Uses a function of giver",
    license: "GPL",
}

// ANCHOR: taker
extern "C" {
    fn giver_add(left: c_int, right: c_int) -> c_int;
}

struct Taker;

impl kernel::Module for Taker {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: Declared as in `old/giver.h`, and without requirements.
        let sum = unsafe { giver_add(40, 2) };
        pr_info!("40 + 2 = {sum}\n");
        Ok(Taker)
    }
}
// ANCHOR_END: taker
