// SPDX-License-Identifier: GPL-2.0

//! Offers three functions, which `greeter_exports.c` exports.

use kernel::prelude::*;

module! {
    type: Greeter,
    name: "greeter",
    authors: ["The symstack authors"],
    description: "Exports three functions",
    license: "GPL",
}

// ANCHOR: functions
/// What `struct greeter_card` is in C.
#[repr(C)]
struct GreeterCard {
    width: c_int,
    height: c_int,
    depth: c_int,
}

#[no_mangle]
extern "C" fn greeter_add(left: c_long, right: c_int) -> c_int {
    (left as c_int).wrapping_add(right)
}

#[no_mangle]
extern "C" fn greeter_sub(from: c_int, what: c_int) -> c_int {
    from.wrapping_sub(what)
}

/// # Safety
///
/// `of` is null, or points to a card that nobody changes meanwhile.
#[no_mangle]
unsafe extern "C" fn greeter_area(of: *const GreeterCard) -> c_int {
    // SAFETY: By the safety requirements.
    match unsafe { of.as_ref() } {
        Some(of) => of.width.wrapping_mul(of.height).wrapping_mul(of.depth),
        None => EINVAL.to_errno(),
    }
}
// ANCHOR_END: functions

struct Greeter;

impl kernel::Module for Greeter {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Greeter)
    }
}
