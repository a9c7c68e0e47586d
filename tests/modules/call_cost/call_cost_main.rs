// SPDX-License-Identifier: GPL-2.0

//! Times the same two operations of provider through its C ABI and through its crate, by turns.

use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    time::{
        Instant,
        Monotonic, //
    },
};
use provider::Counter;

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    non_camel_case_types,
    reason = "provider.h is written for C"
)]
mod bindings {
    //! The declarations of `provider.h`, as bindgen reads it.
    use kernel::ffi;

    include!(env!("PROVIDER_BINDINGS"));
}

module! {
    type: CallCost,
    name: "call_cost",
    authors: ["The symstack authors"],
    description: "Times calls through the C ABI and through the crate",
    license: "GPL",
}

/// The number of calls that are timed at once.
const CALLS: i64 = 20_000;
/// The number of rounds. The shortest time counts: what else the machine does only adds to it.
const ROUNDS: usize = 40;

/// Keeps the shortest time that a round of calls of `call` takes, in nanoseconds.
fn time(shortest: &mut i64, mut call: impl FnMut() -> Result) -> Result {
    let start = Instant::<Monotonic>::now();
    for _ in 0..CALLS {
        call()?;
    }
    *shortest = start.elapsed().as_nanos().min(*shortest);
    Ok(())
}

struct CallCost;

impl kernel::Module for CallCost {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let counter = Counter::new(c"by-crate")?;
        // SAFETY: The name is NUL-terminated.
        let by_c = from_err_ptr(unsafe { bindings::provider_register(c"by-c".as_char_ptr()) })?;
        let [mut c_add, mut crate_add, mut c_read, mut crate_read] = [i64::MAX; 4];
        let mut sum: i64 = 0;
        let outcome = (0..ROUNDS).try_for_each(|_| {
            // SAFETY: `by_c` is registered until this closure has run for the last time.
            time(&mut c_add, || to_result(unsafe { bindings::provider_add(by_c, 1) }))?;
            time(&mut crate_add, || counter.add(1))?;
            time(&mut c_read, || {
                // SAFETY: As above.
                sum = sum.wrapping_add(unsafe { bindings::provider_read(by_c) });
                Ok(())
            })?;
            time(&mut crate_read, || {
                sum = sum.wrapping_add(counter.value());
                Ok(())
            })
        });
        // SAFETY: It is registered, and nobody uses it any more.
        unsafe { bindings::provider_unregister(by_c) };
        outcome?;
        pr_info!("add: {c_add} ns by C, {crate_add} ns by crate, of {CALLS} calls\n");
        pr_info!("read: {c_read} ns by C, {crate_read} ns by crate, of {CALLS} calls\n");
        pr_info!("the sum was {sum}\n");
        Ok(Self)
    }
}
