//! Ctrl-C, or a signal to the runner alone, leaves nothing running and ends it by that signal.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Starts `doctor` by a shell that has run `before`. The cargo that it finds runs `script`, which
/// writes the ids of two processes to the file `pids`.
fn doctor(folder: &Path, before: &str, script: &str) -> Child {
    let cargo = folder.join("cargo");
    let script = format!("#!/bin/sh\n{script}\necho $$ > pids; sleep 60 & echo $! >> pids; wait\n");
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    // The tests' own parent may ignore signals, as a shell does for what it starts with `&`. The
    // runner would ignore them, too.
    Command::new("env")
        .args(["--default-signal=HUP,INT,TERM", "sh", "-c"])
        .args([&format!("{before}\nexec \"$0\" doctor"), env!("CARGO_BIN_EXE_xtask")])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .env("XDG_CACHE_HOME", folder)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The process ids that the script wrote, once both are there.
fn pids(folder: &Path) -> Vec<String> {
    let begin = Instant::now();
    loop {
        let text = fs::read_to_string(folder.join("pids")).unwrap_or_default();
        let pids: Vec<String> = text.lines().map(Into::into).collect();
        if text.ends_with('\n') && pids.len() == 2 {
            return pids;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "the command has not started");
        thread::sleep(Duration::from_millis(10));
    }
}

fn lives(pid: &String) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn an_interrupted_runner_leaves_nothing_running() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let folder = tempfile::tempdir().unwrap();
        let mut runner = doctor(folder.path(), "", "");
        let pids = pids(folder.path());
        assert!(pids.iter().all(lives));
        send(&runner, signal);
        let status = runner.wait().unwrap();
        assert_eq!(status.signal(), Some(signal.as_raw()));
        assert!(!pids.iter().any(lives), "{signal:?}");
    }
}

#[test]
fn a_second_signal_kills_what_ignores_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut runner = doctor(folder.path(), "", "trap '' TERM");
    let pids = pids(folder.path());
    send(&runner, Signal::INT);
    thread::sleep(Duration::from_millis(300));
    assert!(pids.iter().all(lives), "they ignore SIGTERM");
    let begin = Instant::now();
    send(&runner, Signal::INT);
    assert_eq!(runner.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(!pids.iter().any(lives));
}

#[test]
fn a_signal_that_the_caller_ignores_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    // As `nohup` does.
    let mut runner = doctor(folder.path(), "trap '' HUP", "");
    let pids = pids(folder.path());
    send(&runner, Signal::HUP);
    thread::sleep(Duration::from_millis(300));
    assert!(pids.iter().all(lives));
    send(&runner, Signal::TERM);
    assert_eq!(runner.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    assert!(!pids.iter().any(lives));
}
