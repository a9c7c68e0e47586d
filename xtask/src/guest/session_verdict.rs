//! The three verdicts on a guest, all required: its report is whole, its kernel did not complain,
//! and its machine ended by itself. Whatever else happened is named, and is never green.

use std::{fmt::Write, path::Path, time::Duration};

use ko::text::Text;

use crate::{
    guest::{
        console::{Allowed, PANIC, Reader, Splat, gravest, splats},
        protocol,
        report::Report,
    },
    printer::Shown as _,
    problem::{Problem, Result},
};

/// The number of lines of the console that are shown: from the complaint on, or else the last ones.
const CONSOLE_LINES: usize = 20;

/// The end of the conversation with the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its goodbye.
    Goodbye,
    /// The channel was closed, because QEMU ended.
    Closed,
    /// A deadline passed.
    Deadline {
        /// The deadline.
        after: Duration,
        /// The time for which nothing had come from the agent.
        silent: Duration,
    },
    /// The agent sent what it cannot mean.
    Corrupt(String),
    /// The console grew beyond its limit of so many bytes.
    Flood(u64),
}

/// All that is known when a guest is over.
#[derive(Clone, Debug)]
pub(super) struct Evidence<'a> {
    pub(super) end: End,
    pub(super) report: &'a Report,
    /// The command that ran last, if it did not end.
    pub(super) running: Option<&'a str>,
    /// All of the console.
    pub(super) console: &'a str,
    /// Why it could not be read, if so.
    pub(super) unread: Option<&'a str>,
    /// QEMU's own words.
    pub(super) qemu: &'a str,
    /// QEMU's exit status, 128 and the signal's number when a signal ended it; none when it had
    /// to be ended.
    pub(super) status: Option<i32>,
    /// The status that the goodbye announced.
    pub(super) agreed: i32,
    pub(super) allowed: &'a [Allowed],
    /// Where the whole console is kept.
    pub(super) log: &'a Path,
}

/// Judges if the guest proves anything.
///
/// # Errors
/// The first of: the kernel complained; the guest did not end as agreed; the report is not whole.
pub(super) fn judge(evidence: &Evidence<'_>) -> Result<()> {
    let ending = ending(evidence);
    let (problem, from) = match (complaint(evidence), &evidence.report.flaw) {
        (Some(complaint), _) => {
            let mut fact = complaint.fact;
            // Often one follows from the other: the kernel complained, and so the guest hangs. A
            // panic ends the machine, which needs no words.
            if let Some(ending) = ending.filter(|_| !complaint.panicked) {
                let _ = write!(fact, "; {}", ending.fact);
            }
            (Problem::does_not_hold(fact), Some(complaint.line))
        }
        (None, flaw) => {
            let flaw = flaw.iter().map(|flaw| format!("report is not whole: {flaw}"));
            let unread = evidence.unread.iter().map(|why| format!("console cannot be read: {why}"));
            let fault = flaw.chain(unread).next();
            let fault = fault.map(|what| Problem::host(format!("the guest's {what}")));
            let Some(problem) = ending.or(fault) else { return Ok(()) };
            (problem, None)
        }
    };
    Err(with_console(problem, evidence, from.as_deref()))
}

/// The kernel's complaint.
struct Complaint {
    fact: String,
    panicked: bool,
    /// The line that tells most.
    line: String,
}

/// The line that tells most of what the kernel complained about until now, if it did.
pub(super) fn complaint_of(report: &Report, console: &str) -> Option<String> {
    gravest(&splats_of(report, console, &[])).map(|splat| splat.line.clone())
}

/// Both are read: after a panic the console alone has the end, and what is below the console's
/// level only the report has.
fn splats_of(report: &Report, console: &str, allowed: &[Allowed]) -> Vec<Splat> {
    let mut reported = Reader::new(allowed);
    // Line by line: a copy of the whole log would take as much again.
    for message in report.messages().filter(|message| !message.from_user) {
        message.to_string().lines().for_each(|line| reported.line(line));
    }
    splats(console, allowed).into_iter().chain(reported.end()).collect()
}

fn complaint(evidence: &Evidence<'_>) -> Option<Complaint> {
    let splats = splats_of(evidence.report, evidence.console, evidence.allowed);
    let splat = gravest(&splats)?;
    let panic = splats.iter().find(|splat| splat.what == PANIC);
    let place = match step_of(evidence.report, &splat.line) {
        Some(command) => format!(" while `{}` ran", shown(command)),
        None => place(evidence),
    };
    let fact = match panic {
        None => format!("the kernel complained{place}: {}", splat.line),
        Some(panic) if panic == splat => format!("the kernel panicked{place}: {}", panic.line),
        Some(panic) => format!("the kernel panicked{place}: {}, {}", splat.line, panic.line),
    };
    Some(Complaint { fact, panicked: panic.is_some(), line: splat.line.clone() })
}

/// The command during which the kernel logged a line, if the report tells.
fn step_of<'a>(report: &'a Report, line: &str) -> Option<&'a str> {
    let mut commands = report.commands.iter();
    let step = commands.find(|step| step.kernel.iter().any(|message| message.text.contains(line)));
    step.map(|step| step.command.as_str())
}

/// Returns the difference between the guest's end and what was agreed, if there is one.
fn ending(evidence: &Evidence<'_>) -> Option<Problem> {
    let place = place(evidence);
    let came_up = evidence.report.hello.is_some();
    let how = status(evidence.status);
    let said = said(evidence.qemu);
    let fact = match &evidence.end {
        End::Goodbye if evidence.status == Some(evidence.agreed) => return None,
        End::Goodbye => format!("the VM did not end as agreed after its goodbye: {how}"),
        End::Closed if !came_up => format!("the guest never came up: {how}{said}"),
        End::Closed => format!("the VM ended{place}: {how}{said}"),
        End::Deadline { after, .. } if !came_up => {
            format!("the guest did not come up within {} s{said}", after.as_secs())
        }
        End::Deadline { after, silent } => return Some(hang(evidence, *after, *silent)),
        End::Corrupt(why) => format!("the guest's report broke off{place}: {why}"),
        End::Flood(bytes) => {
            format!("the console had more than {} MiB{place}: ended", bytes >> 20)
        }
    };
    Some(Problem::host(fact))
}

fn hang(evidence: &Evidence<'_>, after: Duration, silent: Duration) -> Problem {
    let seconds = after.as_secs();
    let Some(command) = evidence.running else {
        return Problem::host(format!("the guest did not end within {seconds} s"));
    };
    let command = shown(command);
    // The agent speaks every second while a command runs, on a busy machine somewhat later.
    let known = 5 * Duration::from_millis(protocol::ALIVE_MS);
    if silent < known {
        let answers = if after < known { "" } else { "; the guest still answers" };
        let fact = format!("`{command}` did not end within {seconds} s{answers}");
        return Problem::host(fact).hint("give it more time: --deadline SECONDS");
    }
    let silent = silent.as_secs();
    Problem::host(format!(
        "the guest hangs in `{command}`: silent for {silent} s, ended after {seconds} s"
    ))
}

/// While which command it happened.
fn place(evidence: &Evidence<'_>) -> String {
    match (evidence.running, &evidence.report.hello) {
        (Some(command), _) => format!(" while `{}` ran", shown(command)),
        (None, None) => " while it booted".into(),
        (None, Some(_)) => String::new(),
    }
}

/// A command line in a sentence: its first line, and not too much of it.
fn shown(command: &str) -> String {
    let line = command.lines().next().unwrap_or_default();
    let short: String = line.chars().take(100).collect();
    if short == command { short } else { format!("{short}…") }
}

fn status(status: Option<i32>) -> String {
    match status {
        None => "QEMU had to be ended".into(),
        Some(0) => "QEMU ended with status 0, as it does when the guest resets".into(),
        Some(status @ 129..=192) => format!("QEMU was killed by signal {}", status - 128),
        Some(status) => format!("QEMU ended with status {status}"),
    }
}

fn said(qemu: &str) -> String {
    let lines: Vec<&str> = qemu.trim().lines().collect();
    let end = &lines[lines.len().saturating_sub(5)..];
    if end.is_empty() { String::new() } else { format!("; it said: {}", end.join("\n")) }
}

fn with_console(mut problem: Problem, evidence: &Evidence<'_>, from: Option<&str>) -> Problem {
    let lines: Vec<&str> = evidence.console.lines().map(str::trim_end).collect();
    let at = from.and_then(|from| lines.iter().position(|line| line.contains(from)));
    let (which, begin) = match at {
        Some(at) => ("from there on", at),
        None => ("at its end", lines.len().saturating_sub(CONSOLE_LINES)),
    };
    let shown: Vec<&str> = lines[begin..].iter().take(CONSOLE_LINES).copied().collect();
    let _ = if shown.is_empty() {
        write!(problem.fact, "\nthe console is empty")
    } else {
        write!(problem.fact, "\nthe console {which}:\n  {}", shown.join("\n  "))
    };
    let _ = write!(problem.fact, "\n(all of it: {})", evidence.log.shown());
    // A module's words must not command the reader's terminal.
    problem.fact = Text(problem.fact.as_bytes()).to_string();
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        guest::report::{CommandReport, Hello, Message},
        problem::Kind,
    };

    const CLEAN: &str = include_str!("logs/clean.log");
    const OOPS: &str = include_str!("logs/oops.log");

    fn report() -> Report {
        Report { hello: Some(Hello::default()), ..Report::default() }
    }

    fn evidence<'a>(report: &'a Report, end: End, console: &'a str) -> Evidence<'a> {
        Evidence {
            end,
            report,
            running: Some("modprobe consumer"),
            console,
            unread: None,
            qemu: "",
            status: None,
            agreed: protocol::EXIT_STATUS,
            allowed: &[],
            log: Path::new("/cache/log"),
        }
    }

    fn fact(evidence: &Evidence<'_>, kind: Kind) -> String {
        let problem = judge(evidence).unwrap_err();
        assert_eq!(problem.kind, kind, "{problem}");
        assert!(problem.fact.ends_with("(all of it: /cache/log)"));
        problem.fact.lines().next().unwrap_or_default().into()
    }

    /// A guest that ended as agreed, with this console.
    fn ended(console: &str) -> Result<()> {
        let report = report();
        let mut evidence = evidence(&report, End::Goodbye, console);
        (evidence.running, evidence.status) = (None, Some(protocol::EXIT_STATUS));
        judge(&evidence)
    }

    #[test]
    fn a_clean_guest_that_ends_as_agreed_is_green() {
        assert_eq!(ended(CLEAN), Ok(()));
    }

    #[test]
    fn a_complaint_does_not_command_the_terminal() {
        let problem = ended("[    1.0] BUG: a\x1b[2J\rb\n").unwrap_err();
        assert!(problem.fact.contains("BUG: a\\u{1b}[2J\\rb\n"), "{problem}");
    }

    #[test]
    fn a_console_that_cannot_be_read_is_red() {
        let report = report();
        let mut evidence = evidence(&report, End::Goodbye, "");
        (evidence.running, evidence.status) = (None, Some(protocol::EXIT_STATUS));
        assert_eq!(judge(&evidence), Ok(()));
        evidence.unread = Some("no such file");
        let fact = fact(&evidence, Kind::Host);
        assert_eq!(fact, "the guest's console cannot be read: no such file");
    }

    #[test]
    fn every_recorded_complaint_is_red_even_when_all_else_went_well() {
        let complaint = |console| {
            let problem = ended(console).unwrap_err();
            assert_eq!(problem.kind, Kind::DoesNotHold);
            problem.fact.lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(
            complaint(include_str!("logs/warning.log")),
            "the kernel complained: WARNING: warns.c:8 at warns_init+0x10/0xff0 [warns], \
             CPU#0: insmod/99"
        );
        assert_eq!(
            complaint(include_str!("logs/bug.log")),
            "the kernel panicked: kernel BUG at bugs.c:8!, \
             Kernel panic - not syncing: Fatal exception"
        );
        assert_eq!(
            complaint(OOPS),
            "the kernel panicked: BUG: kernel NULL pointer dereference, \
             address: 0000000000000008, Kernel panic - not syncing: Fatal exception"
        );
        assert_eq!(
            complaint(include_str!("logs/panic.log")),
            "the kernel panicked: Kernel panic - not syncing: on purpose"
        );
        assert_eq!(
            complaint(include_str!("logs/hung-task.log")),
            "the kernel complained: INFO: task insmod:100 blocked for more than 5 seconds."
        );
        assert_eq!(
            complaint(include_str!("logs/soft-lockup.log")),
            "the kernel panicked: watchdog: BUG: soft lockup - CPU#0 stuck for 22s! \
             [insmod:99], Kernel panic - not syncing: softlockup: hung tasks"
        );
    }

    #[test]
    fn a_log_that_breaks_off_still_tells_what_it_has() {
        let cut = &OOPS[..OOPS.find("RIP:").unwrap() + 6];
        let report = report();
        let mut evidence = evidence(&report, End::Closed, cut);
        evidence.status = Some(137);
        let fact = fact(&evidence, Kind::DoesNotHold);
        assert!(fact.starts_with("the kernel complained while `modprobe consumer` ran: BUG: "));
        assert!(fact.ends_with("QEMU was killed by signal 9"), "{fact}");
    }

    #[test]
    fn a_complaint_that_only_the_report_has_counts_and_names_its_command() {
        let message = |record: &[u8]| Message::parse(record).unwrap();
        let mut report = report();
        let step = |command: &str, kernel| CommandReport {
            command: command.into(),
            kernel,
            ..CommandReport::default()
        };
        report.commands = vec![
            step("true", vec![message(b"12,8,5,-;WARNING: a program wrote this")]),
            step("modprobe provider", vec![message(b"4,9,5,-;WARNING: at x")]),
            step("true", Vec::new()),
        ];
        let mut evidence = evidence(&report, End::Goodbye, CLEAN);
        (evidence.running, evidence.status) = (None, Some(protocol::EXIT_STATUS));
        assert_eq!(
            fact(&evidence, Kind::DoesNotHold),
            "the kernel complained while `modprobe provider` ran: WARNING: at x"
        );
    }

    /// It is long because it is a list of ends.
    #[test]
    fn whatever_is_no_agreed_end_is_named() {
        let (up, down) = (report(), Report::default());
        let second = Duration::from_secs;
        let cases = [
            (
                &up,
                End::Closed,
                Some(0),
                "the VM ended while `modprobe consumer` ran: QEMU ended \
              with status 0, as it does when the guest resets; it said: no",
            ),
            (
                &up,
                End::Closed,
                Some(protocol::EXIT_STATUS),
                "the VM ended while `modprobe consumer` \
              ran: QEMU ended with status 85; it said: no",
            ),
            (
                &up,
                End::Goodbye,
                None,
                "the VM did not end as agreed after its goodbye: QEMU had \
              to be ended",
            ),
            (
                &up,
                End::Goodbye,
                Some(0),
                "the VM did not end as agreed after its goodbye: QEMU \
              ended with status 0, as it does when the guest resets",
            ),
            (
                &up,
                End::Corrupt("x".into()),
                None,
                "the guest's report broke off while `modprobe \
              consumer` ran: x",
            ),
            (
                &up,
                End::Flood(4 << 20),
                None,
                "the console had more than 4 MiB while `modprobe \
              consumer` ran: ended",
            ),
            (
                &up,
                End::Deadline { after: second(60), silent: second(58) },
                None,
                "the guest hangs \
              in `modprobe consumer`: silent for 58 s, ended after 60 s",
            ),
            (
                &up,
                End::Deadline { after: second(60), silent: second(1) },
                None,
                "`modprobe \
              consumer` did not end within 60 s; the guest still answers",
            ),
            (
                &up,
                End::Deadline { after: second(3), silent: second(3) },
                None,
                "`modprobe consumer` did not end within 3 s",
            ),
            (
                &down,
                End::Closed,
                Some(1),
                "the guest never came up: QEMU ended with status 1; it \
              said: no",
            ),
            (
                &down,
                End::Deadline { after: second(60), silent: second(60) },
                None,
                "the guest did \
              not come up within 60 s; it said: no",
            ),
        ];
        for (report, end, status, expected) in cases {
            let mut evidence = evidence(report, end, CLEAN);
            (evidence.status, evidence.qemu) = (status, "no\n");
            assert_eq!(fact(&evidence, Kind::Host), expected);
        }
    }

    #[test]
    fn a_report_with_a_flaw_is_red_although_all_ended_well() {
        let report = Report { flaw: Some("a gap".into()), ..report() };
        let mut evidence = evidence(&report, End::Goodbye, "");
        (evidence.running, evidence.status) = (None, Some(protocol::EXIT_STATUS));
        assert_eq!(fact(&evidence, Kind::Host), "the guest's report is not whole: a gap");
    }
}
