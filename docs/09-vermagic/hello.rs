// SPDX-License-Identifier: GPL-2.0

//! Says for which kernel it was built.

use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello",
    authors: ["The symstack authors"],
    description: "Says for which kernel it was built",
    license: "GPL",
}

// ANCHOR: version
/// One number for a version, as `KERNEL_VERSION` makes it in C.
const fn kernel_version(major: u32, minor: u32, patch: u32) -> u32 {
    // A byte is all that there is for the last one.
    let patch = if patch > 255 { 255 } else { patch };
    (major << 16) + (minor << 8) + patch
}

/// A number that Kbuild hands over as text.
const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("Kbuild gives numbers"),
    }
}

/// What is `LINUX_VERSION_CODE` in C.
const BUILT_FOR: u32 = kernel_version(
    number(env!("VERSION")),
    number(env!("PATCHLEVEL")),
    number(env!("SUBLEVEL")),
);
// ANCHOR_END: version

struct Hello;

// ANCHOR: init
impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("built for {}\n", env!("KERNELRELEASE"));
        if BUILT_FOR >= kernel_version(7, 1, 0) {
            pr_info!("which is 7.1 or newer\n");
        }
        Ok(Hello)
    }
}
// ANCHOR_END: init
