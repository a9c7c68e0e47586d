//! A stranger's stacks, modules, files, trees and caches, each with the answer that it must meet.
//!
//! `cargo xtask test` runs them on the default kernel. Run one by itself with
//! `SYMSTACK_KERNEL=stock cargo test --release -p xtask --test hostile -- NAME`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it is all tests")]

#[path = "../vm/harness.rs"]
#[macro_use]
#[expect(dead_code, reason = "only the VM tier has recorded expectations")]
mod harness;

mod cache;
mod expectations;
mod files;
mod guest;
mod names;
mod sandbox;
mod stacks;

use std::{process::ExitCode, sync::OnceLock};

use xtask::{
    host::{cache::Cache, run},
    kernel::{Kernel, KernelName, archive::Refresh},
};

fn main() -> ExitCode {
    let files = [
        guest::tests(),
        sandbox::tests(),
        stacks::tests(),
        cache::tests(),
        files::tests(),
        names::tests(),
        expectations::tests(),
    ];
    harness::run(files.into_iter().flatten().collect()).exit_code()
}

/// The kernel that this run is about.
fn kernel() -> &'static Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    KERNEL.get_or_init(|| {
        run::echo_off();
        let name = std::env::var("SYMSTACK_KERNEL").expect("SYMSTACK_KERNEL names a kernel");
        let name: KernelName = name.parse().unwrap();
        Kernel::obtain(&Cache::open().unwrap(), &name, Refresh::Daily).unwrap()
    })
}
