//! `test`: the host tier, then the VM tier on each kernel, and one line that counts both.

use std::{path::Path, process::ExitCode, time::Duration};

use crate::{
    command::lesson::{self, Held},
    host::{cache::Cache, packages, progress::say, run::Run},
    kernel::{Kernel, Name, archive::Follow, kbuild::project},
    problem::{Problem, Result},
};

/// How long one tier may take on 2 cores without KVM.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// Run the host tier, the VM tier on stock and on lab, the loader's verdicts on stable, the book
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A kernel for the VM tier; may be given several times
    #[arg(long = "kernel", value_name = "K", default_values = ["stock", "lab"])]
    kernels: Vec<Name>,
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Args {
    /// Runs all tests.
    ///
    /// # Errors
    /// A kernel cannot be prepared, or a tier cannot run.
    pub fn run(self) -> Result<ExitCode> {
        packages::require()?;
        let mut count = Count::default();
        say("==> host tier: formatting and lints");
        count.one(cargo(&["fmt", "--all", "--check"]).status()?.success());
        // Apart: named beside the others, cargo leaves the target that is off by default out.
        for target in [["--all-targets", "--workspace"], ["--test", "vm"]] {
            let clippy = cargo(&["clippy", "--locked", "--release"]).args(target);
            count.one(clippy.args(["--", "-D", "warnings"]).status()?.success());
        }
        say("==> host tier: tests");
        count.tier(&cargo(&["test", "--workspace", "--locked", "--release"]))?;
        let cache = Cache::open()?;
        for name in &self.kernels {
            let kernel = Kernel::obtain(&cache, name, Follow::Daily)?;
            say(&format!("==> VM tier on {kernel}"));
            let vm =
                cargo(&["test", "--locked", "--release", "--package", "xtask", "--test", "vm"]);
            count.tier(&vm.env("SYMSTACK_KERNEL", name.to_string()))?;
        }
        say("==> VM tier on stable: the loader's verdicts, as it has no Rust for the rest");
        let verdicts = ["--package", "xtask", "--test", "vm", "verdict::"];
        let stable = cargo(&["test", "--locked", "--release"]).args(verdicts);
        count.tier(&stable.env("SYMSTACK_KERNEL", "stable"))?;
        say("==> the book: its lessons on the kernels that they name");
        count = count.and(lesson::compare(&[])?.into());
        outln!("{} passed, {} failed", count.passed, count.failed);
        Ok(ExitCode::from(u8::from(count.failed > 0)))
    }
}

impl From<Held> for Count {
    fn from(held: Held) -> Self {
        Self { passed: held.right as u64, failed: held.wrong as u64 }
    }
}

impl Count {
    fn one(&mut self, holds: bool) {
        *self = self.and(Self { passed: holds.into(), failed: (!holds).into() });
    }

    fn and(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// Runs tests with cargo, and counts them by the lines that cargo's test runner closes with.
    fn tier(&mut self, run: &Run) -> Result<()> {
        let mut tier = Self::default();
        let status = run.tee(|line| tier = tier.and(Self::of_line(line)))?;
        if tier == Self::default() && status.success() {
            return Err(Problem::host("cargo ran no test").hint(format!("by hand: {run}")));
        }
        // Tests that do not build, or a runner that died, are a failure that no line counts.
        if !status.success() && tier.failed == 0 {
            tier.failed = 1;
        }
        *self = self.and(tier);
        Ok(())
    }

    /// `test result: ok. 7 passed; 0 failed; …`
    fn of_line(line: &str) -> Self {
        let Some(result) = line.strip_prefix("test result: ") else { return Self::default() };
        let number = |what: &str| {
            let before = result.split_once(what)?.0;
            before.rsplit([' ', ';']).find(|word| !word.is_empty())?.parse().ok()
        };
        Self { passed: number(" passed").unwrap_or(0), failed: number(" failed").unwrap_or(0) }
    }
}

/// The cargo that runs us, in the project's folder.
fn cargo(args: &[&str]) -> Run {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let name = Path::new(&cargo).file_name().map_or("cargo".into(), |name| name.to_os_string());
    // By its bare name where that is the same one: what is echoed is to be pasted.
    let same = packages::find("cargo").is_some() && name == "cargo";
    let program = if same { "cargo".into() } else { cargo };
    Run::new(program).args(args).cwd(project()).deadline(DEADLINE)
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn the_lines_of_cargo_are_counted() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Count::of_line(line), Count { passed: 12, failed: 3 });
        assert_eq!(Count::of_line("test a ... ok"), Count::default());
    }

    #[test]
    fn tests_that_do_not_run_are_a_failure() {
        let mut count = Count::default();
        count.tier(&crate::host::run::Run::new("false").quiet()).unwrap();
        assert_eq!(count, Count { passed: 0, failed: 1 });
        assert!(count.tier(&crate::host::run::Run::new("true").quiet()).is_err());
    }
}
