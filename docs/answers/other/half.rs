// SPDX-License-Identifier: GPL-2.0

//! Halves a number without floating point.

use kernel::prelude::*;

module! {
    type: Half,
    name: "half",
    authors: ["The symstack authors"],
    description: "Halves a number without floating point",
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
        let tenths = u32::from(module_parameters::whole.value()) * 10 / 2;
        pr_info!("{}.{}\n", tenths / 10, tenths % 10);
        Ok(Half)
    }
}
