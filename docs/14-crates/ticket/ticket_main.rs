// SPDX-License-Identifier: GPL-2.0

//! Numbered tickets for things that somebody keeps.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

module! {
    type: TicketModule,
    name: "ticket",
    authors: ["The symstack authors"],
    description: "Numbered tickets for things that somebody keeps",
    license: "GPL",
}

mod press {
    //! What `press.h` declares.

    extern "C" {
        fn press_next() -> u64;
    }

    /// Returns the next number.
    pub(super) fn next() -> u64 {
        // SAFETY: `press.h` asks nothing of the caller.
        unsafe { press_next() }
    }
}

/// The weight of all things that are kept, in whichever module.
///
/// Private, and yet exported: the generic function that counts here is compiled into its callers.
static WEIGHT: Atomic<u64> = Atomic::new(0);

// ANCHOR: crate
/// A ticket. Nobody can make one, copy one, or change its number.
pub struct Ticket {
    number: u64,
}

impl Ticket {
    /// Draws the next ticket.
    #[inline(never)]
    pub fn draw() -> Self {
        Self {
            number: press::next(),
        }
    }

    /// Returns its number.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Ticket {
    #[inline(never)]
    fn drop(&mut self) {
        pr_info!("{} is torn\n", self.number);
    }
}

/// What can be kept. Importers implement it for their own types.
pub trait Keep {
    /// Returns how heavy it is.
    fn weight(&self) -> u64;
}

/// Something that is kept for as long as this value lives.
pub struct Kept<T: Keep> {
    ticket: Ticket,
    thing: T,
}

impl<T: Keep> Kept<T> {
    /// Takes a thing, and draws a ticket for it.
    pub fn new(thing: T) -> Self {
        WEIGHT.fetch_add(thing.weight(), Relaxed);
        Self {
            ticket: Ticket::draw(),
            thing,
        }
    }

    /// Returns its ticket, which cannot be kept for longer than the thing.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }
}

impl<T: Keep> Drop for Kept<T> {
    fn drop(&mut self) {
        WEIGHT.fetch_sub(self.thing.weight(), Relaxed);
    }
}

/// Returns how heavy all things are that are kept, for all importers together.
#[inline(never)]
pub fn weight() -> u64 {
    WEIGHT.load(Relaxed)
}
// ANCHOR_END: crate

struct TicketModule;

impl kernel::Module for TicketModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
