// SPDX-License-Identifier: GPL-2.0

//! Fails in its init with the error that it is asked for.

use core::borrow::Borrow;
use kernel::prelude::*;

module! {
    type: Fails,
    name: "fails",
    authors: ["The symstack authors"],
    description: "Fails to load",
    license: "GPL",
    params: {
        errno: i32 {
            default: 12,
            description: "The error's number, as a positive one",
        },
    },
}

struct Fails;

impl kernel::Module for Fails {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // 7.2 returns a reference here, 7.3 the value: both can be borrowed.
        let errno: i32 = *Borrow::borrow(&module_parameters::errno.value());
        Err(Error::from_errno(-errno))
    }
}
