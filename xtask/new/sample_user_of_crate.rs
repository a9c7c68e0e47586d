// SPDX-License-Identifier: GPL-2.0

//! Adds to the total of sample for as long as it is loaded, without a header and without `unsafe`.

use kernel::prelude::*;

use sample::Share;

module! {
    type: Loaded,
    name: "sample_user",
    description: "Adds to the total of sample",
    license: "GPL",
}

/// The loaded module.
struct Loaded {
    _share: Share,
}

impl kernel::Module for Loaded {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let share = Share::new(2)?;
        pr_info!("{} in all\n", sample::total());
        Ok(Self { _share: share })
    }
}
