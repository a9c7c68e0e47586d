// SPDX-License-Identifier: GPL-2.0

//! Ludwig van Beethoven, Ode to Joy, 1824: the first four bars.

mod track;

use kernel::prelude::*;
use track::{
    notes,
    Melody,
    Track, //
};

module! {
    type: Track,
    name: "track_ode",
    authors: ["The symstack authors"],
    description: "Ode to Joy, a track for the player",
    license: "GPL",
}

static MELODY: Melody = Melody::new(
    c"Ode to Joy",
    notes! {
        E4 2  E4 2  F4 2  G4 2
        G4 2  F4 2  E4 2  D4 2
        C4 2  C4 2  D4 2  E4 2
        E4 3  D4 1  D4 4
    },
);
