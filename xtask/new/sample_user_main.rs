// SPDX-License-Identifier: GPL-2.0

//! Adds to the total of sample for as long as it is loaded.

use kernel::{
    error::to_result,
    prelude::*, //
};

#[allow(
    dead_code,
    non_camel_case_types,
    unreachable_pub,
    reason = "the header is written for C"
)]
mod bindings {
    //! The declarations of the header, as bindgen reads it.
    use kernel::ffi;

    include!(env!("BINDINGS"));
}

module! {
    type: Loaded,
    name: "sample_user",
    description: "Adds to the total of sample",
    license: "GPL",
}

/// An amount that is in the total for as long as this value lives.
struct Share(i32);

impl Share {
    /// Adds it, or fails with `ERANGE`.
    fn new(amount: i32) -> Result<Self> {
        add(amount.into())?;
        Ok(Self(amount))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // The sum fits, and so does the rest.
        let _ = add(-i64::from(self.0));
    }
}

fn add(amount: i64) -> Result {
    // SAFETY: It asks nothing of its caller.
    to_result(unsafe { bindings::sample_add(amount) })
}

fn total() -> i64 {
    // SAFETY: It asks nothing of its caller.
    unsafe { bindings::sample_total() }
}

/// The loaded module.
struct Loaded {
    _share: Share,
}

impl kernel::Module for Loaded {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let share = Share::new(2)?;
        pr_info!("{} in all\n", total());
        Ok(Self { _share: share })
    }
}
