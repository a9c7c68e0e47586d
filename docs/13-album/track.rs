// SPDX-License-Identifier: GPL-2.0

//! The safe side of `album.h`, which all tracks share. All that is `unsafe` in them is here.
//!
//! A track is a module with `type: Track` and a `static MELODY`, and has no code of its own.

use kernel::{
    error::to_result,
    prelude::*, //
};

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    non_camel_case_types,
    reason = "album.h is written for C"
)]
mod bindings {
    //! What `album.h` declares, as bindgen reads it.
    use kernel::ffi;

    include!(env!("ALBUM_BINDINGS"));
}

// ANCHOR: track
/// A title and its notes.
pub(crate) struct Melody(bindings::album_track);

// SAFETY: It points to what is never changed.
unsafe impl Sync for Melody {}

impl Melody {
    /// Makes a melody.
    pub(crate) const fn new(title: &'static CStr, notes: &'static [bindings::album_note]) -> Self {
        Self(bindings::album_track {
            title: kernel::str::as_char_ptr_in_const_context(title),
            notes: notes.as_ptr(),
            count: notes.len(),
        })
    }
}

/// The loaded module: while it is there, [`crate::MELODY`] is on the album.
///
/// The kernel makes it, and drops it before the module's memory goes; a track has no code that
/// could hold it back.
pub(crate) struct Track(());

impl kernel::Module for Track {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: A static stays where it is, and this one as it is, until the module goes. Before
        // that the kernel drops what is returned here.
        to_result(unsafe { bindings::album_add(&crate::MELODY.0) })?;
        Ok(Self(()))
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        // SAFETY: It may be called with any track.
        unsafe { bindings::album_remove(&crate::MELODY.0) };
    }
}
// ANCHOR_END: track

/// Notes, each a pitch and a length in eighths.
macro_rules! notes {
    ($($pitch:ident $eighths:literal)*) => {
        &[$($crate::track::note($crate::track::pitch::$pitch, $eighths)),*]
    };
}
pub(crate) use notes;

/// A note.
pub(crate) const fn note(pitch: u8, eighths: u8) -> bindings::album_note {
    bindings::album_note { pitch, eighths }
}

#[allow(dead_code, reason = "no track has them all")]
pub(crate) mod pitch {
    //! The pitches that the tracks have.
    pub(crate) const G3: u8 = 55;
    pub(crate) const C4: u8 = 60;
    pub(crate) const D4: u8 = 62;
    pub(crate) const E4: u8 = 64;
    pub(crate) const F4: u8 = 65;
    pub(crate) const G4: u8 = 67;
    pub(crate) const A4: u8 = 69;
    pub(crate) const B4: u8 = 71;
    pub(crate) const C5: u8 = 72;
}
