// SPDX-License-Identifier: GPL-2.0

//! Calls greeter_own twice.

use kernel::prelude::*;

module! {
    type: VisitorOwn,
    name: "visitor_own",
    authors: ["The symstack authors"],
    description: "Calls greeter_own twice",
    license: "GPL",
}

// By hand, as `greeter_own.h` has it: an exercise of one function.
extern "C" {
    fn greeter_own_calls() -> c_int;
}

struct VisitorOwn;

impl kernel::Module for VisitorOwn {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: It has no requirements.
        let calls = unsafe {
            greeter_own_calls();
            greeter_own_calls()
        };
        pr_info!("call {calls}\n");
        Ok(VisitorOwn)
    }
}
