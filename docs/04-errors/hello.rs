// SPDX-License-Identifier: GPL-2.0

//! Claims three things, of which the third may be busy, and gives back what it has.

use core::borrow::Borrow;
use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello",
    authors: ["The symstack authors"],
    description: "Gives back what it claimed",
    license: "GPL",
    params: {
        busy: bool {
            default: false,
            description: "Whether the device is busy, and cannot be claimed",
        },
    },
}

// ANCHOR: claimed
/// Something that is claimed for as long as this value lives.
struct Claimed(&'static str);

impl Claimed {
    fn new(name: &'static str, busy: bool) -> Result<Self> {
        if busy {
            pr_info!("{name} is busy\n");
            return Err(EBUSY);
        }
        pr_info!("{name} is claimed\n");
        Ok(Self(name))
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        pr_info!("{} is given back\n", self.0);
    }
}
// ANCHOR_END: claimed

// ANCHOR: init
/// Fields are dropped in the order of their declaration: what was claimed last stands first.
struct Hello {
    _device: Claimed,
    _interrupt: Claimed,
    _port: Claimed,
}

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let busy: bool = *Borrow::borrow(&module_parameters::busy.value());

        let port = Claimed::new("the port", false)?;
        let interrupt = Claimed::new("the interrupt", false)?;
        let device = Claimed::new("the device", busy)?;

        Ok(Self {
            _device: device,
            _interrupt: interrupt,
            _port: port,
        })
    }
}
// ANCHOR_END: init
