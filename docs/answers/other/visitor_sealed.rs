// SPDX-License-Identifier: GPL-2.0

//! Loads with the greeter that it was built for, and with no other.

use kernel::prelude::*;

module! {
    type: VisitorSealed,
    name: "visitor_sealed",
    authors: ["The symstack authors"],
    description: "Loads with the greeter that it was built for, and with no other",
    license: "GPL",
}

// By hand, as `greeter_sealed.h` has it: an exercise of one value.
extern "C" {
    static greeter_abi_1: c_char;
}

struct VisitorSealed;

impl kernel::Module for VisitorSealed {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: `greeter_sealed` stays while this module is loaded, and nobody writes to it.
        let seal = unsafe { greeter_abi_1 };
        pr_info!("sealed with {seal}\n");
        Ok(VisitorSealed)
    }
}
