//! `bench loop`: how long a command in the guest takes, and an edit until its verdict.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use super::measure::measure;
use crate::{
    build::{SOURCES, Stack, project},
    command::KernelArg,
    guest::{Accel, Guest, round::Round},
    host::{
        cache::{Cache, remove_dir},
        file_system::{copy_file, make_folder, names, read_text, write_file},
        packages,
        progress::say,
        run::{self, Run, this_program},
    },
    kernel::{Kernel, shipped},
    printer::Shown as _,
    problem::{Kind, OrProblem, Problem, Result},
};

/// Measure `vm -- /bin/true` and an edit until its verdict, in one run
///
/// The guest is restored and booted in turn, and virtme-ng boots the same image where `vng` is
/// installed; the best of the rounds counts. All of them have KVM, or none. Then the provider's
/// source is edited in a copy, built and loaded, each part timed.
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
        let kernel = self.kernel.obtain(&cache)?;
        run::echo_off();
        let kvm = kvm_works(&cache, &kernel)?;
        let ways = self.ways(&cache, &kernel, kvm)?;
        let mut best = vec![f64::INFINITY; ways.len()];
        // The first builds, and saves the state of the guest.
        ways.first().map(|(_, way)| measure(way)).transpose()?;
        for _ in 0..self.rounds {
            for ((name, way), best) in ways.iter().zip(&mut best) {
                let cost = measure(way).map_err(|problem| problem.of(name))?;
                *best = best.min(cost.seconds);
            }
        }
        let by = if kvm { "by KVM" } else { "by emulation" };
        outln!("one command in the guest, {kernel}, {by}, best of {}:", self.rounds);
        let shortest = best.first().copied().unwrap_or(f64::INFINITY);
        for ((name, _), seconds) in ways.iter().zip(&best) {
            outln!("  {name:14} {seconds:6.2} s  {:5.1} times", seconds / shortest);
        }
        self.edits(&cache, &kernel)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The ways to run one command, the restored guest first.
    fn ways(&self, cache: &Cache, kernel: &Kernel, kvm: bool) -> Result<Vec<(String, Run)>> {
        let name = self.kernel.name.to_string();
        let limited = |run: Run| run.deadline(Duration::from_secs(300)).quiet();
        let ours = || {
            let accel = if kvm { "kvm" } else { "tcg" };
            let run = Run::new(this_program()).args(["vm", "--accel", accel, "--kernel", &name]);
            limited(run)
        };
        let restored = ours().args(["--", "/bin/true"]);
        let booted = ours().args(["--boot", "--", "/bin/true"]);
        let mut ways = vec![("restored".into(), restored), ("booted".into(), booted)];
        match (&kernel.image, packages::find("vng")) {
            (Some(image), Some(vng)) => {
                let image = beside_its_modules(cache, kernel, image)?;
                let version = limited(Run::new(&vng)).arg("--version").stdout()?;
                // It takes /dev/kvm for a working KVM.
                let run = limited(Run::new(vng)).args((!kvm).then_some("--disable-kvm"));
                let run = run.arg("--run").arg(image).args(["--", "/bin/true"]);
                ways.push((version.trim().into(), run));
            }
            _ => say("vng is not in PATH: virtme-ng is not measured"),
        }
        Ok(ways)
    }

    fn edits(&self, cache: &Cache, kernel: &Kernel) -> Result<()> {
        // A copy of the sources, which is edited and built as the project's own are.
        let copy = project().join("target/bench/sources");
        remove_dir(&copy)?;
        for file in Stack::part_of_project("bench", SOURCES).sources()?.names() {
            let to = copy.join(file);
            to.parent().map_or(Ok(()), make_folder)?;
            copy_file(&project().join(file), &to)?;
        }
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

/// Returns `true` if guests run by KVM here, after waiting for a pending trial.
fn kvm_works(cache: &Cache, kernel: &Kernel) -> Result<bool> {
    match Guest::on(cache, kernel)?.accel(Accel::Kvm).run(["true"]) {
        Ok(_) => Ok(true),
        Err(problem) if problem.kind == Kind::Host => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// A kernel's image where virtme-ng looks for modules beside it; it needs those of the shared file
/// system, and has depmod write there.
fn beside_its_modules(cache: &Cache, kernel: &Kernel, image: &Path) -> Result<PathBuf> {
    let folder = project().join("target/bench/vng");
    let what = || format!("cannot make {}", folder.shown());
    let tree = shipped::modules(cache, kernel)?;
    let modules = folder.join("lib/modules").join(&tree.release);
    remove_dir(&folder)?;
    make_folder(&modules)?;
    for name in names(&tree.dir)? {
        symlink(tree.dir.join(&name), modules.join(&name)).or_host(what)?;
    }
    let beside = folder.join("vmlinuz");
    symlink(image, &beside).or_host(what)?;
    Ok(beside)
}

/// Changes a source so that its module differs.
fn edit(source: &Path, number: u32) -> Result<()> {
    write_file(source, format!("{}\n// Edit {number}.\n", read_text(source)?))
}
