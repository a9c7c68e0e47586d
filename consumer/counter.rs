// SPDX-License-Identifier: GPL-2.0

//! The safe side of `provider.h`: no other file of this module calls into provider.

use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*, //
};

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    non_camel_case_types,
    reason = "provider.h is written for C, and for more users than this one"
)]
mod bindings {
    //! What `provider.h` declares, as bindgen reads it.
    use kernel::ffi;

    include!(env!("PROVIDER_BINDINGS"));
}

/// A counter of the provider module, registered for as long as this value lives.
///
/// # Invariants
///
/// The pointer was returned by `provider_register` and has not been unregistered.
pub(crate) struct Counter(*mut bindings::provider_counter);

// SAFETY: A counter belongs to no thread: provider's functions may be called from any.
unsafe impl Send for Counter {}

// SAFETY: All methods that take `&self` are atomic in provider.
unsafe impl Sync for Counter {}

impl Counter {
    /// Registers a counter and sets it to `start`.
    pub(crate) fn new(name: &CStr, start: i64) -> Result<Self> {
        // SAFETY: `name` is NUL-terminated and borrowed for the call.
        let counter = from_err_ptr(unsafe { bindings::provider_register(name.as_char_ptr()) })?;
        // SAFETY: `counter` has just been registered.
        unsafe { bindings::provider_set(counter, start) };

        // INVARIANT: Registered above; only `drop` unregisters it.
        Ok(Self(counter))
    }

    /// Adds `delta`, or fails with `ERANGE` and changes nothing.
    pub(crate) fn add(&self, delta: i64) -> Result {
        // SAFETY: By the type invariants, the counter is registered.
        to_result(unsafe { bindings::provider_add(self.0, delta) })
    }

    /// Returns the value.
    pub(crate) fn value(&self) -> i64 {
        // SAFETY: By the type invariants, the counter is registered.
        unsafe { bindings::provider_read(self.0) }
    }

    /// Returns how many counters provider keeps for all its users.
    pub(crate) fn registered() -> u32 {
        // SAFETY: It takes no argument and asks for nothing but process context.
        unsafe { bindings::provider_count() }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the counter is registered, and nobody else has it: the
        // pointer never leaves this type.
        unsafe { bindings::provider_unregister(self.0) };
    }
}
