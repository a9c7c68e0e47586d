// SPDX-License-Identifier: GPL-2.0

//! Uses a function of `greeter`.

use kernel::prelude::*;

module! {
    type: Visitor,
    name: "visitor",
    authors: ["The symstack authors"],
    description: "Uses a function of greeter",
    license: "GPL",
}

// ANCHOR: visitor
extern "C" {
    fn greeter_add(left: c_int, right: c_int) -> c_int;
}

struct Visitor;

impl kernel::Module for Visitor {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: Declared as in `old/greeter.h`, and without requirements.
        let sum = unsafe { greeter_add(40, 2) };
        pr_info!("40 + 2 = {sum}\n");
        Ok(Visitor)
    }
}
// ANCHOR_END: visitor
