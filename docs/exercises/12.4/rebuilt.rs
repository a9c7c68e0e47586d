// SPDX-License-Identifier: GPL-2.0

//! Says for which kernel it was built.

use kernel::prelude::*;

module! {
    type: Rebuilt,
    name: "rebuilt",
    authors: ["The symstack authors"],
    description: "Says for which kernel it was built",
    license: "GPL",
}

struct Rebuilt;

impl kernel::Module for Rebuilt {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("built for some kernel\n");
        Ok(Rebuilt)
    }
}
