// SPDX-License-Identifier: GPL-2.0

//! Says how many of its three files are loud.

use kernel::prelude::*;

module! {
    type: Flags,
    name: "flags",
    authors: ["The symstack authors"],
    description: "Says how many of its three files are loud",
    license: "GPL",
}

extern "C" {
    fn flags_first() -> c_int;
    fn flags_second() -> c_int;
}

struct Flags;

impl kernel::Module for Flags {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: `flags.h` declares both so, and they have no requirements.
        let c_files = unsafe { flags_first() + flags_second() };
        pr_info!("{} of 3 are loud\n", c_files + c_int::from(cfg!(loud)));
        Ok(Flags)
    }
}
