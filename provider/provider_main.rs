// SPDX-License-Identifier: GPL-2.0

//! Keeps named counters for other modules.
//!
//! C header: `provider.h`, which states the contract of every exported function.
//! All counters are shown in debugfs, as `provider/counters`.

use core::{
    borrow::Borrow,
    ptr, //
};
use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    error::from_err_ptr,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        global_lock, //
    },
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
    //! What `provider.h` declares, as bindgen reads it.
    use kernel::ffi;

    include!(env!("PROVIDER_BINDINGS"));
}

use bindings::{
    provider_counter,
    PROVIDER_NAME_MAX, //
};

/// Compares the Rust function of an exported name with its C declaration.
///
/// The arms of an `if` have one type, so every difference is a compile error.
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

/// A counter: what `struct provider_counter` is behind the C ABI.
struct Counter {
    name: CString,
    value: Atomic<i64>,
}

global_lock! {
    // SAFETY: Initialised by `Provider::init`, before anything can lock it.
    unsafe(uninit) static COUNTERS: Mutex<KVec<KBox<Counter>>> = KVec::new();
}

/// Checks `name` against the rule that `provider.h` states.
fn is_valid_name(name: &[u8]) -> bool {
    // CAST: `usize` has at least 32 bits in the kernel.
    (1..=PROVIDER_NAME_MAX as usize).contains(&name.len())
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Adds a new counter to [`COUNTERS`] and returns its address.
fn register(name: &CStr) -> Result<*mut provider_counter> {
    if !is_valid_name(name.to_bytes()) {
        return Err(EINVAL);
    }

    // Allocated before the lock is taken: reclaim may take its time.
    let counter = KBox::new(
        Counter {
            name: CString::try_from(name)?,
            value: Atomic::new(0),
        },
        GFP_KERNEL,
    )?;
    let address = ptr::from_ref(&*counter).cast_mut().cast();

    let mut counters = COUNTERS.lock();
    if counters.iter().any(|other| *other.name == *name) {
        return Err(EEXIST);
    }
    // 7.2 returns a reference here, 7.3 the value: both can be borrowed.
    let room: u32 = *Borrow::borrow(&module_parameters::max_counters.value());
    // CAST: `usize` has at least 32 bits in the kernel.
    if counters.len() >= room as usize {
        return Err(ENOSPC);
    }
    counters.push(counter, GFP_KERNEL)?;

    pr_debug!("registered {name}\n");
    Ok(address)
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
    register(name).unwrap_or_else(Error::to_ptr)
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

    let mut counters = COUNTERS.lock();
    // Compares addresses and never follows `counter`, so that a second call is found out.
    let found = counters
        .iter()
        .position(|registered| ptr::eq(&**registered, counter.cast()));
    let removed = found.and_then(|index| counters.remove(index).ok());
    drop(counters);

    match removed {
        Some(counter) => pr_debug!("unregistered {}\n", &*counter.name),
        None => pr_warn!("a caller unregistered a counter that is not registered\n"),
    }
}

/// Adds `delta` and returns 0, or `-ERANGE` and leaves the counter as it is.
///
/// # Safety
///
/// `counter` was returned by [`provider_register`] and is not unregistered before this call ends.
#[no_mangle]
pub unsafe extern "C" fn provider_add(counter: *mut provider_counter, delta: i64) -> c_int {
    // SAFETY: By the safety requirements, `counter` points to a `Counter` that outlives the call,
    // and counters are only ever shared.
    let Counter { value, .. } = unsafe { &*counter.cast() };

    let mut old = value.load(Relaxed);
    loop {
        let Some(new) = old.checked_add(delta) else {
            return ERANGE.to_errno();
        };
        match value.cmpxchg(old, new, Relaxed) {
            Ok(_) => return 0,
            Err(current) => old = current,
        }
    }
}

/// Returns the value of a counter.
///
/// # Safety
///
/// As for [`provider_add`].
#[no_mangle]
pub unsafe extern "C" fn provider_read(counter: *const provider_counter) -> i64 {
    // SAFETY: By the safety requirements, `counter` points to a `Counter` that outlives the call,
    // and counters are only ever shared.
    let Counter { value, .. } = unsafe { &*counter.cast() };

    value.load(Relaxed)
}

/// Returns how many counters are registered.
///
/// # Safety
///
/// None needed: `unsafe` because every function that a C header declares is.
#[no_mangle]
pub unsafe extern "C" fn provider_count() -> c_uint {
    // CAST: `register` keeps the length within `max_counters`, a `u32`.
    COUNTERS.lock().len() as c_uint
}

/// Overwrites the value of a counter.
///
/// # Safety
///
/// As for [`provider_add`].
#[no_mangle]
pub unsafe extern "C" fn provider_set(counter: *mut provider_counter, value: i64) {
    // SAFETY: By the safety requirements, `counter` points to a `Counter` that outlives the call,
    // and counters are only ever shared.
    let counter: &Counter = unsafe { &*counter.cast() };

    counter.value.store(value, Relaxed);
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
        // SAFETY: A module is initialised once, and until that is done the kernel keeps everybody
        // who needs its symbols waiting: `resolve_symbol_wait` in `kernel/module/main.c` (7.3).
        unsafe { COUNTERS.init() };

        let debugfs = Dir::new(c"provider");
        pr_info!(
            "room for {} counters\n",
            module_parameters::max_counters.value()
        );

        try_pin_init!(Self {
            _counters <- debugfs.read_callback_file(c"counters", (), &|(), f| {
                for Counter { name, value } in COUNTERS.lock().iter().map(|counter| &**counter) {
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
        for counter in &leaked {
            pr_warn!("{} was never unregistered, freeing it\n", &*counter.name);
        }
        pr_info!("unloaded\n");
    }
}
