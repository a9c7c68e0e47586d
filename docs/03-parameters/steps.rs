// SPDX-License-Identifier: GPL-2.0

//! Has two parameters, which it reads when it is loaded.

use core::borrow::Borrow;
use kernel::prelude::*;

module! {
    type: Steps,
    name: "steps",
    authors: ["The symstack authors"],
    description: "Counts in steps",
    license: "GPL",
    params: {
        step: i32 {
            default: 1,
            description: "How far a step goes",
        },
        count: u8 {
            default: 3,
            description: "How many steps to go",
        },
    },
}

struct Steps;

impl kernel::Module for Steps {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // 7.2 returns a reference here, 7.3 the value: both can be borrowed.
        let step: i32 = *Borrow::borrow(&module_parameters::step.value());
        let count: u8 = *Borrow::borrow(&module_parameters::count.value());

        let way = step.checked_mul(i32::from(count)).ok_or(ERANGE)?;
        pr_info!("{count} steps of {step} are {way}\n");
        Ok(Steps)
    }
}
