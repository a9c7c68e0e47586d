//! The program that `cargo install` makes works in a folder of somebody else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use xtask::{build::project, kernel::KernelName};

use crate::harness::{Needs, Test};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Only(KernelName::STOCK) => [
        one_program_has_all_that_it_needs_inside,
    ])
}

/// Installs it below `root`, as its user does.
fn install(root: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut install = Command::new(cargo);
    install.args(["install", "--locked", "--path"]).arg(project().join("xtask/symstack"));
    let installed = install.arg("--root").arg(root).current_dir("/").output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let programs = fs::read_dir(root.join("bin")).unwrap().flatten();
    let programs: Vec<PathBuf> = programs.map(|entry| entry.path()).collect();
    assert_eq!(programs, [root.join("bin/symstack")], "one program");
    root.join("bin/symstack")
}

fn one_program_has_all_that_it_needs_inside() {
    let place = tempfile::tempdir().unwrap();
    let program = install(&place.path().join("root"));
    let theirs = place.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    let run = |folder: &Path, arguments: &[&str]| {
        Command::new(&program).args(arguments).current_dir(folder).output().unwrap()
    };
    let holds = |folder: &Path, arguments: &[&str], said: &str| {
        let Output { status, stdout, stderr } = run(folder, arguments);
        let all = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let all = all.concat();
        assert!(status.success() && all.contains(said), "{arguments:?}: {status}\n{all}");
        assert!(!all.contains("cargo xtask"), "{arguments:?}:\n{all}");
    };
    // The first command that the README shows of it.
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let shown = readme.lines().filter(|line| line.starts_with("symstack "));
    let shown: Vec<&str> = shown.filter_map(|line| Some(line.split_once("  ")?.0)).collect();
    assert!(shown.len() >= 3, "{shown:?}");
    for command in shown {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        holds(&theirs, &words, "");
    }
    // The commands that it speaks of are there.
    let nothing = run(&theirs, &["build"]);
    let error = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(nothing.status.code() == Some(2) && error.contains("--stack DIR"), "{error}");

    holds(&theirs, &["new", "tracks", "--crate"], "next: symstack prove");
    let album = theirs.join("album");
    holds(&album, &["order"], "album_user");
    holds(&album, &["check"], "album_user.ko");
    holds(&album, &["vm", "--", "/bin/true"], "");
    holds(&album, &["prove"], "holds on 1 of 1 kernels");
    holds(&album, &["doctor"], "private root");
    for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
        holds(&album, &["completions", shell], mark);
    }
    holds(&album, &["man", "vm"], ".TH symstack");
}
