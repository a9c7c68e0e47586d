// SPDX-License-Identifier: GPL-2.0

//! The Rust part: prints what both parts were given by Kbuild.

use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello",
    authors: ["The symstack authors"],
    description: "Made of a Rust object and a C object",
    license: "GPL",
}

extern "C" {
    fn hello_limit() -> c_int;
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: `limit.c` defines it with this type, and it has no requirements.
        let limit = unsafe { hello_limit() };
        pr_info!("C was given LIMIT={limit}\n");
        pr_info!("Rust was given loud: {}\n", cfg!(loud));
        Ok(Hello)
    }
}
