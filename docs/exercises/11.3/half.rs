// SPDX-License-Identifier: GPL-2.0

//! Halves a number, and loses the half.

use kernel::prelude::*;

module! {
    type: Half,
    name: "half",
    authors: ["The symstack authors"],
    description: "Halves a number, and loses the half",
    license: "GPL",
    params: {
        whole: u16 {
            default: 3,
            description: "What to halve",
        },
    },
}

struct Half;

impl kernel::Module for Half {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("{}\n", module_parameters::whole.value() / 2);
        Ok(Half)
    }
}
