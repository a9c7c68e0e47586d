// SPDX-License-Identifier: GPL-2.0

//! Greets as often as it is told.

use core::borrow::Borrow;
use kernel::prelude::*;

module! {
    type: Repeats,
    name: "repeats",
    authors: ["The symstack authors"],
    description: "Greets as often as it is told",
    license: "GPL",
    params: {
        times: u8 {
            default: 1,
            description: "How often, 1 to 9",
        },
    },
}

struct Repeats;

impl kernel::Module for Repeats {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let times: u8 = *Borrow::borrow(&module_parameters::times.value());

        if !(1..=9).contains(&times) {
            return Err(ERANGE);
        }
        for _ in 0..times {
            pr_info!("Hello world!\n");
        }
        Ok(Repeats)
    }
}
