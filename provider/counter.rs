// SPDX-License-Identifier: GPL-2.0

//! Counters: the one implementation behind the C ABI of `provider.h` and behind the crate.
//!
//! A function marked `#[inline(never)]` runs in provider, and importers reach it through the
//! kernel's symbol table. Everything else that is public here is compiled into the importer.

use super::{
    module_parameters,
    PROVIDER_NAME_MAX, //
};
use core::borrow::Borrow;
use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        global_lock,
        Arc, //
    },
};

global_lock! {
    // SAFETY: `Provider::init` initializes it before anything can lock it.
    pub(super) unsafe(uninit) static COUNTERS: Mutex<KVec<Arc<Entry>>> = KVec::new();
}

/// The number of sums that [`Counter::add_all`] made, in all modules together.
///
/// Private, and yet exported: the generic function that counts here is compiled into its callers.
static SUMS: Atomic<u64> = Atomic::new(0);

/// A registered counter: what `struct provider_counter` is behind the C ABI.
pub(super) struct Entry {
    pub(super) name: CString,
    pub(super) value: Atomic<i64>,
}

impl Entry {
    /// Adds `delta`, or fails with `ERANGE` and changes nothing.
    pub(super) fn add(&self, delta: i64) -> Result {
        let mut old = self.value.load(Relaxed);
        loop {
            let new = old.checked_add(delta).ok_or(ERANGE)?;
            match self.value.cmpxchg(old, new, Relaxed) {
                Ok(_) => return Ok(()),
                Err(current) => old = current,
            }
        }
    }
}

/// Checks `name` against the rule that `provider.h` states.
fn is_valid_name(name: &[u8]) -> bool {
    // CAST: `usize` has at least 32 bits in the kernel.
    (1..=PROVIDER_NAME_MAX as usize).contains(&name.len())
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Adds a new counter to [`COUNTERS`].
pub(super) fn register(name: &CStr) -> Result<Arc<Entry>> {
    if !is_valid_name(name.to_bytes()) {
        return Err(EINVAL);
    }

    let entry = Arc::new(
        Entry {
            name: CString::try_from(name)?,
            value: Atomic::new(0),
        },
        GFP_KERNEL,
    )?;

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
    counters.push(entry.clone(), GFP_KERNEL)?;

    pr_debug!("registered {name}\n");
    Ok(entry)
}

/// Takes the counter at an address out of [`COUNTERS`], or warns that there is none.
///
/// Compares addresses and never follows `entry`: a second call warns, unless a counter that was
/// registered since has the same address.
pub(super) fn unregister(entry: *const Entry) {
    let mut counters = COUNTERS.lock();
    let found = counters
        .iter()
        .position(|registered| core::ptr::eq(&**registered, entry));
    let removed = found.and_then(|index| counters.remove(index).ok());
    drop(counters);

    match removed {
        Some(entry) => pr_debug!("unregistered {}\n", &*entry.name),
        None => pr_warn!("a caller unregistered a counter that is not registered\n"),
    }
}

/// A counter, registered for as long as this value lives.
pub struct Counter {
    entry: Arc<Entry>,
}

impl Counter {
    /// Registers a counter that starts at zero. May sleep.
    ///
    /// # Errors
    ///
    /// Those of `provider_register` in `provider.h`.
    #[inline(never)]
    pub fn new(name: &CStr) -> Result<Self> {
        Ok(Self {
            entry: register(name)?,
        })
    }

    /// Adds `delta`, or fails with `ERANGE` and changes nothing. Callable from any context.
    #[inline(never)]
    pub fn add(&self, delta: i64) -> Result {
        self.entry.add(delta)
    }

    /// Returns the value. Inlined: this is one load in the importer.
    #[inline]
    pub fn value(&self) -> i64 {
        self.entry.value.load(Relaxed)
    }

    /// Adds the amounts of all `items` at once, or fails with `ERANGE` and adds none.
    ///
    /// Generic: compiled into every importer for the types that it uses.
    pub fn add_all<T: Amount>(&self, items: &[T]) -> Result {
        let sum = items
            .iter()
            .try_fold(0_i64, |sum, item| sum.checked_add(item.amount()))
            .ok_or(ERANGE)?;
        self.add(sum)?;
        SUMS.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Adds `amount` for as long as the returned value lives.
    ///
    /// # Errors
    ///
    /// Those of [`Counter::add`].
    pub fn hold(&self, amount: u32) -> Result<Held<'_>> {
        self.add(amount.into())?;
        Ok(Held {
            counter: self,
            amount,
        })
    }
}

impl Drop for Counter {
    #[inline(never)]
    fn drop(&mut self) {
        unregister(&*self.entry);
    }
}

/// An amount that a counter has for as long as this value lives.
///
/// It borrows the counter: a counter that something still holds cannot be dropped.
pub struct Held<'counter> {
    counter: &'counter Counter,
    amount: u32,
}

impl Drop for Held<'_> {
    #[inline(never)]
    fn drop(&mut self) {
        if self.counter.add(-i64::from(self.amount)).is_err() {
            pr_warn!("a held amount cannot be taken back\n");
        }
    }
}

/// A value that [`Counter::add_all`] can add up. Importers implement it for their own types.
pub trait Amount {
    /// Returns how much this value counts.
    fn amount(&self) -> i64;
}

/// Returns how many sums [`Counter::add_all`] has made, in all importers together.
#[inline(never)]
pub fn sums() -> u64 {
    SUMS.load(Relaxed)
}
