//! One round from the sources to the kernel's answer: build, restore, load, run, end.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    build::{BuildDir, MakeTarget, Stack, with_kernels_own},
    guest::{Command, Guest},
    host::cache::Cache,
    kernel::Kernel,
    problem::{Problem, Result},
};

/// The facts of a round, and the time that each part took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// The modules that were built anew.
    pub built: Vec<String>,
    /// From the sources to the modules.
    pub build: Duration,
    /// From the modules to a guest that has them.
    pub start: Duration,
    /// depmod and the command.
    pub run: Duration,
    /// From the command's end to the verdict.
    pub end: Duration,
}

impl Round {
    /// Builds a stack, and runs a command in a guest that has it; without a command all of its
    /// modules are loaded and taken out again.
    ///
    /// # Errors
    /// The modules do not build, the command fails, or the guest proves nothing: see
    /// [`Guest::start`] and [`crate::guest::Session::finish`].
    pub fn run(
        cache: &Cache,
        kernel: &Kernel,
        stack: &Stack,
        command: Option<&str>,
    ) -> Result<Self> {
        let mut round = Self::default();
        let mut last = Instant::now();
        let mut lap = || {
            let lap = last.elapsed();
            last = Instant::now();
            lap
        };
        let folder = BuildDir::open(kernel, stack)?;
        let before: BTreeMap<PathBuf, SystemTime> =
            folder.modules().into_iter().flatten().filter_map(written).collect();
        let modules = folder.build_quiet(MakeTarget::Modules)?;
        let new = modules.iter().cloned().filter_map(written);
        let new = new.filter(|(module, time)| before.get(module) != Some(time));
        round.built = new.map(|(module, _)| name(&module)).collect();
        let names: Vec<String> = modules.iter().map(|module| name(module)).collect();
        let smoke = |go: &[&str], names: Vec<&str>| Command::tool(&[go, &names].concat());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let commands = match command {
            Some(line) => vec![Command::new(line)],
            None => vec![
                smoke(&["modprobe", "-a"], names.clone()),
                smoke(&["modprobe", "-r"], names.into_iter().rev().collect()),
            ],
        };
        let loads = with_kernels_own(cache, kernel, &modules)?.into_iter().map(|load| load.file);
        let guest = loads.fold(Guest::on(cache, kernel)?, Guest::module);
        let mut session = guest.start()?;
        round.start = lap();
        for command in [Command::tool(&["depmod", "-a"])].into_iter().chain(commands) {
            let report = session.exec(command)?;
            if report.status != 0 {
                let command = &report.command;
                let (status, said) = (report.status, report.text() + &report.kernel_text());
                let fact = format!("`{command}` ended with status {status}:\n{}", said.trim_end());
                // The kernel's complaint tells more.
                session.finish()?;
                return Err(Problem::does_not_hold(fact));
            }
        }
        round.run = lap();
        session.finish()?;
        round.end = lap();
        Ok(round)
    }

    /// All parts together.
    pub fn whole(&self) -> Duration {
        self.build + self.start + self.run + self.end
    }
}

/// In one line.
impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let built = if self.built.is_empty() { "nothing".into() } else { self.built.join(", ") };
        let parts = [self.build, self.start, self.run, self.end, self.whole()];
        let [build, start, run, end, whole] = parts.map(|part| part.as_secs_f64());
        write!(f, "built {built} in {build:.2} s, guest up after {start:.2} s, ")?;
        write!(f, "loaded and run in {run:.2} s, ended in {end:.2} s: {whole:.2} s")
    }
}

/// A module and when it was written, if it is there.
fn written(module: PathBuf) -> Option<(PathBuf, SystemTime)> {
    let time = module.metadata().ok()?.modified().ok()?;
    Some((module, time))
}

fn name(module: &Path) -> String {
    module.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_one_line() {
        let second = Duration::from_secs(1);
        let round = Round { built: vec!["provider".into()], build: second, ..Round::default() };
        let line = round.to_string();
        assert!(line.starts_with("built provider in 1.00 s, ") && line.ends_with(": 1.00 s"));
        assert!(Round::default().to_string().starts_with("built nothing in 0.00 s"));
    }
}
