// SPDX-License-Identifier: GPL-2.0

//! Does not say which headers it saw.

use kernel::prelude::*;

module! {
    type: Versions,
    name: "versions",
    authors: ["The symstack authors"],
    description: "Does not say which headers it saw",
    license: "GPL",
}

struct Versions;

impl kernel::Module for Versions {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("built for some kernel\n");
        Ok(Versions)
    }
}
