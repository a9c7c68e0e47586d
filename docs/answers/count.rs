// SPDX-License-Identifier: GPL-2.0

//! Says how long it has been there.

use kernel::{
    prelude::*,
    time::{
        Instant,
        Monotonic, //
    },
};

module! {
    type: Count,
    name: "count",
    authors: ["The symstack authors"],
    description: "Says how long it has been there",
    license: "GPL",
}

/// When it was loaded.
struct Count(Instant<Monotonic>);

impl kernel::Module for Count {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("loaded\n");
        Ok(Self(Instant::now()))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        pr_info!("there for {} s\n", self.0.elapsed().as_millis() / 1000);
    }
}
