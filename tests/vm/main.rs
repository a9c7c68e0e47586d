//! The VM tier: what only a kernel can say.
//!
//! `cargo xtask test` runs it for each kernel, named by `SYMSTACK_KERNEL`; plain `cargo test` does
//! not run it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it is all tests")]
#![deny(clippy::print_stdout, reason = "`tell!` says why")]

#[macro_use]
mod harness;

mod any_stack;
mod as_they_come;
mod book;
mod broken_state;
mod browser;
mod build;
mod by_hand;
#[path = "../corpus/mod.rs"]
mod corpus;
mod crates;
mod dkms;
mod editor;
mod example;
mod exercise;
mod expectations;
mod foreign;
mod guest;
mod installed;
mod kmod;
mod lesson;
mod new;
mod outcomes;
mod prove;
mod readme;
mod saved_state;
mod seal;
mod stack;
mod terminal;
mod typed;
mod verdict;
mod watch;
mod workflow;

use std::{process::ExitCode, sync::OnceLock};

use xtask::{
    guest::{Boot, Guest},
    host::{cache::Cache, run},
    kernel::{Kernel, KernelName, archive::Refresh},
};

fn main() -> ExitCode {
    // The longest first, so that no processor waits at the end.
    let files = [
        verdict::tests(),
        lesson::tests(),
        typed::tests(),
        exercise::tests(),
        broken_state::tests(),
        terminal::tests(),
        saved_state::tests(),
        watch::tests(),
        book::tests(),
        build::tests(),
        any_stack::tests(),
        as_they_come::tests(),
        prove::tests(),
        outcomes::tests(),
        dkms::tests(),
        expectations::tests(),
        new::tests(),
        foreign::tests(),
        readme::tests(),
        installed::tests(),
        workflow::tests(),
        stack::tests(),
        crates::tests(),
        seal::tests(),
        example::tests(),
        by_hand::tests(),
        editor::tests(),
        guest::tests(),
        kmod::tests(),
        harness::tests(),
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

/// That kernel, to boot.
fn boot() -> Boot {
    let kernel = kernel();
    Boot {
        image: kernel.image.clone().unwrap(),
        release: kernel.release.clone(),
        modules: kernel.modules.clone(),
    }
}

/// A guest of that kernel, with nothing added yet.
fn guest() -> Guest {
    let cache = Cache::open().unwrap();
    Guest::on(&cache, kernel()).unwrap()
}
