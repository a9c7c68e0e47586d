// SPDX-License-Identifier: GPL-2.0

//! Says ten times the same, and once only.

use kernel::{
    pr_info_once,
    prelude::*, //
};

module! {
    type: Once,
    name: "once",
    authors: ["The symstack authors"],
    description: "Says ten times the same, and once only",
    license: "GPL",
}

struct Once;

impl kernel::Module for Once {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        for _ in 0..10 {
            pr_info_once!("said once\n");
        }
        Ok(Once)
    }
}
