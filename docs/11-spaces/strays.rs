// SPDX-License-Identifier: GPL-2.0

//! Takes the fourth of three.

use kernel::prelude::*;

module! {
    type: Strays,
    name: "strays",
    authors: ["The symstack authors"],
    description: "Takes an element that is not there",
    license: "GPL",
    params: {
        index: usize {
            default: 3,
            description: "Which element to take",
        },
    },
}

struct Strays;

impl kernel::Module for Strays {
    // ANCHOR: init
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let three = [10, 20, 30];
        let index = module_parameters::index.value();
        pr_info!("element {index} is {}\n", three[index]);
        Ok(Strays)
    }
    // ANCHOR_END: init
}
