// SPDX-License-Identifier: GPL-2.0

//! Three notes, a track for the player.

use kernel::{
    error::to_result,
    prelude::*, //
};

module! {
    type: Own,
    name: "track_own",
    authors: ["The symstack authors"],
    description: "Three notes, a track for the player",
    license: "GPL",
}

/// As `struct album_note` in `album.h`: the pitch, and how many eighths long.
#[allow(dead_code, reason = "the player reads it")]
#[repr(C)]
struct Note(u8, u8);

/// As `struct album_track` in `album.h`.
#[allow(dead_code, reason = "the player reads it")]
#[repr(C)]
struct Track {
    title: *const c_char,
    notes: *const Note,
    count: usize,
}

// SAFETY: It points to what is never changed.
unsafe impl Sync for Track {}

// By hand, as `album.h` has them: an exercise of one track.
extern "C" {
    fn album_add(track: *const Track) -> c_int;
    fn album_remove(track: *const Track);
}

static NOTES: [Note; 3] = [Note(60, 2), Note(64, 2), Note(67, 4)];

static TRACK: Track = Track {
    title: kernel::str::as_char_ptr_in_const_context(c"Three notes"),
    notes: NOTES.as_ptr(),
    count: NOTES.len(),
};

struct Own;

impl kernel::Module for Own {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: A static stays as it is, and is taken off the album before the module goes.
        to_result(unsafe { album_add(&TRACK) })?;
        Ok(Own)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: It may be called with any track.
        unsafe { album_remove(&TRACK) };
    }
}
