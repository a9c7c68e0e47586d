// SPDX-License-Identifier: GPL-2.0

//! Is a crate of the name `core`, because rustc takes the name from the file.

use kernel::prelude::*;

module! {
    type: Cored,
    name: "cored",
    authors: ["The symstack authors"],
    description: "Has a file of a name that is taken",
    license: "GPL",
}

struct Cored;

impl kernel::Module for Cored {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Cored)
    }
}
