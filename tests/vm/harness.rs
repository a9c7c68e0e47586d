//! The tests of the VM tier: what each needs of the kernel, and why one is skipped.
//!
//! libtest cannot say at run time that a test does not apply to this kernel. Here such a test is
//! reported as ignored, with its reason, and is counted apart. `cargo xtask test` keeps the list
//! of the reasons that CI accepts.

use std::panic::{self, AssertUnwindSafe};

use libtest_mimic::{Arguments, Completion, Conclusion, Failed, Trial};
use xtask::{
    kernel::{Kernel, KernelName, recipe::Ships},
    lesson::drift,
};

use crate::kernel;

/// The needs of a test.
#[derive(Clone, Debug)]
pub(crate) enum Needs {
    /// Any kernel that boots.
    Nothing,
    /// A kernel that Rust modules can be built for, as those of the stack are.
    Rust,
    /// The whole module tree that Debian ships with a kernel.
    OwnModules,
    /// This kernel: on others the test would repeat itself, or its expectation is not theirs.
    Only(KernelName),
}

impl Needs {
    /// Why a test with this need is skipped on a kernel, if it is.
    fn unmet(&self, kernel: &Kernel) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Rust => {
                let has = kernel.config().unwrap().has("RUST");
                (!has).then(|| "needs a kernel with Rust".into())
            }
            Self::OwnModules => {
                let has = kernel.name.ships() != Ships::Nothing;
                (!has).then(|| "needs the modules that Debian ships".into())
            }
            Self::Only(name) => (kernel.name != *name).then(|| format!("only on {name}")),
        }
    }
}

/// One test.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: fn(),
}

/// The tests of one file, as a `Vec<Test>`: `tests!(need => [function, ...], ...)`. A function
/// that is on no list is dead code, which the compiler reports.
macro_rules! tests {
    ($($needs:expr => [$($test:ident),+ $(,)?]),+ $(,)?) => {
        vec![$($($crate::harness::Test {
            name: concat!(module_path!(), "::", stringify!($test)),
            needs: $needs,
            run: $test,
        }),+),+]
    };
}

/// `println!` for the tests: a line on standard error. The runner writes its own lines piece by
/// piece to standard output, and another line there tears one of them.
macro_rules! tell {
    ($($arg:tt)*) => { xtask::host::progress::say(&format!($($arg)*)) };
}

impl Test {
    fn trial(self) -> Trial {
        let name = self.name.split_once("::").map_or(self.name, |(_, name)| name);
        Trial::ignorable_test(name, move || match self.needs.unmet(kernel()) {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => outcome(self.run),
        })
    }
}

/// The payload with which a test unwinds when it is skipped while it runs.
struct Skipped(String);

/// Ends the test that calls it as skipped, for a reason that only a part of the test found.
pub(crate) fn skip(reason: impl Into<String>) -> ! {
    panic::resume_unwind(Box::new(Skipped(reason.into())))
}

/// The releases on which the recorded expectations were last seen to hold.
static RECORDED_ON: [(KernelName, &str); 3] = [
    (KernelName::STOCK, "7.3.4+deb13-amd64"),
    (KernelName::LAB, "7.3.4-lab"),
    (KernelName::STABLE, "6.12.117+deb13-amd64"),
];

/// Ends the test that calls it because a recorded expectation differs. On a newer kernel than the
/// expectation was recorded on that is drift, on the same one a failure.
pub(crate) fn differs(what: &str, difference: &str) -> ! {
    let recorded = RECORDED_ON.iter().find(|(name, _)| *name == kernel().name);
    differs_since(recorded.map_or("", |(_, release)| release), what, difference)
}

/// The same for an expectation that says itself on which release it was recorded.
pub(crate) fn differs_since(recorded: &str, what: &str, difference: &str) -> ! {
    tell!("{what} differs on {}:\n{difference}", kernel());
    match newer_than(recorded) {
        Some(releases) => skip(format!("drift: {what} was recorded on {releases}")),
        None => panic!("{what} differs:\n{difference}"),
    }
}

/// Both releases, where the kernel at hand is newer than the recorded one.
fn newer_than(recorded: &str) -> Option<String> {
    let on = |release: &str| format!("Linux {release} (`{}`)", kernel().name);
    drift::newer(&on(recorded), &on(&kernel().release))
}

fn outcome(test: impl FnOnce()) -> Result<Completion, Failed> {
    match panic::catch_unwind(AssertUnwindSafe(test)) {
        Ok(()) => Ok(Completion::Completed),
        Err(unwound) => match unwound.downcast::<Skipped>() {
            Ok(skipped) => Ok(Completion::ignored_with(skipped.0)),
            // libtest-mimic catches it again, and shows its message.
            Err(panicked) => panic::resume_unwind(panicked),
        },
    }
}

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Nothing => [a_recorded_expectation_drifts_on_a_newer_kernel_only])
}

fn a_recorded_expectation_drifts_on_a_newer_kernel_only() {
    let release = &kernel().release;
    let (_, minor) = release.split_once('.').unwrap();
    let older = format!("1.{minor}");
    let ended = outcome(|| differs_since(&older, "a list", "- a\n+ b"));
    let Ok(Completion::Ignored { reason: Some(reason) }) = ended else {
        panic!("a difference on a newer kernel is no drift")
    };
    let releases = format!("Linux (`{}`) {older}, now {release}", kernel().name);
    assert_eq!(reason, format!("drift: a list was recorded on {releases}"));
    for not_older in [release, &format!("99.{minor}"), ""] {
        assert_eq!(newer_than(not_older), None, "{not_older}");
    }
}

/// Runs the tests that the arguments name, in this order.
pub(crate) fn run(tests: Vec<Test>) -> Conclusion {
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().map(Test::trial).collect())
}
