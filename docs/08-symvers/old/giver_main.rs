// SPDX-License-Identifier: GPL-2.0

//! Offers three functions, which `giver_exports.c` exports.

use kernel::prelude::*;

module! {
    type: Giver,
    name: "giver",
    authors: ["The symstack authors"],
    description: "Exports three functions",
    license: "GPL",
}

// ANCHOR: functions
/// What `struct giver_box` is in C.
#[repr(C)]
struct GiverBox {
    width: c_int,
    height: c_int,
}

#[no_mangle]
extern "C" fn giver_add(left: c_int, right: c_int) -> c_int {
    left.wrapping_add(right)
}

#[no_mangle]
extern "C" fn giver_sub(left: c_int, right: c_int) -> c_int {
    left.wrapping_sub(right)
}

/// # Safety
///
/// `of` is null, or points to a box that nobody changes meanwhile.
#[no_mangle]
unsafe extern "C" fn giver_area(of: *const GiverBox) -> c_int {
    // SAFETY: By the safety requirements.
    match unsafe { of.as_ref() } {
        Some(of) => of.width.wrapping_mul(of.height),
        None => EINVAL.to_errno(),
    }
}
// ANCHOR_END: functions

struct Giver;

impl kernel::Module for Giver {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Giver)
    }
}
