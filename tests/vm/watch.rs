//! `watch`: a round is one line, and Ctrl-C ends all of it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    any_stack::stack,
    guest::qemu,
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            each_save_is_a_round_and_what_fails_is_shown_in_full,
            an_interrupt_ends_the_guest_of_a_round,
        ],
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
    interrupt(&mut watch);
    assert!(lines.next().is_none(), "nothing more is said");
}

/// Ends it as Ctrl-C does.
#[track_caller]
fn interrupt(watch: &mut Child) {
    let begin = Instant::now();
    Command::new("kill").args(["-INT", &watch.id().to_string()]).status().unwrap();
    assert!(!watch.wait().unwrap().success());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

/// A module that says a word when it is loaded, and fails with a status.
fn module(word: &str, status: &str) -> String {
    format!(
        "#include <linux/module.h>\n\
         static int __init one_init(void) {{ pr_info(\"{word}\\n\"); return {status}; }}\n\
         static void __exit one_exit(void) {{ }}\n\
         module_init(one_init);\nmodule_exit(one_exit);\n\
         MODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"one\");\n"
    )
}

fn each_save_is_a_round_and_what_fails_is_shown_in_full() {
    let stack = stack(&[("Kbuild", "obj-m := one.o\n"), ("one.c", &module("first", "0"))]);
    let folder = stack.path().to_string_lossy().into_owned();
    let mut watch = watch(&["--stack", &folder]).spawn().unwrap();
    let mut errors = watch.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let save = |text: &str| fs::write(stack.path().join("one.c"), text).unwrap();
    let line = next();
    assert!(line.starts_with("ok     built one in "), "{line}");

    save(&module("second", "no_such_word"));
    let line = next();
    assert!(line.starts_with("wrong  the modules do not build for "), "{line}");
    let line = next();
    assert!(line.starts_with("hint: what Kbuild said is above; by hand: "), "{line}");

    save(&module("third", "-EINVAL"));
    let line = next();
    assert!(line.starts_with("wrong  `modprobe -a one` ended with status 1:"), "{line}");
    let line = next();
    assert!(line.contains("could not insert 'one': Invalid argument"), "{line}");
    // The kernel's own words follow.
    while next() != "third" {}

    save(&module("fourth", "0"));
    let line = next();
    assert!(line.starts_with("ok     built one in "), "{line}");
    interrupt(&mut watch);
    let errors = errors.join().unwrap();
    assert!(errors.contains("one.c:2:") && errors.contains("undeclared"), "{errors}");
}

fn an_interrupt_ends_the_guest_of_a_round() {
    let stack = stack(&[("Kbuild", "obj-m := one.o\n"), ("one.c", &module("first", "0"))]);
    let folder = stack.path().to_string_lossy().into_owned();
    let mut watch = watch(&["--stack", &folder, "--", "sleep 50"]).spawn().unwrap();
    let begin = Instant::now();
    let guest = loop {
        if let Some(guest) = qemu(watch.id()) {
            break guest;
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "no guest is started");
        thread::sleep(Duration::from_millis(20));
    };
    interrupt(&mut watch);
    let stat = fs::read_to_string(format!("/proc/{guest}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
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
