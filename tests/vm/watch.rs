//! `watch`: a round is one line, and Ctrl-C ends all of it.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            a_round_is_one_line_and_an_interrupt_ends_it,
            a_round_that_fails_says_why,
        ],
    )
}

fn watch(arguments: &[&str]) -> Command {
    let mut watch = Command::new(env!("CARGO_BIN_EXE_xtask"));
    watch.args(["watch", "--kernel", &kernel().name.to_string()]).args(arguments);
    watch.stdout(Stdio::piped()).stderr(Stdio::piped());
    watch
}

fn a_round_is_one_line_and_an_interrupt_ends_it() {
    let mut watch = watch(&[]).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("ok     built ") && line.ends_with(" s"), "{line}");
    let begin = Instant::now();
    Command::new("kill").args(["-INT", &watch.id().to_string()]).status().unwrap();
    assert!(!watch.wait().unwrap().success());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert!(lines.next().is_none(), "nothing more is said");
}

fn a_round_that_fails_says_why() {
    let output = watch(&["--once", "--", "modprobe consumer; rmmod provider"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("ended with status 1:\nrmmod: ERROR: Module provider is in use"),
        "{said}"
    );
}
