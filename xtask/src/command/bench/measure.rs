//! A process, with the time it takes and the memory it and its children hold at most.

use std::{
    fs,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use crate::{
    host::{process::Process, run::Run},
    problem::{OrProblem, Problem, Result},
};

/// Often enough to see the peak of a process that runs a tenth of a second.
const POLL: Duration = Duration::from_millis(2);
/// depmod over the largest tree takes under ten seconds.
const DEADLINE: Duration = Duration::from_secs(600);

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) peak_kb: u64,
}

/// Runs a command to its end, its output thrown away, and measures it.
pub(super) fn measure(command: &Run) -> Result<Cost> {
    let begin = Instant::now();
    let mut process = command.spawn(Stdio::null(), Stdio::null())?;
    let (status, peak_kb) = wait(&mut process, command)?;
    if !status.success() {
        return Err(Problem::host(format!("{command} failed: {status}")));
    }
    Ok(Cost { seconds: begin.elapsed().as_secs_f64(), peak_kb })
}

/// Waits for a process, and returns the most memory that was seen, in kB.
fn wait(process: &mut Process, command: &Run) -> Result<(ExitStatus, u64)> {
    let mut peak_kb = 0;
    let ended = process.wait(DEADLINE, POLL, |pid| {
        peak_kb = peak_kb.max(peak_of(pid));
        true
    });
    let ended = ended.or_host(|| format!("cannot wait for {command}"))?;
    let seconds = DEADLINE.as_secs();
    let status =
        ended.ok_or_else(|| Problem::host(format!("{command} did not end within {seconds} s")))?;
    Ok((status, peak_kb))
}

/// The most memory that a process or one below it has held so far, in kB.
fn peak_of(pid: u32) -> u64 {
    let proc = Path::new("/proc").join(pid.to_string());
    let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let own = own.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    let children = proc.join(format!("task/{pid}/children"));
    let children = fs::read_to_string(children).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(peak_of).fold(own, u64::max)
}
