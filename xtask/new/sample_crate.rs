// SPDX-License-Identifier: GPL-2.0

//! Keeps a total for other modules, which use this module as a crate.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

module! {
    type: Loaded,
    name: "sample",
    description: "Keeps a total for other modules",
    license: "GPL",
}

static TOTAL: Atomic<i64> = Atomic::new(0);

/// An amount that is in the total for as long as this value lives.
pub struct Share(i32);

impl Share {
    /// Adds it, or fails with `ERANGE`.
    #[inline(never)]
    pub fn new(amount: i32) -> Result<Self> {
        add(amount.into())?;
        Ok(Self(amount))
    }
}

impl Drop for Share {
    #[inline(never)]
    fn drop(&mut self) {
        // The sum fits, and so does the rest.
        let _ = add(-i64::from(self.0));
    }
}

/// Returns the total of all modules.
#[inline(never)]
pub fn total() -> i64 {
    TOTAL.load(Relaxed)
}

fn add(amount: i64) -> Result {
    let mut old = TOTAL.load(Relaxed);
    loop {
        let new = old.checked_add(amount).ok_or(ERANGE)?;
        match TOTAL.cmpxchg(old, new, Relaxed) {
            Ok(_) => return Ok(()),
            Err(current) => old = current,
        }
    }
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
