//! The tests of the VM tier: what each needs of the kernel, and why one is skipped.
//!
//! libtest cannot say at run time that a test does not apply to this kernel. Here such a test is
//! reported as ignored, with its reason, and is counted apart. `cargo xtask test` keeps the list
//! of the reasons that CI accepts.

use libtest_mimic::{Arguments, Completion, Conclusion, Trial};
use xtask::kernel::{Kernel, KernelName};

use crate::kernel;

/// What a test needs of the kernel.
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
                let has = matches!(kernel.name, KernelName::Stock | KernelName::Stable);
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

impl Test {
    fn trial(self) -> Trial {
        let name = self.name.strip_prefix("vm::").unwrap_or(self.name);
        Trial::ignorable_test(name, move || match self.needs.unmet(kernel()) {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => {
                (self.run)();
                Ok(Completion::Completed)
            }
        })
    }
}

/// Runs the tests that the arguments name, in this order.
pub(crate) fn run(tests: Vec<Test>) -> Conclusion {
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().map(Test::trial).collect())
}
