//! A command's end: its failure, its deadline, its limits, and what it leaves behind.

use super::*;

#[test]
fn a_failure_shows_what_the_command_said_and_the_next_command() {
    let run = Run::new("sh").args(["-c", "echo out; echo why >&2; exit 3"]).quiet();
    let problem = run.hint("read it").stdout().unwrap_err();
    assert!(problem.fact.contains("out\nwhy"), "{problem}");
    assert_eq!(problem.hint.as_deref(), Some("read it"));
}

/// `true` if a process lives: one that nobody reaps yet does not.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Long enough for a shell to have begun on a busy machine.
const BEGUN: Duration = Duration::from_secs(1);
/// A test's command that ends has ended before, on a busy machine as well; another takes a minute.
const ENDED: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Run {
    Run::new("sh").args(["-c", script]).quiet()
}

#[test]
fn a_deadline_ends_it() {
    let run = shell("echo so far; sleep 60").deadline(BEGUN);
    let begin = Instant::now();
    let problem = run.output().unwrap_err();
    assert!(begin.elapsed() < ENDED);
    assert_eq!(problem.kind, crate::problem::Kind::Host);
    assert!(problem.fact.ends_with("so far"), "{problem}");
    assert!(problem.hint.unwrap().contains("sleep 60"));
}

#[test]
fn a_deadline_also_ends_what_ignores_sigterm_and_keeps_writing() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; echo $$ > pid; while :; do echo x; sleep 0.01; done & wait";
    for collected in [true, false] {
        let run = shell(script).cwd(folder.path()).deadline(BEGUN);
        let begin = Instant::now();
        let problem = if collected {
            run.output().map(drop).unwrap_err()
        } else {
            let step = Step::begin("a step", "no time", folder.path().join("log"));
            run.logged(&step).unwrap_err()
        };
        assert!(problem.fact.contains("took more than"), "{problem}");
        assert!(begin.elapsed() < ENDED, "{:?}", begin.elapsed());
        assert!(!lives(&std::fs::read_to_string(folder.path().join("pid")).unwrap()));
    }
}

#[test]
fn a_command_is_over_when_it_ends_though_a_child_holds_its_output() {
    let begin = Instant::now();
    let output = shell("(sleep 60; true) & echo $!").output().unwrap();
    assert!(begin.elapsed() < ENDED, "{:?}", begin.elapsed());
    assert!(output.status.success());
    assert!(!lives(&output.stdout), "what it left running is ended");

    let begin = Instant::now();
    let mut seen = Vec::new();
    shell("(sleep 60; true) & printf 'a\\nb'").tee(|line| seen.push(line.to_owned())).unwrap();
    assert!(begin.elapsed() < ENDED, "{:?}", begin.elapsed());
    assert_eq!(seen, ["a", "b"]);
}

#[test]
fn a_process_that_is_not_waited_for_is_terminated() {
    let process = shell("sleep 60 & wait").spawn(Stdio::null(), Stdio::null()).unwrap();
    let pid = process.id().to_string();
    assert!(lives(&pid));
    drop(process);
    assert!(!lives(&pid));
}

#[test]
fn output_has_a_limit() {
    let problem = shell("exec cat /dev/zero").output().unwrap_err();
    assert!(problem.fact.contains("printed more than 64 MiB"));
}

#[test]
fn only_a_command_that_is_given_the_lock_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let cache = crate::host::cache::Cache::at(folder.path());
    let lock = cache.lock("a").unwrap();
    let held = |run: Run| {
        let output = run.args(["-c", "ls -l /proc/self/fd"]).quiet().output().unwrap();
        output.stdout.contains("a.lock")
    };
    assert!(!held(Run::new("sh")));
    assert!(held(Run::new("sh").holding(&lock)));

    let mut process = shell("sleep 60").holding(&lock).spawn(Stdio::null(), Stdio::null());
    drop(lock);
    let free = || {
        let file = File::open(folder.path().join("a.lock")).unwrap();
        rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
    };
    assert!(!free());
    process.as_mut().unwrap().terminate();
    assert!(free());
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let problem = shell("printf '\\033[2J'; exit 1").stdout().unwrap_err();
    assert_eq!(ko::text::printable("a\x1b[2J\tb\n"), "a\\u{1b}[2J\tb\n");
    assert!(problem.fact.contains('\x1b'), "it is kept until it is printed");
}

#[test]
fn it_can_be_pasted() {
    let run = Run::new("make").arg("KDIR=/a b").cwd("/x").env("A", "1 2");
    assert_eq!(run.to_string(), "cd /x && A='1 2' make 'KDIR=/a b'");
}
