// SPDX-License-Identifier: GPL-2.0

//! Calls mine, from Rust.

use kernel::prelude::*;

module! {
    type: UsesMine,
    name: "uses_mine_rs",
    authors: ["The symstack authors"],
    description: "Calls mine, from Rust",
    license: "GPL",
    imports_ns: ["MINE"],
}

// By hand, as `mine.h` has it: an exercise of one function.
extern "C" {
    fn mine_calls() -> c_int;
}

struct UsesMine;

impl kernel::Module for UsesMine {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: It has no requirements.
        let calls = unsafe { mine_calls() };
        pr_info!("call {calls}\n");
        Ok(UsesMine)
    }
}
