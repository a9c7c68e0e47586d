//! `bench loop`: how long a command in the guest takes, and an edit until its verdict.

use std::{fs, path::Path, process::ExitCode, time::Duration};

use super::measure::measure;
use crate::{
    build::{BuildDir, SOURCES, Stack},
    command::KernelArg,
    guest::round::Round,
    host::{
        cache::Cache,
        packages,
        progress::say,
        run::{self, Run, this_program},
    },
    kernel::{Kernel, archive::Refresh},
    problem::{OrProblem, Problem, Result},
};

/// Measure `vm -- /bin/true` and an edit until its verdict, in one run
///
/// The guest is restored and booted in turn, and virtme-ng boots the same image where it is
/// installed; the best of the rounds counts. Then the provider's source is edited in a copy, built
/// and loaded, each part timed.
#[derive(Debug, clap::Args)]
pub(super) struct Loop {
    #[command(flatten)]
    kernel: KernelArg,
    /// Rounds of each measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

impl Loop {
    pub(super) fn run(self) -> Result<ExitCode> {
        let cache = Cache::open()?;
        let kernel = Kernel::obtain(&cache, &self.kernel.name, Refresh::Daily)?;
        run::echo_off();
        let ways = self.ways(&kernel);
        let mut best = vec![f64::INFINITY; ways.len()];
        // The first builds, and saves the state of the guest.
        ways.first().map(|(_, way)| measure(way)).transpose()?;
        for _ in 0..self.rounds {
            for ((name, way), best) in ways.iter().zip(&mut best) {
                let cost = measure(way).map_err(|problem| at(name, problem))?;
                *best = best.min(cost.seconds);
            }
        }
        outln!("one command in the guest, {}, best of {}:", kernel, self.rounds);
        let shortest = best.first().copied().unwrap_or(f64::INFINITY);
        for ((name, _), seconds) in ways.iter().zip(&best) {
            outln!("  {name:10} {seconds:6.2} s  {:5.1} times", seconds / shortest);
        }
        self.edits(&cache, &kernel)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The ways to run one command, the restored guest first.
    fn ways(&self, kernel: &Kernel) -> Vec<(&'static str, Run)> {
        let name = self.kernel.name.to_string();
        let ours = || {
            let run = Run::new(this_program()).args(["vm", "--kernel", &name]);
            run.deadline(Duration::from_secs(300)).quiet()
        };
        let restored = ours().args(["--", "/bin/true"]);
        let booted = ours().args(["--boot", "--", "/bin/true"]);
        let mut ways = vec![("restored", restored), ("booted", booted)];
        match (&kernel.image, packages::find("vng")) {
            (Some(image), Some(vng)) => {
                let run = Run::new(vng).arg("--run").arg(image).args(["--", "/bin/true"]).quiet();
                ways.push(("virtme-ng", run.deadline(Duration::from_secs(300))));
            }
            _ => say("virtme-ng is not installed: it is not measured"),
        }
        ways
    }

    fn edits(&self, cache: &Cache, kernel: &Kernel) -> Result<()> {
        // A copy of the sources, which is edited and built as the project's own are.
        let copy = Stack::part_of_project("bench-sources", SOURCES);
        let copy = BuildDir::open_empty(kernel, &copy)?.folder;
        let stack = Stack::part_of(&copy, "bench", SOURCES);
        let round = || Round::run(cache, kernel, &stack, None);
        round()?;
        let mut rounds = Vec::new();
        for number in 0..self.rounds {
            edit(&copy.join("provider/provider_main.rs"), number)?;
            let round = round()?;
            if !round.built.iter().any(|module| module == "provider") {
                return Err(Problem::host("the edit of provider did not build it"));
            }
            rounds.push(round);
        }
        if let Some(best) = rounds.iter().min_by_key(|round| round.whole()) {
            outln!("an edit of provider until the verdict, best of {}:", self.rounds);
            outln!("  {best}");
        }
        Ok(())
    }
}

fn at(name: &str, problem: Problem) -> Problem {
    Problem { fact: format!("{name}: {}", problem.fact), ..problem }
}

/// Changes a source so that its module differs.
fn edit(source: &Path, number: u32) -> Result<()> {
    let what = || format!("{} cannot be edited", source.display());
    let text = fs::read_to_string(source).or_host(what)?;
    fs::write(source, format!("{text}\n// Edit {number}.\n")).or_host(what)
}
