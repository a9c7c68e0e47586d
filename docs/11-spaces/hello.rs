// SPDX-License-Identifier: GPL-2.0

//! Greets whoever reads `/dev/hello`.

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
    prelude::*,
};

module! {
    type: Hello,
    name: "hello",
    authors: ["The symstack authors"],
    description: "Greets whoever reads /dev/hello",
    license: "GPL",
}

// ANCHOR: device
/// An open `/dev/hello`.
struct Reader;

#[vtable]
impl MiscDevice for Reader {
    type Ptr = KBox<Self>;

    fn open(_file: &File, _device: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        Ok(KBox::new(Self, GFP_KERNEL)?)
    }

    fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        iov.simple_read_from_buffer(kiocb.ki_pos_mut(), b"Hello world!\n")
    }
}

/// The loaded module: while it is there, so is the device.
#[pin_data]
struct Hello {
    #[pin]
    _device: MiscDeviceRegistration<Reader>,
}

impl kernel::InPlaceModule for Hello {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let options = MiscDeviceOptions { name: c"hello" };
        try_pin_init!(Self {
            _device <- MiscDeviceRegistration::register(options),
        })
    }
}
// ANCHOR_END: device
