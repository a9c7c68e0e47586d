//! The first page: what it shows is what is said.

use std::process::Command;

use xtask::{build::project, kernel::KernelName};

use crate::harness::{Needs, Test};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Only(KernelName::STOCK) => [the_first_page_shows_what_the_commands_print])
}

/// Before what it shows of a command's words, `README.md` names the command: `$ cargo xtask VERB`.
const PROMPT: &str = "$ cargo xtask ";
/// This many lines are a screen.
const SCREEN: usize = 45;

/// Each block that shows a command, with its place.
fn shown(page: &str) -> Vec<(usize, &str, Vec<&str>)> {
    let lines: Vec<&str> = page.lines().collect();
    let begins = lines.iter().enumerate();
    let begins = begins.filter_map(|(at, line)| Some((at, line.strip_prefix(PROMPT)?)));
    let until =
        |at: usize| lines[at + 1..].iter().copied().take_while(|line| !line.starts_with("```"));
    begins.map(|(at, command)| (at, command, until(at).collect())).collect()
}

/// A line without what the machine and the archive decide: a kernel's release, and the columns.
fn plain(line: &str) -> String {
    let is_release = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_digit()) && word.matches('.').count() >= 2
    };
    let words = line.split_whitespace();
    words.map(|word| if is_release(word) { "RELEASE" } else { word }).collect::<Vec<_>>().join(" ")
}

fn the_first_page_shows_what_the_commands_print() {
    let page = std::fs::read_to_string(project().join("README.md")).unwrap();
    let shown = shown(&page);
    let verb = |verb: &str| shown.iter().find(|(_, command, _)| command.starts_with(verb));
    assert!(verb("demo").is_some());
    assert!(verb("prove").is_some_and(|(at, ..)| *at < SCREEN), "the door is on the first screen");
    for (_, command, lines) in shown {
        let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = run.args(command.split_whitespace()).current_dir(project()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}:\n{said}");
        assert!(lines.len() > 4, "{command} shows nothing");
        let mut rest = said.lines().map(plain);
        for line in lines.into_iter().map(plain).filter(|line| !line.is_empty()) {
            assert!(rest.any(|said| said == line), "`{command}` does not say {line:?}:\n{said}");
        }
    }
}
