//! A fresh stack builds, loads and passes as it stands, under its own names.

use std::{fs, path::Path, process::Command};

use crate::{
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [a_fresh_stack_of_c_passes_as_it_stands],
        Needs::Rust => [
            a_fresh_stack_of_rust_passes_as_it_stands,
            a_fresh_stack_of_rust_above_c_passes_as_it_stands,
            a_fresh_stack_with_a_crate_passes_as_it_stands,
        ],
    )
}

/// The verb, with its standard output; it must end with status 0.
#[track_caller]
fn run(folder: &Path, arguments: &[&str], command: Option<&str>) -> String {
    let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
    run.args(arguments).current_dir(folder);
    if arguments[0] != "new" {
        run.args(["--kernel", &kernel().name.to_string()]);
    }
    run.args(command.map(|command| ["--", command]).into_iter().flatten());
    let output = run.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} {command:?}: {}\n{said}{error}", output.status);
    format!("{said}{error}")
}

/// Makes one, proves it, looks at what it says, and asks what it exports.
fn passes(name: &str, form: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    let made = [&["new", name, "--name", name], form].concat();
    assert!(run(place.path(), &made, None).contains("README.md"));
    let folder = place.path().join(name);
    let user = format!("{name}_user");
    let said = run(&folder, &["prove", "--run", "true"], None);
    assert!(said.contains("holds on 1 of 1 kernels"), "{said}");
    let load = format!("modprobe {user} && modprobe -r {user} && ! grep {name} /proc/modules");
    let said = run(&folder, &["vm"], Some(&format!("{load} && dmesg | tail -n 4")));
    for line in [": ready", ": 2 in all", ": ends at 0"] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }
    assert!(run(&folder, &["order"], None).contains(&user));
    let expected = folder.join("Module.symvers.expected");
    if expected.exists() {
        let said = run(&folder, &["symvers", "check"], None);
        assert!(said.contains("2 symbols are as blessed"), "{said}");
    }
}

/// Formatted as the kernel's own, and without a warning of its lints, whatever it is called.
fn is_linted(form: &[&str]) {
    for name in ["a", "abcdefghijklmnopqrst_012"] {
        let place = tempfile::tempdir().unwrap();
        run(place.path(), &[&["new", name], form].concat(), None);
        let folder = place.path().join(name);
        let make = "make fmtcheck && make KDIR=$KDIR CLIPPY=1";
        let said = run(&folder, &["enter"], Some(make));
        assert!(said.contains("CLIPPY") && !said.contains("warning"), "{said}");
        assert!(fs::exists(folder.join(format!("{name}_user.ko"))).unwrap());
    }
}

fn a_fresh_stack_of_c_passes_as_it_stands() {
    passes("plain", &["--c"]);
}

fn a_fresh_stack_of_rust_passes_as_it_stands() {
    passes("rusty", &["--rust"]);
    is_linted(&[]);
}

fn a_fresh_stack_of_rust_above_c_passes_as_it_stands() {
    passes("mixed", &["--c", "--rust"]);
    is_linted(&["--c", "--rust"]);
}

fn a_fresh_stack_with_a_crate_passes_as_it_stands() {
    passes("crated", &["--crate"]);
    is_linted(&["--crate"]);
}
