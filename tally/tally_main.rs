// SPDX-License-Identifier: GPL-2.0

//! Counts with the crate of the provider module: no header, and nothing unsafe.

use kernel::prelude::*;
use provider::{
    Amount,
    Counter, //
};

module! {
    type: Tally,
    name: "tally",
    authors: ["The symstack authors"],
    description: "A counter of the provider module, used as a crate",
    license: "GPL",
}

/// A mark on a tally stick.
struct Mark;

impl Amount for Mark {
    fn amount(&self) -> i64 {
        1
    }
}

/// A bundle of marks.
struct Bundle(u8);

impl Amount for Bundle {
    fn amount(&self) -> i64 {
        self.0.into()
    }
}

/// The loaded module.
struct Tally {
    counter: Counter,
}

impl kernel::Module for Tally {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let counter = Counter::new(c"tally")
            .inspect_err(|error| pr_err!("provider refused the counter: {error:?}\n"))?;

        // Two types, so two functions in this module; and one count, in provider.
        counter.add_all(&[Mark, Mark])?;
        counter.add_all(&[Bundle(5), Bundle(5)])?;
        pr_info!(
            "{} marks, {} sums in all\n",
            counter.value(),
            provider::sums()
        );

        let held = counter.hold(30)?;
        pr_info!("{} while 30 are held\n", counter.value());
        drop(held);

        if let Err(error) = counter.add(i64::MAX) {
            pr_info!("{} after an overflow: {error:?}\n", counter.value());
        }
        Ok(Self { counter })
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        pr_info!("ends at {}\n", self.counter.value());
    }
}
