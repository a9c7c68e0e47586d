// SPDX-License-Identifier: GPL-2.0

//! The tracks on the album, and the two functions that are exported.
//!
//! C header: `album.h`, which states their contract.

use core::{
    ptr::NonNull,
    slice, //
};
use kernel::{
    prelude::*,
    sync::global_lock, //
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

pub(crate) use bindings::album_note as Note;
use bindings::{
    album_track,
    ALBUM_HIGHEST,
    ALBUM_LOWEST, //
};

// The arms of an `if` have one type: a function that differs from its declaration in `album.h`
// does not compile.
const _: () = {
    if true {
        bindings::album_add
    } else {
        album_add
    };
};
const _: () = {
    if true {
        bindings::album_remove
    } else {
        album_remove
    };
};

/// A track, where its module has it.
#[derive(Clone, Copy)]
pub(crate) struct Track<'a> {
    pub(crate) title: &'a str,
    pub(crate) notes: &'a [Note],
}

impl Track<'_> {
    /// What a track of C is in Rust.
    ///
    /// # Safety
    ///
    /// All of `track` is valid and unchanged for as long as what is returned.
    unsafe fn from_raw(track: NonNull<album_track>) -> Result<Self> {
        // SAFETY: By the safety requirements.
        let track = unsafe { track.as_ref() };
        if track.title.is_null() || track.notes.is_null() {
            return Err(EINVAL);
        }

        // SAFETY: It is not null, so by the safety requirements it is a string.
        let title = unsafe { CStr::from_char_ptr(track.title) };
        // SAFETY: By the safety requirements, `notes` has `count` notes.
        let notes = unsafe { slice::from_raw_parts(track.notes, track.count) };

        let title = title.to_str().map_err(|_| EINVAL)?;
        let is_pitch = |pitch: u32| pitch == 0 || (ALBUM_LOWEST..=ALBUM_HIGHEST).contains(&pitch);
        if !notes.iter().all(|note| is_pitch(note.pitch.into())) {
            return Err(EINVAL);
        }
        Ok(Self { title, notes })
    }
}

// ANCHOR: list
/// A track on the album. Later ones have higher numbers.
///
/// # Invariants
///
/// `Track::from_raw` accepted `track`, and all of it stays valid and unchanged for as long as the
/// entry is there: see `album.h`.
struct Entry {
    number: u64,
    track: NonNull<album_track>,
}

// SAFETY: By the type invariants nobody changes the track, and it belongs to no thread.
unsafe impl Send for Entry {}

impl Entry {
    /// The track: it cannot be kept for longer than the entry, and so than the album is locked.
    fn track(&self) -> Result<Track<'_>> {
        // SAFETY: By the type invariants.
        unsafe { Track::from_raw(self.track) }
    }
}

/// The album.
struct Album {
    entries: KVec<Entry>,
    next: u64,
}

global_lock! {
    // SAFETY: Initialized by `init`, before anything can lock it.
    unsafe(uninit) static ALBUM: Mutex<Album> = Album { entries: KVec::new(), next: 1 };
}

/// Hands `look` the first track that has this number or a higher one.
///
/// The track cannot leave before `look` returns, so `look` must wait for nothing.
pub(crate) fn look_at<R>(number: u64, look: impl FnOnce(u64, Track<'_>) -> R) -> Option<R> {
    let album = ALBUM.lock();
    let entry = album.entries.iter().find(|entry| entry.number >= number)?;
    Some(look(entry.number, entry.track().ok()?))
}
// ANCHOR_END: list

/// Puts a track on the album.
///
/// # Safety
///
/// As `album.h` says: `track` stays where it is, and as it is, until it is removed.
#[no_mangle]
pub(crate) unsafe extern "C" fn album_add(track: *const album_track) -> c_int {
    // SAFETY: By the safety requirements.
    match unsafe { add(track.cast_mut()) } {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Does what [`album_add`] does.
///
/// # Safety
///
/// As for [`album_add`].
unsafe fn add(track: *mut album_track) -> Result {
    let track = NonNull::new(track).ok_or(EINVAL)?;
    // SAFETY: By the safety requirements.
    let title = unsafe { Track::from_raw(track) }?.title;

    let mut album = ALBUM.lock();
    if album.entries.iter().any(|entry| entry.track == track) {
        return Err(EEXIST);
    }

    // INVARIANT: Accepted above; whoever added it removes it before it goes.
    let number = album.next;
    album.entries.push(Entry { number, track }, GFP_KERNEL)?;
    album.next += 1;
    pr_info!("{number}. {title}\n");
    Ok(())
}

/// Takes a track off the album.
///
/// # Safety
///
/// None needed: `unsafe` because every function that a C header declares is.
#[no_mangle]
pub(crate) unsafe extern "C" fn album_remove(track: *const album_track) {
    let mut album = ALBUM.lock();
    let mut entries = album.entries.iter();
    let Some(found) = entries.position(|entry| entry.track.as_ptr().cast_const() == track) else {
        return;
    };
    if let Ok(Entry { number, .. }) = album.entries.remove(found) {
        pr_info!("{number}. is gone\n");
    }
}

/// Makes the album ready.
///
/// # Safety
///
/// Called once, and before anything else here.
pub(crate) unsafe fn init() {
    // SAFETY: By the safety requirements.
    unsafe { ALBUM.init() };
}

/// Leaves the album empty: nothing drops a static.
pub(crate) fn forget() {
    // No module is there any more that uses `album_add`, so nobody is who could remove these.
    let left = core::mem::take(&mut ALBUM.lock().entries);
    if !left.is_empty() {
        pr_warn!("{} tracks were never removed\n", left.len());
    }
}
