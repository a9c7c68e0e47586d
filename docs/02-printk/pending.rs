// SPDX-License-Identifier: GPL-2.0

//! Leaves a message without its newline.

use kernel::{
    pr_cont,
    prelude::*, //
};

module! {
    type: Pending,
    name: "pending",
    authors: ["The symstack authors"],
    description: "A message without a newline",
    license: "GPL",
}

struct Pending;

// ANCHOR: init
impl kernel::Module for Pending {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("one, ");
        pr_cont!("two\n");
        pr_info!("three");
        Ok(Pending)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        pr_info!("four\n");
    }
}
// ANCHOR_END: init
