// SPDX-License-Identifier: GPL-2.0

//! Goes up three steps.

use core::borrow::Borrow;
use kernel::prelude::*;

module! {
    type: Ladder,
    name: "ladder",
    authors: ["The symstack authors"],
    description: "Goes up three steps",
    license: "GPL",
    params: {
        fails: u8 {
            default: 0,
            description: "Which step fails, 1 to 3; none by default",
        },
    },
}

/// A step that is done for as long as this value lives.
struct Step(u8);

impl Step {
    fn new(number: u8) -> Result<Self> {
        let fails: u8 = *Borrow::borrow(&module_parameters::fails.value());

        if number == fails {
            return Err(EBUSY);
        }
        pr_info!("step {number} is done\n");
        Ok(Self(number))
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        pr_info!("step {} is undone\n", self.0);
    }
}

struct Ladder {
    _first: Step,
}

impl kernel::Module for Ladder {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let first = Step::new(1)?;
        Step::new(2)?;
        Step::new(3)?;

        Ok(Self { _first: first })
    }
}
