//! Every exercise of the book: what a reader starts from fails, and the solution passes.

use std::{fs, path::PathBuf, process::Command};

use xtask::{
    build::project,
    host::cache::{self, Cache},
    kernel::KernelName,
    lesson::{
        attempt::{self, Attempts},
        exercise::{self, Exercise, Language, State},
    },
};

use crate::harness::{Needs, Test};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Only(KernelName::STOCK) => [
            no_skeleton_in_c_passes,
            no_skeleton_in_rust_passes,
            every_solution_in_c_passes,
            every_solution_in_rust_passes,
            one_exercise_is_checked_in_a_guest_of_its_own,
            an_exercise_is_begun_missed_and_solved_by_the_verb,
        ],
    )
}

/// Returns the differences that are left in each exercise of a language and state. All are built at
/// once, and those that leave nothing behind share a guest.
fn different(language: Language, state: State) -> Vec<(String, Option<String>)> {
    let all = exercise::all(project()).unwrap();
    // An exercise that is the same in both languages is tried in C.
    let tried =
        |one: &&Exercise| !one.in_words() && (language == Language::C || one.has_choice().unwrap());
    let chosen: Vec<&Exercise> = all.iter().filter(tried).collect();
    let floor = if language == Language::C { 20 } else { 14 };
    assert!(chosen.len() >= floor, "{} of {floor}", chosen.len());
    let folder = folder(&format!("{language:?}-{state:?}"));
    let mut kbuild = String::from("obj-m :=");
    for one in &chosen {
        one.write(&folder.join(&one.number), language, state).unwrap();
        kbuild.push_str(&format!(" {one}/"));
    }
    fs::write(folder.join("Kbuild"), kbuild + "\n").unwrap();
    let mut attempts = Attempts::build(&Cache::open().unwrap(), &folder).unwrap();
    let mut said = Vec::new();
    for one in chosen {
        said.push((one.number.clone(), attempts.play(one, &format!("cd {one}; ")).unwrap()));
        // A module, or a device of an exercise whose name another has, too.
        let left = "cat /proc/modules; ls /dev | grep -E '^(mended|one|extra)$'";
        let session = attempts.session.as_mut();
        if session.is_none_or(|session| !session.exec(left).unwrap().text().is_empty()) {
            attempts.session = None;
        }
    }
    if state == State::Solution {
        attempts.finish().unwrap();
    }
    said
}

/// An empty folder that is the same in every run, so that the cache has one build of it.
fn folder(name: &str) -> PathBuf {
    let folder = project().join("target/exercises-tested").join(name);
    cache::remove_dir(&folder).unwrap();
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn none_passes(language: Language) {
    for (number, different) in different(language, State::Skeleton) {
        assert!(different.is_some(), "{number} is solved before anybody has touched it");
    }
}

fn all_pass(language: Language) {
    for (number, different) in different(language, State::Solution) {
        assert_eq!(different, None, "{number}");
    }
}

fn no_skeleton_in_c_passes() {
    none_passes(Language::C);
}

fn no_skeleton_in_rust_passes() {
    none_passes(Language::Rust);
}

fn every_solution_in_c_passes() {
    all_pass(Language::C);
}

fn every_solution_in_rust_passes() {
    all_pass(Language::Rust);
}

fn one_exercise_is_checked_in_a_guest_of_its_own() {
    let all = exercise::all(project()).unwrap();
    let cache = Cache::open().unwrap();
    for (number, fault) in [("1.2", "`[kernel] count: there for [TIME] s` is missing"), ("6.2", "")]
    {
        let one = all.iter().find(|one| one.number == number).unwrap();
        let own = folder("alone").join(number);
        one.write(&own, Language::Rust, State::Skeleton).unwrap();
        let different = attempt::still_different(&cache, one, &own).unwrap().unwrap();
        assert!(different.ends_with(fault), "{different}");
        for (path, text) in one.files(Language::Rust, State::Solution).unwrap() {
            fs::write(own.join(path), text).unwrap();
        }
        assert_eq!(attempt::still_different(&cache, one, &own).unwrap(), None);
    }
}

fn an_exercise_is_begun_missed_and_solved_by_the_verb() {
    let all = exercise::all(project()).unwrap();
    let one = all.iter().find(|one| one.has_choice().unwrap()).unwrap();
    for language in ["c", "rust"] {
        let base = folder(&format!("verb-{language}"));
        let exercise = |args: &[&str], status: i32| {
            let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
            run.arg("exercise").args(args).arg("--dir").arg(&base);
            let output = run.output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{language} {args:?}: {error}");
            String::from_utf8(output.stdout).unwrap()
        };
        let number = one.number.as_str();
        exercise(&[number, "--in", language], 0);
        let missed = exercise(&[number], 1);
        assert!(missed.contains(&format!("{number} is not solved yet: ")), "{missed}");
        exercise(&[number, "--solution", "--in", language], 0);
        let solution = base.join(format!("{number}-solution"));
        for file in solution.read_dir().unwrap().map(|file| file.unwrap()) {
            fs::copy(file.path(), base.join(number).join(file.file_name())).unwrap();
        }
        assert_eq!(exercise(&[number], 0), format!("{number} is solved\n"));
        assert!(exercise(&[], 0).contains("\n1 of "), "its progress is kept");
    }
}
