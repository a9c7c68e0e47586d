// SPDX-License-Identifier: GPL-2.0

//! Says hello when it is loaded, and goodbye when it is removed.

use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello",
    authors: ["The symstack authors"],
    description: "Says hello, and goodbye",
    license: "GPL",
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello world!\n");
        Ok(Hello)
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        pr_info!("Goodbye!\n");
    }
}
