// SPDX-License-Identifier: GPL-2.0

//! Says which headers it saw.

use kernel::prelude::*;

module! {
    type: Versions,
    name: "versions",
    authors: ["The symstack authors"],
    description: "Says which headers it saw",
    license: "GPL",
}

struct Versions;

impl kernel::Module for Versions {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // Kbuild hands the first number over as text.
        let version = u32::from_str_radix(env!("VERSION"), 10).map_err(|_| EINVAL)?;

        if version >= 7 {
            pr_info!("built for 7 or newer\n");
        } else {
            pr_info!("built for 6 or older\n");
        }
        Ok(Versions)
    }
}
