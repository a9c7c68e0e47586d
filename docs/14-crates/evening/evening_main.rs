// SPDX-License-Identifier: GPL-2.0

//! An evening at the theater.

#[macro_use]
mod export;

use cloakroom::Cloakroom;
use kernel::prelude::*;
use ticket::Keep;

module! {
    type: Evening,
    name: "evening",
    authors: ["The symstack authors"],
    description: "An evening at the theater",
    license: "GPL",
}

/// A coat.
struct Coat;

impl Keep for Coat {
    fn weight(&self) -> u64 {
        2
    }
}

/// An umbrella, as long as this.
struct Umbrella(u64);

impl Keep for Umbrella {
    fn weight(&self) -> u64 {
        self.0
    }
}

/// The loaded module.
struct Evening {
    _coats: Cloakroom<Coat>,
    _umbrellas: Cloakroom<Umbrella>,
}

impl kernel::Module for Evening {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let (mut coats, mut umbrellas) = (Cloakroom::new(), Cloakroom::new());
        let first = coats.take(Coat)?;
        let second = umbrellas.take(Umbrella(5))?;
        pr_info!(
            "tickets {first} and {second}, {} in all\n",
            ticket::weight()
        );

        while coats.take(Coat).is_ok() {}
        pr_info!("{} in all\n", ticket::weight());
        Ok(Self {
            _coats: coats,
            _umbrellas: umbrellas,
        })
    }
}

// ANCHOR: by_hand
export_symbol_gpl!(fn evening_weight() -> u64);

/// Returns how heavy all things are that are kept.
#[no_mangle]
pub extern "C" fn evening_weight() -> u64 {
    ticket::weight()
}
// ANCHOR_END: by_hand
