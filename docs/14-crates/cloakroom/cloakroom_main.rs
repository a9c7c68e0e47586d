// SPDX-License-Identifier: GPL-2.0

//! A cloakroom, for things of one kind.

use kernel::prelude::*;
use ticket::{
    Keep,
    Kept, //
};

module! {
    type: CloakroomModule,
    name: "cloakroom",
    authors: ["The symstack authors"],
    description: "A cloakroom, for things of one kind",
    license: "GPL",
}

/// The hooks that a cloakroom has.
const HOOKS: usize = 3;

/// Things, each with its ticket.
pub struct Cloakroom<T: Keep> {
    hooks: KVec<Kept<T>>,
}

impl<T: Keep> Cloakroom<T> {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self { hooks: KVec::new() }
    }

    /// Keeps a thing, and returns the number on its ticket; or fails with `ENOSPC`.
    pub fn take(&mut self, thing: T) -> Result<u64> {
        if self.hooks.len() == HOOKS {
            return Err(full());
        }
        let kept = Kept::new(thing);
        let number = kept.ticket().number();
        self.hooks.push(kept, GFP_KERNEL)?;
        Ok(number)
    }
}

impl<T: Keep> Default for Cloakroom<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Says that there is no hook left. Not generic, so it runs here.
#[inline(never)]
fn full() -> Error {
    pr_info!("all {HOOKS} hooks are taken\n");
    ENOSPC
}

struct CloakroomModule;

impl kernel::Module for CloakroomModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
