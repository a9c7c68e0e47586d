// SPDX-License-Identifier: GPL-2.0

//! Halves a number in floating point.

use kernel::prelude::*;

module! {
    type: Half,
    name: "half",
    authors: ["The symstack authors"],
    description: "Divides in floating point",
    license: "GPL",
    params: {
        whole: i32 {
            default: 3,
            description: "What to halve",
        },
    },
}

struct Half;

impl kernel::Module for Half {
    // ANCHOR: init
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let half = f64::from(module_parameters::whole.value()) / 2.0;
        pr_info!("{}\n", half.to_bits());
        Ok(Half)
    }
    // ANCHOR_END: init
}
