// SPDX-License-Identifier: GPL-2.0

//! Offers one counter of the provider module as `/dev/consumer`.
//!
//! Reading the device shows the counter and a newline. Writing a decimal number adds it.

mod counter;

use core::num::IntErrorKind;
use counter::Counter;
use kernel::{
    container_of,
    fs::{
        File,
        Kiocb, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    prelude::*,
    str::CString,
    sync::Arc,
};

module! {
    type: Consumer,
    name: "consumer",
    authors: ["The symstack authors"],
    description: "A counter of the provider module as a device",
    license: "GPL",
    imports_ns: ["PROVIDER"],
    params: {
        start: i64 {
            default: 0,
            description: "Value that the counter starts with",
        },
    },
}

/// The loaded module.
///
/// Fields are dropped in the order they are declared in: first the device goes, and with it the
/// last way to reach the counter, then the counter. No file can be open by then: the device's
/// `file_operations` name this module as their owner (`MiscdeviceVTable` in
/// `rust/kernel/miscdevice.rs`, 7.3), so an open file keeps it loaded.
#[pin_data(PinnedDrop)]
struct Consumer {
    #[pin]
    device: MiscDeviceRegistration<Device>,
    counter: Arc<Counter>,
}

impl kernel::InPlaceModule for Consumer {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // Initialised the other way round: the device can be opened as soon as it is registered,
        // which is before this function's caller gets to know of it.
        try_pin_init!(Self {
            counter: new_counter()?,
            device <- MiscDeviceRegistration::register(MiscDeviceOptions { name: c"consumer" }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Consumer {
    fn drop(self: Pin<&mut Self>) {
        pr_info!("/dev/consumer ends at {}\n", self.counter.value());
    }
}

/// Makes the counter behind the device.
fn new_counter() -> Result<Arc<Counter>> {
    let start = module_parameters::start.value();
    let counter = Counter::new(c"consumer", start)
        .inspect_err(|error| pr_err!("provider refused the counter: {error:?}\n"))?;

    pr_info!(
        "/dev/consumer starts at {start}, as one of {} counters\n",
        Counter::registered()
    );
    Ok(Arc::new(counter, GFP_KERNEL)?)
}

/// The file operations of `/dev/consumer`. An open file holds the counter and nothing else.
struct Device;

#[vtable]
impl MiscDevice for Device {
    type Ptr = Arc<Counter>;

    fn open(_file: &File, device: &MiscDeviceRegistration<Self>) -> Result<Arc<Counter>> {
        let device = core::ptr::from_ref(device).cast_mut();
        // SAFETY: The only registration of this type is the field of `Consumer`, whose `counter`
        // is initialised before it and dropped after it.
        let counter = unsafe { &(*container_of!(device, Consumer, device)).counter };

        Ok(counter.clone())
    }

    fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let text = CString::try_from_fmt(fmt!("{}\n", kiocb.file().value()))?;

        // From the file's position on, so that `cat` finds an end.
        iov.simple_read_from_buffer(kiocb.ki_pos_mut(), text.to_bytes())
    }

    fn write_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        // A write is one whole number: it is taken or refused, never in part.
        let mut buffer = [0; INPUT_MAX];
        let len = iov.len();
        let input = buffer.get_mut(..len).ok_or(EINVAL)?;
        if iov.copy_from_iter(input) < len {
            return Err(EFAULT);
        }
        kiocb.file().add(parse(input)?)?;

        // Let who keeps the file open read the new value.
        *kiocb.ki_pos_mut() = 0;
        Ok(len)
    }
}

/// The longest input in bytes: three times what any `i64` takes, for who pads with zeros.
const INPUT_MAX: usize = 64;

/// Parses a decimal number with an optional sign and an optional newline.
fn parse(input: &[u8]) -> Result<i64> {
    let text = core::str::from_utf8(input).map_err(|_| EINVAL)?;

    text.strip_suffix('\n')
        .unwrap_or(text)
        .parse::<i64>()
        .map_err(|error| match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => ERANGE,
            _ => EINVAL,
        })
}
