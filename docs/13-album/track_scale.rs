// SPDX-License-Identifier: GPL-2.0

//! Up the stack, and down again.

mod track;

use kernel::prelude::*;
use track::{
    notes,
    Melody,
    Track, //
};

module! {
    type: Track,
    name: "track_scale",
    authors: ["The symstack authors"],
    description: "Up and Down, a track for the player",
    license: "GPL",
}

static MELODY: Melody = Melody::new(
    c"Up and Down",
    notes! {
        C4 1  D4 1  E4 1  F4 1  G4 1  A4 1  B4 1  C5 1
        C5 1  B4 1  A4 1  G4 1  F4 1  E4 1  D4 1  C4 1
    },
);
