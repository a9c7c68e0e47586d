// SPDX-License-Identifier: GPL-2.0

//! Has a parameter of every kind, and prints them.

#[macro_use]
mod param;

use kernel::{
    bindings,
    prelude::*, //
};
use param::{
    Fixed,
    Text,
    Value, //
};

module! {
    type: Params,
    name: "params",
    authors: ["The symstack authors"],
    description: "A parameter of every kind",
    license: "GPL",
}

// ANCHOR: params
params! {
    bool loud = false, 0o644, "Whether to be loud";
    invbool quiet = true, 0o444, "The other way round: N is true";
    short low = -1, 0o644, "16 bits with a sign";
    ushort port = 80, 0o644, "16 bits without";
    int step = 1, 0o644, "32 bits with a sign";
    uint count = 3, 0o600, "32 bits without, for root alone";
    long offset = -5, 0o644, "64 bits with a sign";
    ulong size = 4096, 0o644, "64 bits without";
    charp name = c"nobody", 0o644, "A string of up to 1024 bytes";
    string<8> unit = *b"mm\0\0\0\0\0\0", 0o644, "A string of up to 7 bytes";
    array<int, 4> lines = [0; 4], 0o644, "Up to four numbers";
}

impl kernel::Module for Params {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("loud {}, quiet {}\n", loud.get(), quiet.get());
        pr_info!(
            "low {}, port {}, step {}\n",
            low.get(),
            port.get(),
            step.get()
        );
        pr_info!(
            "count {}, offset {}, size {}\n",
            count.get(),
            offset.get(),
            size.get()
        );
        pr_info!(
            "name {}, unit {}\n",
            &*name.to_cstring()?,
            &*unit.to_cstring()?
        );
        pr_info!("lines {:?}\n", lines.get());
        Ok(Params)
    }
}
// ANCHOR_END: params

struct Params;
