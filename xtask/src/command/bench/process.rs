//! A process, with the time it takes and the memory it and its children hold at most.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::problem::{OrProblem, Problem, Result};

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

/// A command after the words that enter the place where it lives.
pub(super) fn command(enter: &[String], program: &str) -> Command {
    match enter.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// Runs a command to its end, its output thrown away, and measures it.
pub(super) fn measure(mut command: Command) -> Result<Cost> {
    let shown = format!("{command:?}");
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .or_host(|| format!("cannot run {shown}"))?;
    let mut peak_kb = 0;
    loop {
        peak_kb = peak_kb.max(peak_of(child.id()));
        if let Some(status) = child.try_wait().or_host(|| format!("cannot wait for {shown}"))? {
            let seconds = begin.elapsed().as_secs_f64();
            return match status.success() {
                true => Ok(Cost { seconds, peak_kb }),
                false => Err(Problem::host(format!("{shown} failed: {status}"))),
            };
        }
        if begin.elapsed() > DEADLINE {
            return Err(give_up(&mut child, &shown));
        }
        thread::sleep(POLL);
    }
}

/// Ends a process that passed its deadline.
fn give_up(child: &mut Child, shown: &str) -> Problem {
    // It may end by itself in this moment; then there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
    Problem::host(format!("{shown} did not end within {} s", DEADLINE.as_secs()))
}

/// Runs a command to its end and returns what it prints.
pub(super) fn output(mut command: Command) -> Result<Vec<u8>> {
    let shown = format!("{command:?}");
    let shown = shown.get(..200).unwrap_or(&shown);
    let output = command.output().or_host(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Problem::host(format!("{shown} failed: {}: {said}", output.status)));
    }
    Ok(output.stdout)
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
