// SPDX-License-Identifier: GPL-2.0

//! Has the name of the module that it should be a part of.

use kernel::prelude::*;

module! {
    type: Stem,
    name: "stem",
    authors: ["The symstack authors"],
    description: "Is left out of its own module",
    license: "GPL",
}

struct Stem;

impl kernel::Module for Stem {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Stem)
    }
}
