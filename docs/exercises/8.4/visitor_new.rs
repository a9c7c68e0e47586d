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
    fn greeter_add(a: c_int, b: c_int) -> c_int;
}

struct VisitorNew;

impl kernel::Module for VisitorNew {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: It has no requirements.
        let sum = unsafe { greeter_add(1, 2) };
        pr_info!("{sum}\n");
        Ok(VisitorNew)
    }
}
