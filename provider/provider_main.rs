// SPDX-License-Identifier: GPL-2.0

//! Keeps named counters for other modules.
//!
//! Modules reach them in two ways: by the C ABI of `provider.h`, which states the contract of every
//! function that this file exports, and by this crate, whose public items are in `counter.rs`.
//! All counters are shown in debugfs, as `provider/counters`.

mod counter;

use core::ptr;
use counter::{
    register,
    unregister,
    Entry,
    COUNTERS, //
};
use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    error::from_err_ptr,
    prelude::*,
    sync::atomic::Relaxed, //
};

pub use counter::{
    sums,
    Amount,
    Counter,
    Held, //
};

#[allow(
    missing_docs,
    unreachable_pub,
    non_camel_case_types,
    reason = "provider.h is written for C"
)]
#[deny(
    dead_code,
    reason = "provider.h declares what provider neither exports nor uses"
)]
mod bindings {
    //! The declarations of `provider.h`, as bindgen reads it.
    use kernel::ffi;

    include!(env!("PROVIDER_BINDINGS"));
}

use bindings::{
    provider_counter,
    PROVIDER_NAME_MAX, //
};

/// Compares the Rust function of an exported name with its C declaration.
///
/// The arms of an `if` have one type, so every difference is a compile error. `#[export]` of
/// `rust/macros/export.rs` does the same within the kernel, and knows its own bindings only.
macro_rules! exported {
    ($function:ident) => {
        #[allow(
            dead_code,
            reason = "so that what it names counts as used (rustc 1.85)"
        )]
        const _: () = {
            if true {
                bindings::$function
            } else {
                $function
            };
        };
    };
}

// One `exported!(name);` for each line of the export table, made by Kbuild.
include!(env!("PROVIDER_EXPORTS"));

module! {
    type: Provider,
    name: "provider",
    authors: ["The symstack authors"],
    description: "Named counters, exported to other modules",
    license: "GPL",
    params: {
        max_counters: u32 {
            default: 16,
            description: "How many counters may be registered at a time",
        },
    },
}

/// Makes a counter that starts at zero, or returns an error pointer.
///
/// # Safety
///
/// `name` is null or points to a NUL-terminated string that stays valid and unchanged during the
/// call.
#[no_mangle]
pub unsafe extern "C" fn provider_register(name: *const c_char) -> *mut provider_counter {
    if name.is_null() {
        return EINVAL.to_ptr();
    }

    // SAFETY: `name` is not null, so by the safety requirements it is a valid C string.
    let name = unsafe { CStr::from_char_ptr(name) };
    // The list owns the counter, the caller has its address: what a caller never unregisters is
    // freed with this module.
    register(name).map_or_else(Error::to_ptr, |entry| {
        ptr::from_ref(&*entry).cast_mut().cast()
    })
}

/// Frees a counter; ignores a null or error pointer.
///
/// # Safety
///
/// No other call uses `counter`, now or later.
#[no_mangle]
pub unsafe extern "C" fn provider_unregister(counter: *mut provider_counter) {
    if counter.is_null() || from_err_ptr(counter).is_err() {
        return;
    }

    unregister(counter.cast());
}

/// Adds `delta` and returns 0, or `-ERANGE` and leaves the counter as it is.
///
/// # Safety
///
/// `counter` was returned by [`provider_register`] and is not unregistered before this call ends.
#[no_mangle]
pub unsafe extern "C" fn provider_add(counter: *mut provider_counter, delta: i64) -> c_int {
    // SAFETY: By the safety requirements, `counter` points to an `Entry` that outlives the call,
    // and entries are only ever shared.
    let entry: &Entry = unsafe { &*counter.cast() };

    entry.add(delta).map_or_else(Error::to_errno, |()| 0)
}

/// Returns the value of a counter.
///
/// # Safety
///
/// As for [`provider_add`].
#[no_mangle]
pub unsafe extern "C" fn provider_read(counter: *const provider_counter) -> i64 {
    // SAFETY: By the safety requirements, `counter` points to an `Entry` that outlives the call,
    // and entries are only ever shared.
    let entry: &Entry = unsafe { &*counter.cast() };

    entry.value.load(Relaxed)
}

/// Returns how many counters are registered.
///
/// # Safety
///
/// None needed: `unsafe` because every function that a C header declares is.
#[no_mangle]
pub unsafe extern "C" fn provider_count() -> c_uint {
    // CAST: `counter::register` keeps the length within `max_counters`, a `u32`.
    COUNTERS.lock().len() as c_uint
}

/// Overwrites the value of a counter.
///
/// # Safety
///
/// As for [`provider_add`].
#[no_mangle]
pub unsafe extern "C" fn provider_set(counter: *mut provider_counter, value: i64) {
    // SAFETY: By the safety requirements, `counter` points to an `Entry` that outlives the call,
    // and entries are only ever shared.
    let entry: &Entry = unsafe { &*counter.cast() };

    entry.value.store(value, Relaxed);
}

/// The loaded module. What the exported functions reach is [`COUNTERS`], not this.
#[pin_data(PinnedDrop)]
struct Provider {
    #[pin]
    _counters: File<()>,
    _debugfs: Dir,
}

impl kernel::InPlaceModule for Provider {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // SAFETY: A module is initialized once, and until that is done the kernel keeps all that
        // need its symbols waiting: `resolve_symbol_wait` in `kernel/module/main.c` (7.3).
        unsafe { COUNTERS.init() };

        let debugfs = Dir::new(c"provider");
        pr_info!(
            "room for {} counters\n",
            module_parameters::max_counters.value()
        );

        try_pin_init!(Self {
            _counters <- debugfs.read_callback_file(c"counters", (), &|(), f| {
                for Entry { name, value } in COUNTERS.lock().iter().map(|entry| &**entry) {
                    f.write_fmt(fmt!("{} {}\n", &**name, value.load(Relaxed)))?;
                }
                Ok(())
            }),
            _debugfs: debugfs,
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Provider {
    fn drop(self: Pin<&mut Self>) {
        // The kernel unloads no module whose symbols are in use, so a counter that is still here
        // was leaked by a caller that is gone. And nothing drops a static: free them by hand.
        let leaked = core::mem::take(&mut *COUNTERS.lock());
        for entry in &leaked {
            pr_warn!("{} was never unregistered\n", &*entry.name);
        }
        pr_info!("unloaded\n");
    }
}
