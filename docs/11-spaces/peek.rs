// SPDX-License-Identifier: GPL-2.0

//! Shows the text at any address of the kernel.

use kernel::prelude::*;

module! {
    type: Peek,
    name: "peek",
    authors: ["The symstack authors"],
    description: "Shows the text at an address",
    license: "GPL",
    params: {
        address: usize {
            default: 0,
            description: "Where a text is",
        },
    },
}

struct Peek;

impl kernel::Module for Peek {
    // ANCHOR: init
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let text = module_parameters::address.value() as *const c_char;
        // SAFETY: Whoever loads the module gives the address of a C string that never changes.
        let text = unsafe { CStr::from_char_ptr(text) }.to_str()?;
        pr_info!("{text:.13}\n");
        Ok(Peek)
    }
    // ANCHOR_END: init
}
