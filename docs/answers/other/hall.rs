// SPDX-License-Identifier: GPL-2.0

//! Says which hall it was asked for.

use kernel::prelude::*;

module! {
    type: Hall,
    name: "hall",
    authors: ["The symstack authors"],
    description: "Says which hall it was asked for",
    license: "GPL",
    params: {
        number: i32 {
            default: 0,
            description: "The number of the hall",
        },
    },
}

struct Hall;

impl kernel::Module for Hall {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("number {}\n", module_parameters::number.value());
        Ok(Hall)
    }
}
