//! A process, with the time it takes and the memory it and its children hold at most.

use std::{
    fmt,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    host::{open, run::Run},
    problem::{OrProblem, Problem, Result},
};

/// Often enough to see the peak of a process that runs a tenth of a second.
const POLL: Duration = Duration::from_millis(2);
/// depmod over the largest tree takes under ten seconds.
const DEADLINE: Duration = Duration::from_secs(600);

/// The cost of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) peak_kb: u64,
}

/// Runs a command to its end, its output thrown away, and measures it.
pub(super) fn measure(command: &Run) -> Result<Cost> {
    let begin = Instant::now();
    let mut process = command.spawn(Stdio::null(), Stdio::null())?;
    let mut peak_kb = 0;
    let ended = process.wait(DEADLINE, POLL, |pid| {
        peak_kb = peak_kb.max(peak_of(pid));
        true
    });
    match ended.or_host(|| format!("cannot wait for {command}"))? {
        Some(status) if status.success() => {
            Ok(Cost { seconds: begin.elapsed().as_secs_f64(), peak_kb })
        }
        Some(status) => Err(Problem::host(format!("{command} failed: {status}"))),
        None => {
            let seconds = DEADLINE.as_secs();
            Err(Problem::host(format!("{command} did not end within {seconds} s")))
        }
    }
}

impl Cost {
    /// More than anything takes.
    pub(super) const MOST: Self = Self { seconds: f64::INFINITY, peak_kb: 0 };

    /// The best of several rounds, as other work on the machine can only make one slower; and the
    /// most memory of all.
    pub(super) fn take_best(&mut self, round: Self) {
        self.seconds = self.seconds.min(round.seconds);
        self.peak_kb = self.peak_kb.max(round.peak_kb);
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6.2} s  {:>3} MB", self.seconds, self.peak_kb / 1000)
    }
}

/// The most memory that a process or one below it has held so far, in kB.
fn peak_of(pid: u32) -> u64 {
    let proc = Path::new("/proc").join(pid.to_string());
    let status = open::read_text(proc.join("status")).unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let own = own.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    let children = proc.join(format!("task/{pid}/children"));
    let children = open::read_text(children).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(peak_of).fold(own, u64::max)
}
