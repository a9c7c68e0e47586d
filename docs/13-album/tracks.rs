// SPDX-License-Identifier: GPL-2.0

//! The tracks on the album, and the two functions that are exported.
//!
//! C header: `album.h`, which states their contract.

use core::{
    ptr,
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
    /// `track` is null, or all of it is valid and unchanged for as long as what is returned.
    unsafe fn from_raw(track: *const album_track) -> Result<Self> {
        // SAFETY: By the safety requirements.
        let track = unsafe { track.as_ref() }.ok_or(EINVAL)?;
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
struct Entry {
    number: u64,
    /// Not for ever, as the type says, but as long as it is on the album: see `album.h`.
    track: Track<'static>,
    /// What to find it by, and not to be followed.
    address: *const album_track,
}

// SAFETY: Nobody follows `address`.
unsafe impl Send for Entry {}

/// The album.
struct Album {
    entries: KVec<Entry>,
    next: u64,
}

global_lock! {
    // SAFETY: Initialised by `init`, before anything can lock it.
    unsafe(uninit) static ALBUM: Mutex<Album> = Album { entries: KVec::new(), next: 1 };
}

/// Hands `look` the first track that has this number or a higher one.
///
/// The track cannot leave before `look` returns, so `look` must wait for nothing. It cannot keep
/// the track either: it has to take one of whatever lifetime.
pub(crate) fn look_at<R>(number: u64, look: impl FnOnce(u64, Track<'_>) -> R) -> Option<R> {
    let album = ALBUM.lock();
    let entry = album.entries.iter().find(|entry| entry.number >= number)?;
    Some(look(entry.number, entry.track))
}
// ANCHOR_END: list

/// Puts a track on the album.
///
/// # Safety
///
/// As `album.h` says: `track` stays where it is, and as it is, until it is removed.
#[no_mangle]
pub(crate) unsafe extern "C" fn album_add(track: *const album_track) -> c_int {
    // SAFETY: By the safety requirements, as long as the entry is there.
    match unsafe { Track::from_raw(track) }.and_then(|seen| add(seen, track)) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

fn add(track: Track<'static>, address: *const album_track) -> Result {
    let mut album = ALBUM.lock();
    if album.entries.iter().any(|entry| entry.address == address) {
        return Err(EEXIST);
    }

    let number = album.next;
    let entry = Entry {
        number,
        track,
        address,
    };
    album.entries.push(entry, GFP_KERNEL)?;
    album.next += 1;
    pr_info!("{number}. {}\n", track.title);
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
    let Some(found) = entries.position(|entry| ptr::eq(entry.address, track)) else {
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
