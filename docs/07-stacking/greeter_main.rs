// SPDX-License-Identifier: GPL-2.0

//! Greets for other modules.
//!
//! C header: `greeter.h`, which states the contract of the exported function.

use kernel::prelude::*;

#[allow(dead_code, unreachable_pub, reason = "greeter.h is written for C")]
mod bindings {
    //! What `greeter.h` declares, as bindgen reads it.
    use kernel::ffi;

    include!(env!("GREETER_BINDINGS"));
}

module! {
    type: Greeter,
    name: "greeter",
    authors: ["The symstack authors"],
    description: "Greets for other modules",
    license: "GPL",
}

// The arms of an `if` have one type: a function that differs from `greeter.h` does not compile.
const _: () = {
    if true {
        bindings::greeter_hello
    } else {
        greeter_hello
    };
};

/// Greets somebody.
///
/// # Safety
///
/// `name` is null, or a NUL-terminated string that stays for the call.
#[no_mangle]
pub unsafe extern "C" fn greeter_hello(name: *const c_char) -> c_int {
    if name.is_null() {
        return EINVAL.to_errno();
    }
    // SAFETY: It is not null, so by the safety requirements it is such a string.
    let name = unsafe { CStr::from_char_ptr(name) };
    pr_info!("Hello, {name}!\n");
    0
}

struct Greeter;

impl kernel::Module for Greeter {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Greeter)
    }
}
