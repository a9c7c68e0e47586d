// SPDX-License-Identifier: GPL-2.0

//! Says a number that is too large for an int.

use kernel::prelude::*;

module! {
    type: Large,
    name: "large",
    authors: ["The symstack authors"],
    description: "Says a number that is too large for an int",
    license: "GPL",
}

struct Large;

impl kernel::Module for Large {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let number: i64 = "4294967296".parse().map_err(|_| ERANGE)?;
        pr_info!("{number}\n");
        Ok(Large)
    }
}
