// SPDX-License-Identifier: GPL-2.0

//! Plays the tracks that are loaded: `/dev/album` is their notes, `/dev/album_pcm` their sound.

mod form;
mod tracks;

use core::marker::PhantomData;
use form::{
    Form,
    Pcm,
    Sheet, //
};
use kernel::{
    fs::{
        File,
        Kiocb, //
    },
    iov::IovIterDest,
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    new_mutex,
    prelude::*,
    sync::Mutex, //
};

module! {
    type: Player,
    name: "player",
    authors: ["The symstack authors"],
    description: "Plays the tracks that are loaded",
    license: "GPL",
}

/// The loaded module: its two devices.
#[pin_data(PinnedDrop)]
struct Player {
    #[pin]
    _sheet: MiscDeviceRegistration<Reader<Sheet>>,
    #[pin]
    _pcm: MiscDeviceRegistration<Reader<Pcm>>,
}

impl kernel::InPlaceModule for Player {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // SAFETY: A module is initialized once, and nobody can use its symbols or its devices
        // before: those are made below.
        unsafe { tracks::init() };

        try_pin_init!(Self {
            _sheet <- MiscDeviceRegistration::register(MiscDeviceOptions { name: c"album" }),
            _pcm <- MiscDeviceRegistration::register(MiscDeviceOptions { name: c"album_pcm" }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Player {
    fn drop(self: Pin<&mut Self>) {
        tracks::forget();
    }
}

// ANCHOR: reader
/// The most bytes that one read makes while the album is locked.
const CHUNK: usize = 4096;

/// Where a reader is: not a pointer to a track, which may go, but its number.
struct Place {
    track: u64,
    byte: usize,
}

/// An open file.
#[pin_data]
struct Reader<F> {
    #[pin]
    place: Mutex<Place>,
    form: PhantomData<F>,
}

#[vtable]
impl<F: Form> MiscDevice for Reader<F> {
    type Ptr = Pin<KBox<Self>>;

    fn open(_file: &File, _device: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                place <- new_mutex!(Place { track: 0, byte: 0 }),
                form: PhantomData,
            }),
            GFP_KERNEL,
        )
    }

    fn read_iter(kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let mut chunk = KVec::from_elem(0, iov.len().min(CHUNK), GFP_KERNEL)?;
        let reader = kiocb.file();
        let mut place = reader.place.lock();

        let made = loop {
            // The album is locked in here, and only in here.
            let made = tracks::look_at(place.track, |number, track| {
                if number != place.track {
                    (place.track, place.byte) = (number, 0);
                }
                F::make(track, place.byte, &mut chunk)
            });
            match made {
                // The end of this track.
                Some(0) if !chunk.is_empty() => {
                    (place.track, place.byte) = (place.track + 1, 0);
                }
                Some(made) => break made,
                None => return Ok(0),
            }
        };

        // This may wait for as long as the reader's memory takes to be there, so no track waits.
        let read = iov.copy_to_iter(chunk.get(..made).unwrap_or_default());
        place.byte += read;
        if read == 0 && made > 0 {
            return Err(EFAULT);
        }
        Ok(read)
    }
}
// ANCHOR_END: reader
