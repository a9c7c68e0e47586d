// SPDX-License-Identifier: GPL-2.0

//! Frère Jacques, of old: each of its four phrases once.

mod track;

use kernel::prelude::*;
use track::{
    notes,
    Melody,
    Track, //
};

module! {
    type: Track,
    name: "track_jacques",
    authors: ["The symstack authors"],
    description: "Frère Jacques, a track for the player",
    license: "GPL",
}

static MELODY: Melody = Melody::new(
    c"Frère Jacques",
    notes! {
        C4 2  D4 2  E4 2  C4 2
        E4 2  F4 2  G4 4
        G4 1  A4 1  G4 1  F4 1  E4 2  C4 2
        C4 2  G3 2  C4 4
    },
);
