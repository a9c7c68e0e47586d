// SPDX-License-Identifier: GPL-2.0

//! Prints an address as a pointer and as a number.

use core::ptr;
use kernel::{
    prelude::*,
    str::CString, //
};

module! {
    type: Pointer,
    name: "pointer",
    authors: ["The symstack authors"],
    description: "An address as it is printed",
    license: "GPL",
}

static SECRET: u8 = 42;

struct Pointer;

impl kernel::Module for Pointer {
    // ANCHOR: init
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let secret = ptr::from_ref(&SECRET);

        let pointer = CString::try_from_fmt(fmt!("{secret:p}"))?;
        let number = CString::try_from_fmt(fmt!("{:#018x}", secret.addr()))?;
        let shown = *pointer == *number;
        pr_info!("{{:p}} shows the address: {shown}\n");
        Ok(Pointer)
    }
    // ANCHOR_END: init
}
