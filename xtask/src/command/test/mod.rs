//! `test`: the host tier, the VM tier on each kernel, the facts beside kmod's, the book, and one
//! line that counts them all.

mod tally;

use std::{fs, process::ExitCode};

use self::tally::{Tally, Tier};
use crate::{
    build::project,
    command::{cargo, lesson},
    host::{
        cache::Cache,
        packages,
        progress::say,
        root::{Root, TRIXIE},
    },
    kernel::{Kernel, KernelName, archive::Refresh, shipped},
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// The crates below the runner, whose examples are part of their documentation.
const LIBRARIES: [&str; 3] = ["ko", "stack", "loader"];

/// Run everything: lints, host tests, tests on running kernels, facts beside kmod's, the book
///
/// The last line counts what passed, failed, and was skipped; the lines before it say what was
/// skipped and why. With CI=true in the environment, a skip that is not on the list of accepted
/// ones is a failure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A kernel for the VM tier; may be given several times
    #[arg(long = "kernel", value_name = "K", default_values = ["stock", "lab", "stable"])]
    kernels: Vec<KernelName>,
    /// Fail where an expectation was written by older programs than those that speak now
    #[arg(long)]
    strict: bool,
}

impl Args {
    /// Runs all tests. A tier that cannot run is a failure of its own, and the others still run.
    ///
    /// # Errors
    /// The host lacks a program that most tiers need.
    pub fn run(mut self) -> Result<ExitCode> {
        packages::require(&Cache::open()?, &packages::to_enter())?;
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        let mut tally = Tally::new(self.strict, ci);
        tally.tier("host tier: formatting and lints", lints);
        tally.tier("host tier: tests", |tier| {
            // One program of tests that fails does not keep the others from running.
            let tests = cargo(&["test", "--workspace", "--no-fail-fast", "--locked", "--release"]);
            tier.cargo_tests(&tests)?;
            examples(tier)
        });
        // The kernel whose source stays comes first: the others are then prepared from it.
        self.kernels.sort_by_key(|name| !name.keeps_source());
        for name in &self.kernels {
            tally.tier(&format!("VM tier on {name}"), |tier| kernel_tests(tier, "vm", name));
        }
        tally.tier("hostile input", |tier| kernel_tests(tier, "hostile", &KernelName::STOCK));
        tally.tier("facts beside kmod's", facts_beside_kmods);
        tally.tier("the book", |tier| {
            let book = lesson::compare(&[])?;
            tier.passed += book.right;
            book.wrong.into_iter().for_each(|name| tier.fail(name));
            book.drift.into_iter().for_each(|name| tier.drifts(name));
            Ok(())
        });
        Ok(tally.close())
    }
}

fn lints(tier: &mut Tier) -> Result<()> {
    let formatting = cargo(&["fmt", "--all", "--check"]);
    tier.check("cargo fmt", &formatting)?;
    // `--all-targets` skips targets with `test = false`, as the VM tier is.
    for target in [["--all-targets", "--workspace"], ["--test", "vm"], ["--test", "hostile"]] {
        let clippy = cargo(&["clippy", "--locked", "--release"]).args(target);
        let clippy = clippy.args(["--", "-D", "warnings"]);
        tier.check(&format!("cargo clippy {}", target.join(" ")), &clippy)?;
    }
    Ok(())
}

/// Runs each example of the libraries: the first thing that a newcomer to one tries.
fn examples(tier: &mut Tier) -> Result<()> {
    for library in LIBRARIES {
        let folder = project().join("xtask").join(library).join("examples");
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.or_host(|| format!("{} cannot be read", folder.shown()))?.path();
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
            let example = cargo(&["run", "--locked", "--release", "--package", library]);
            tier.check(
                &format!("example {name} of {library}"),
                &example.args(["--example", name]),
            )?;
        }
    }
    Ok(())
}

fn kernel_tests(tier: &mut Tier, tests: &str, name: &KernelName) -> Result<()> {
    let kernel = Kernel::obtain(&Cache::open()?, name, Refresh::Daily)?;
    say(&format!("    {kernel}"));
    let tests = cargo(&["test", "--locked", "--release", "--package", "xtask", "--test", tests]);
    tier.cargo_tests(&tests.env("SYMSTACK_KERNEL", name.to_string()))
}

/// Holds every fact of the two Debian kernels' whole trees against kmod and Module.symvers.
fn facts_beside_kmods(tier: &mut Tier) -> Result<()> {
    let cache = Cache::open()?;
    let root = Root::obtain(&cache, TRIXIE)?;
    let scratch = project().join("target/bench");
    for name in [KernelName::STABLE, KernelName::STOCK] {
        let (release, compared) = shipped::compare_with_kmod(&cache, &root, &name, &scratch)?;
        tier.comparisons(&release, &compared);
    }
    Ok(())
}
