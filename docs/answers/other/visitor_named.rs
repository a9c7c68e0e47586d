// SPDX-License-Identifier: GPL-2.0

//! Calls greeter_named twice.

use kernel::prelude::*;

module! {
    type: VisitorNamed,
    name: "visitor_named",
    authors: ["The symstack authors"],
    description: "Calls greeter_named twice",
    license: "GPL",
    imports_ns: ["MINE"],
}

// By hand, as `greeter_named.h` has it: an exercise of one function.
extern "C" {
    fn greeter_named_calls() -> c_int;
}

struct VisitorNamed;

impl kernel::Module for VisitorNamed {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: It has no requirements.
        let calls = unsafe {
            greeter_named_calls();
            greeter_named_calls()
        };
        pr_info!("call {calls}\n");
        Ok(VisitorNamed)
    }
}
