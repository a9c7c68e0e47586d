// SPDX-License-Identifier: GPL-2.0

//! Keeps a total for other modules.
//!
//! C header: `sample.h`, which states the contract of every exported function.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
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

/// Compares a function of this file with its C declaration.
///
/// The arms of an `if` have one type, so every difference is a compile error.
macro_rules! exported {
    ($function:ident) => {
        const _: () = {
            if true {
                bindings::$function
            } else {
                $function
            };
        };
    };
}

exported!(sample_add);
exported!(sample_total);

module! {
    type: Loaded,
    name: "sample",
    description: "Keeps a total for other modules",
    license: "GPL",
}

static TOTAL: Atomic<i64> = Atomic::new(0);

/// Adds to the total and returns 0, or `-ERANGE` and leaves it as it is.
///
/// # Safety
///
/// None needed: `unsafe` because every function that a C header declares is.
#[no_mangle]
pub unsafe extern "C" fn sample_add(amount: i64) -> c_int {
    let mut old = TOTAL.load(Relaxed);
    loop {
        let Some(new) = old.checked_add(amount) else {
            return ERANGE.to_errno();
        };
        match TOTAL.cmpxchg(old, new, Relaxed) {
            Ok(_) => return 0,
            Err(current) => old = current,
        }
    }
}

/// Returns the total.
///
/// # Safety
///
/// None needed, as for the function above.
#[no_mangle]
pub unsafe extern "C" fn sample_total() -> i64 {
    TOTAL.load(Relaxed)
}

/// The loaded module.
struct Loaded;

impl kernel::Module for Loaded {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("ready\n");
        Ok(Self)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        pr_info!("ends at {}\n", TOTAL.load(Relaxed));
    }
}
