// SPDX-License-Identifier: GPL-2.0

//! Offers one counter of the provider module as `/dev/consumer`.
//!
//! Reading the device shows the counter and a newline. Writing a decimal number adds it.

mod counter;

use core::{
    borrow::Borrow,
    num::IntErrorKind, //
};
use counter::{
    Counter,
    Offered, //
};
use kernel::{
    prelude::*,
    str::CString, //
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
#[pin_data(PinnedDrop)]
struct Consumer {
    #[pin]
    offered: Offered,
}

impl kernel::InPlaceModule for Consumer {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            offered <- Offered::new(c"consumer", new_counter()?),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Consumer {
    fn drop(self: Pin<&mut Self>) {
        pr_info!("/dev/consumer ends at {}\n", self.offered.counter().value());
    }
}

/// Makes the counter behind the device.
fn new_counter() -> Result<Counter> {
    // 7.2 returns a reference here, 7.3 the value: both can be borrowed.
    let start: i64 = *Borrow::borrow(&module_parameters::start.value());
    let counter = Counter::new(c"consumer", start)
        .inspect_err(|error| pr_err!("provider refused the counter: {error:?}\n"))?;

    pr_info!(
        "/dev/consumer starts at {start}, as one of {} counters\n",
        Counter::registered()
    );
    Ok(counter)
}

/// Returns the text for a reader of the device.
fn show(counter: &Counter) -> Result<CString> {
    CString::try_from_fmt(fmt!("{}\n", counter.value()))
}

/// Takes what was written to the device: a decimal number with an optional sign and an optional
/// newline, which is added to the counter.
fn store(counter: &Counter, input: &[u8]) -> Result {
    let text = core::str::from_utf8(input).map_err(|_| EINVAL)?;
    let delta = text
        .strip_suffix('\n')
        .unwrap_or(text)
        .parse::<i64>()
        .map_err(|error| match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => ERANGE,
            _ => EINVAL,
        })?;

    counter.add(delta)
}
