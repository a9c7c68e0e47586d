//! The outcome of the tests: counts, and the reasons of all that did not pass.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    host::{progress::say, run::Run},
    problem::Result,
    tree::kmod::Comparison,
};

/// The skips that are right: the tier, the reason that a test gives, and why that loses nothing.
/// With `CI=true` any other skip is a failure. An empty tier stands for each of them.
const ACCEPTED: [(&str, &str, &str); 12] = [
    ("VM tier on lab", "only on stock", "the book's tests repeat themselves on other kernels"),
    ("VM tier on stable", "only on stock", "the same"),
    ("VM tier on stock", "only on lab", "what the lab kernel alone can show"),
    ("VM tier on stable", "only on lab", "the same"),
    (
        "VM tier on lab",
        "the clock of lab does not see 20,000 calls pass",
        "a ratio of times is measured on stock",
    ),
    ("VM tier on lab", "needs the modules that Debian ships", "the lab kernel has a few modules"),
    ("VM tier on stable", "needs a kernel with Rust", "6.12 is there for C modules"),
    ("", "needs a machine on which KVM works", "CI may run in a virtual machine"),
    ("", "needs a machine on which KVM does not work", "or may not"),
    (
        "VM tier on stock",
        "needs a linter of workflows, which pip cannot install here",
        "CI may have no Python, or no way to a registry",
    ),
    ("", "no file system can be mounted here", "CI may run in a container without namespaces"),
    ("", "its package cannot be fetched from Debian's archive", "packages come and go there"),
];

/// `true` if a skip is right.
fn accepted(tier: &str, why: &str) -> bool {
    ACCEPTED.iter().any(|(on, reason, _)| (*on == tier || on.is_empty()) && *reason == why)
}

/// A test that did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Skip {
    what: String,
    why: String,
}

/// The outcome of one tier.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tier {
    pub(super) passed: u64,
    failed: Vec<String>,
    skipped: Vec<Skip>,
    drift: Vec<String>,
}

impl Tier {
    pub(super) fn fail(&mut self, what: impl Into<String>) {
        self.failed.push(what.into());
    }

    /// Records an expectation that differs because newer programs speak than when it was written.
    pub(super) fn drifts(&mut self, what: impl Into<String>) {
        self.drift.push(what.into());
    }

    /// Runs a command that must succeed.
    pub(super) fn check(&mut self, what: &str, run: &Run) -> Result<()> {
        if run.status()?.success() {
            self.passed += 1;
        } else {
            self.fail(what);
        }
        Ok(())
    }

    /// Runs tests with cargo, and counts them by what the test runners print.
    pub(super) fn cargo_tests(&mut self, run: &Run) -> Result<()> {
        let mut lines = Lines::default();
        let status = run.tee(|line| lines.read(line))?;
        let failed_before = self.failed.len();
        lines.count(self);
        // Tests that do not build print no count.
        if !status.success() && self.failed.len() == failed_before {
            self.fail(format!("{run}: {status}"));
        }
        Ok(())
    }

    /// Counts each comparison; one of nothing proves nothing and fails.
    pub(super) fn comparisons(&mut self, of: &str, compared: &[Comparison]) {
        for comparison in compared {
            let Comparison { compared, what, differences } = comparison;
            let line = format!("{of}: {compared} {what}: {} differences", differences.len());
            outln!("  {line}");
            if comparison.holds() {
                self.passed += 1;
            } else {
                self.fail(line);
            }
        }
    }
}

/// The lines that the test runners of one `cargo test` printed.
#[derive(Debug, Default)]
struct Lines {
    /// The tests that the current runner announced, until it says how they ended.
    announced: Option<u64>,
    tier: Tier,
    failed: u64,
    ignored: u64,
}

impl Lines {
    fn read(&mut self, line: &str) {
        if let Some(tests) = line.strip_prefix("running ") {
            self.ended(0);
            let number = tests.split(' ').next().and_then(|number| number.parse().ok());
            // Another word may follow `running` in what a test prints.
            self.announced = number.filter(|_| tests.contains(" test"));
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let number = |what: &str| -> u64 {
                let before = result.split_once(what).map_or("", |(before, _)| before);
                before.rsplit([' ', ';', '.']).find_map(|word| word.parse().ok()).unwrap_or(0)
            };
            let (passed, failed) = (number(" passed;"), number(" failed;"));
            let ignored = number(" ignored;");
            self.tier.passed += passed;
            self.failed += failed;
            self.ignored += ignored;
            self.ended(passed + failed + ignored + number(" measured;"));
        } else if let Some((name, outcome)) = test_line(line) {
            if let Some(why) = outcome.strip_prefix("ignored") {
                let why = why.trim_matches([',', ' ', '(', ')']);
                match why.strip_prefix("drift: ") {
                    Some(drift) => self.tier.drifts(format!("{name}: {drift}")),
                    None => {
                        let why = if why.is_empty() { "no reason is given" } else { why };
                        self.tier.skipped.push(Skip { what: name.into(), why: why.into() });
                    }
                }
            } else if outcome == "FAILED" {
                self.tier.fail(name);
            }
        }
    }

    /// The current runner accounted for this many tests.
    fn ended(&mut self, tests: u64) {
        if let Some(announced) = self.announced.take().filter(|announced| *announced != tests) {
            let fact = format!("a test runner announced {announced} tests and ended after {tests}");
            self.tier.fail(fact);
            self.failed += 1;
        }
    }

    fn count(mut self, tier: &mut Tier) {
        self.ended(0);
        // A test has no name here when its line was torn by what another test printed.
        const NAMELESS: &str = "a test whose name was not printed";
        for _ in self.tier.failed.len() as u64..self.failed {
            self.tier.fail(NAMELESS);
        }
        let named = self.tier.skipped.len() + self.tier.drift.len();
        for _ in named as u64..self.ignored {
            let why = "no reason is given".into();
            self.tier.skipped.push(Skip { what: NAMELESS.into(), why });
        }
        tier.passed += self.tier.passed;
        tier.failed.append(&mut self.tier.failed);
        tier.skipped.append(&mut self.tier.skipped);
        tier.drift.append(&mut self.tier.drift);
    }
}

/// The name and the outcome in `test NAME ... OUTCOME`.
fn test_line(line: &str) -> Option<(&str, &str)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.trim_end(), outcome))
}

/// The outcome of all tiers.
pub(super) struct Tally {
    strict: bool,
    ci: bool,
    tiers: Vec<(String, Duration, Tier)>,
}

impl Tally {
    pub(super) fn new(strict: bool, ci: bool) -> Self {
        Self { strict, ci, tiers: Vec::new() }
    }

    /// Runs one tier. One that ends early, or in which nothing ran, has failed.
    pub(super) fn tier(&mut self, name: &str, run: impl FnOnce(&mut Tier) -> Result<()>) {
        say(&format!("==> {name}"));
        let (begin, mut tier) = (Instant::now(), Tier::default());
        if let Err(problem) = run(&mut tier) {
            say(&format!("error: {problem}"));
            tier.fail(problem.first_line());
        }
        if tier.passed == 0 && tier.failed.is_empty() {
            tier.fail("no test ran");
        }
        self.tiers.push((name.into(), begin.elapsed(), tier));
    }

    /// Prints what was skipped and why, what failed, how long each tier took, and the counts.
    pub(super) fn close(self) -> ExitCode {
        let (lines, failed) = self.report();
        lines.iter().for_each(|line| outln!("{line}"));
        ExitCode::from(u8::from(failed > 0))
    }

    fn report(&self) -> (Vec<String>, usize) {
        let mut lines = Vec::new();
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for (name, _, tier) in &self.tiers {
            let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for skip in &tier.skipped {
                reasons.entry(&skip.why).or_default().push(&skip.what);
            }
            for (why, tests) in reasons {
                let refused = self.ci && !accepted(name, why);
                let word = if refused { "must not be skipped" } else { "skipped" };
                lines.push(format!("{name}: {} {word}: {why}", tests.len()));
                lines.extend(tests.iter().map(|test| format!("    {test}")));
                *(if refused { &mut failed } else { &mut skipped }) += tests.len();
            }
            for drift in &tier.drift {
                lines.push(format!("{name}: drift: {drift}"));
            }
            *(if self.strict { &mut failed } else { &mut skipped }) += tier.drift.len();
            lines.extend(tier.failed.iter().map(|what| format!("{name}: failed: {what}")));
            passed += tier.passed;
            failed += tier.failed.len();
        }
        for (name, took, _) in &self.tiers {
            lines.push(format!("{:5.0} s  {name}", took.as_secs_f64()));
        }
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        lines.push(format!("{passed} passed, {failed} failed{skipped}"));
        (lines, failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    fn counted(text: &str) -> Tier {
        let (mut lines, mut tier) = (Lines::default(), Tier::default());
        text.lines().for_each(|line| lines.read(line));
        lines.count(&mut tier);
        tier
    }

    /// The closing line, and the number of failures.
    fn closing(tier: Tier, strict: bool, ci: bool) -> (String, usize) {
        let mut tally = Tally::new(strict, ci);
        tally.tier("VM tier on stable", |place| {
            *place = tier;
            Ok(())
        });
        let (lines, failed) = tally.report();
        (lines.last().unwrap().clone(), failed)
    }

    const TWO_RUNNERS: &str = "running 3 tests
test a::b ... ok
test a::c ... FAILED
test a::d ... ignored, needs a kernel with Rust
test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out
running 2 tests
test e      ... ignored (only on lab)
test f      ... ok
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.0s";

    #[test]
    fn the_lines_of_test_runners_are_counted() {
        let tier = counted(TWO_RUNNERS);
        assert_eq!((tier.passed, tier.failed.as_slice()), (2, &["a::c".to_owned()][..]));
        let skip = |what: &str, why: &str| Skip { what: what.into(), why: why.into() };
        assert_eq!(
            tier.skipped,
            [skip("a::d", "needs a kernel with Rust"), skip("e", "only on lab")]
        );
        assert_eq!(closing(tier, false, true), ("2 passed, 1 failed, 2 skipped".into(), 1));
    }

    #[test]
    fn a_runner_that_died_is_a_failure() {
        let died = "running 2 tests\ntest a ... ok";
        assert_eq!(counted(died).failed.len(), 1);
        assert_eq!(counted(&format!("{died}\n{TWO_RUNNERS}")).failed.len(), 2);
        let fewer = "running 2 tests\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured;";
        assert_eq!(counted(fewer).failed.len(), 1);
    }

    #[test]
    fn a_count_without_a_name_counts() {
        let torn = "running 1 test\ntest result: ok. 0 passed; 0 failed; 1 ignored; 0 measured;";
        assert_eq!(counted(torn).skipped.len(), 1);
        let torn =
            "running 1 test\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured;";
        assert_eq!(counted(torn).failed.len(), 1);
    }

    #[test]
    fn tests_that_do_not_run_are_a_failure() {
        let mut tier = Tier::default();
        tier.cargo_tests(&Run::new("false").quiet()).unwrap();
        assert_eq!(tier.failed.len(), 1);
        assert_eq!(closing(Tier::default(), false, false).0, "0 passed, 1 failed");
        let mut tally = Tally::new(false, false);
        tally.tier("one", |_| Err(Problem::host("it cannot run")));
        tally.tier("two", |tier| tier.check("true", &Run::new("true").quiet()));
        assert_eq!(tally.report().0.last().unwrap(), "1 passed, 1 failed");
    }

    #[test]
    fn in_ci_a_skip_that_is_not_on_the_list_is_a_failure() {
        let tier = || {
            counted(
                "running 2 tests\ntest a ... ok\ntest b ... ignored, too slow\n\
            test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured;",
            )
        };
        assert_eq!(closing(tier(), false, false), ("1 passed, 0 failed, 1 skipped".into(), 0));
        assert_eq!(closing(tier(), false, true), ("1 passed, 1 failed".into(), 1));
    }

    #[test]
    fn drift_is_skipped_or_with_strict_a_failure() {
        let tier = || {
            let mut tier = Tier { passed: 1, ..Tier::default() };
            tier.drifts("01-hello: blessed by 7.3.4, now 7.3.5");
            tier
        };
        assert_eq!(closing(tier(), false, true), ("1 passed, 0 failed, 1 skipped".into(), 0));
        assert_eq!(closing(tier(), true, false), ("1 passed, 1 failed".into(), 1));
        let printed = "running 1 test\ntest a ... ignored (drift: by 7.3.4, now 7.3.5)\n\
            test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured;";
        assert_eq!(counted(printed).drift, ["a: by 7.3.4, now 7.3.5"]);
    }

    #[test]
    fn a_comparison_of_nothing_does_not_hold() {
        let failures = |compared: usize, differences: &[&str]| {
            let differences = differences.iter().map(ToString::to_string).collect();
            let mut tier = Tier::default();
            tier.comparisons("k", &[Comparison { compared, what: "fields".into(), differences }]);
            tier.failed.len()
        };
        assert_eq!((failures(9, &[]), failures(9, &["a"]), failures(0, &[])), (0, 1, 1));
    }
}
