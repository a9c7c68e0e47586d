// SPDX-License-Identifier: GPL-2.0

//! Adds what does not fit an int.

use kernel::prelude::*;

module! {
    type: VisitorNew,
    name: "visitor_new",
    authors: ["The symstack authors"],
    description: "Adds what does not fit an int",
    license: "GPL",
}

// By hand, as `greeter_adds.h` has it: an exercise of one function.
extern "C" {
    fn greeter_add_long(a: c_long, b: c_long) -> c_long;
}

struct VisitorNew;

impl kernel::Module for VisitorNew {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: It has no requirements.
        let sum = unsafe { greeter_add_long(1 << 32, 2) };
        pr_info!("{sum}\n");
        Ok(VisitorNew)
    }
}
