// SPDX-License-Identifier: GPL-2.0

//! Calls a function that nobody exports.

use kernel::prelude::*;

module! {
    type: Asks,
    name: "asks",
    authors: ["The symstack authors"],
    description: "Calls what nobody exports",
    license: "GPL",
}

extern "C" {
    fn nobody_exports_this();
}

struct Asks;

impl kernel::Module for Asks {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: It has no requirements, and the kernel loads no module that calls it.
        unsafe { nobody_exports_this() };
        Ok(Asks)
    }
}
