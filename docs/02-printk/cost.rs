// SPDX-License-Identifier: GPL-2.0

//! Compares what a message costs with what an addition costs.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        Instant,
        Monotonic, //
    },
};

module! {
    type: Cost,
    name: "cost",
    authors: ["The symstack authors"],
    description: "What a message costs",
    license: "GPL",
}

// ANCHOR: measure
/// How many nanoseconds it takes to do something a hundred times, in the best of ten rounds: in
/// the others something else may have run meanwhile.
fn measure(something: impl Fn(i64)) -> i64 {
    let rounds = (0..10).map(|_| {
        let begin = Instant::<Monotonic>::now();
        (0..100).for_each(&something);
        begin.elapsed().as_nanos()
    });
    rounds.min().unwrap_or(0)
}

static SUM: Atomic<i64> = Atomic::new(0);

struct Cost;

impl kernel::Module for Cost {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let messages = measure(|n| pr_info!("message {n}\n"));
        let additions = measure(|n| SUM.add(n, Relaxed));

        pr_info!("a message takes {} ns\n", messages / 100);
        if messages > 10 * additions {
            pr_info!("more than ten times as long as an addition\n");
        }
        Ok(Cost)
    }
}
// ANCHOR_END: measure
