// SPDX-License-Identifier: GPL-2.0

//! Asks greeter for a greeting.

use kernel::{
    error::to_result,
    prelude::*, //
};

#[allow(dead_code, unreachable_pub, reason = "greeter.h is written for C")]
mod bindings {
    //! What `greeter.h` declares, as bindgen reads it.
    use kernel::ffi;

    include!(env!("GREETER_BINDINGS"));
}

module! {
    type: Visitor,
    name: "visitor",
    authors: ["The symstack authors"],
    description: "Asks greeter for a greeting",
    license: "GPL",
}

/// Has somebody greeted: the safe side of `greeter_hello`.
fn hello(name: &CStr) -> Result {
    // SAFETY: A `CStr` is NUL-terminated, and borrowed for the call.
    to_result(unsafe { bindings::greeter_hello(name.as_char_ptr()) })
}

struct Visitor;

impl kernel::Module for Visitor {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        hello(c"visitor")?;
        Ok(Visitor)
    }
}
