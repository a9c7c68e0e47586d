// SPDX-License-Identifier: GPL-2.0

//! Says for which kernel it was built.

use kernel::{
    bindings,
    prelude::*, //
};

module! {
    type: Rebuilt,
    name: "rebuilt",
    authors: ["The symstack authors"],
    description: "Says for which kernel it was built",
    license: "GPL",
}

/// The release of the kernel that runs.
fn running() -> &'static CStr {
    // SAFETY: The kernel's own name is never freed, NUL-terminated, and its release never changes.
    unsafe { CStr::from_char_ptr((&raw const bindings::init_uts_ns.name.release).cast()) }
}

struct Rebuilt;

impl kernel::Module for Rebuilt {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!(
            "built for {}, runs on {}\n",
            env!("KERNELRELEASE"),
            running()
        );
        Ok(Rebuilt)
    }
}
