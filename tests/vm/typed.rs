//! The book by hand: what each page shows after `vm#` is typed into the shell of its guest.

use std::{
    fs,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use xtask::{
    build::project,
    guest::console,
    host::cache::Cache,
    kernel::KernelName,
    lesson::{self, Lesson, PageUpdate},
    problem::{Problem, Result},
};

use crate::{
    harness::{Needs, Test, skip},
    terminal::Terminal,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Only(KernelName::STOCK) => [
            every_page_can_be_typed_into_its_shell,
            a_changed_word_and_a_command_that_is_not_there_are_seen,
            a_stack_of_ones_own_is_made_and_loaded_by_hand,
        ],
    )
}

/// The output of each command on a terminal. The last one ends the guest where `dies` says so.
fn type_in(lesson: &Lesson, commands: &[&str], dies: bool) -> Result<Vec<String>> {
    let mut terminal = Terminal::shell(&["--lesson", &lesson.name]);
    let mut said: Vec<String> = Vec::new();
    let wrong = |text: &str| Problem::does_not_hold(format!("{}: {text}", lesson.name));
    if terminal.until_prompt().is_none() {
        return Err(wrong(&terminal.end().0.text));
    }
    let living = commands.len() - usize::from(dies);
    for command in &commands[..living] {
        let Some(shown) = terminal.enter(command) else { break };
        said.last_mut().into_iter().for_each(|last| last.push_str(&shown.before));
        said.push(shown.text);
    }
    terminal.keys(if dies { commands[living] } else { "exit\n" });
    let (shown, status) = terminal.end();
    said.last_mut().into_iter().for_each(|last| last.push_str(&shown.before));
    if status.success() == dies {
        return Err(wrong(&shown.text));
    }
    if dies {
        said.push(last_words(&shown.text).ok_or_else(|| wrong(&shown.text))?);
    }
    Ok(said)
}

/// The console of a guest that died, which the runner has kept and names at the end.
fn last_words(text: &str) -> Option<String> {
    let (_, kept) = text.rsplit_once("(all of it: ")?;
    let console = fs::read_to_string(kept.split_once(')')?.0).ok()?;
    // The first line says how QEMU was started.
    let lines = console.lines().skip(1).map(console::bare);
    Some(lines.map(|line| format!("[kernel] {line}\n")).collect())
}

/// The page as its shell has it, and how many commands were typed.
fn typed(lesson: &Lesson) -> Result<(PageUpdate, usize)> {
    let mut count = 0;
    let update = lesson.typed(&Cache::open().unwrap(), |commands, dies| {
        count += commands.len();
        type_in(lesson, commands, dies)
    });
    Ok((update?, count))
}

fn every_page_can_be_typed_into_its_shell() {
    Terminal::needed();
    let lessons = lesson::find(project(), &[]).unwrap();
    let (next, typed_in) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let pages = AtomicUsize::new(0);
    let (wrong, drifted) = (Mutex::new(String::new()), Mutex::new(String::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(lesson) = lessons.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (update, count) = match typed(lesson) {
                        Ok(typed) => typed,
                        Err(problem) => {
                            wrong.lock().unwrap().push_str(&problem.fact);
                            continue;
                        }
                    };
                    pages.fetch_add(usize::from(count > 0), Ordering::Relaxed);
                    typed_in.fetch_add(count, Ordering::Relaxed);
                    match &update.drift {
                        Some(drift) => drifted.lock().unwrap().push_str(&format!("{drift}; ")),
                        None if update.holds() => (),
                        None => wrong.lock().unwrap().push_str(&update.difference()),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert_eq!(wrong, "", "typed by hand, pages differ");
    let (pages, count) = (pages.into_inner(), typed_in.into_inner());
    assert!(pages >= 17 && count >= 300, "{count} commands of {pages} pages");
    let drifted = drifted.into_inner().unwrap();
    if !drifted.is_empty() {
        skip(format!("drift: {drifted}"));
    }
}

fn a_changed_word_and_a_command_that_is_not_there_are_seen() {
    Terminal::needed();
    let copy = tempfile::tempdir().unwrap();
    let docs = copy.path().join("docs");
    fs::create_dir(&docs).unwrap();
    let page = fs::read_to_string(project().join("docs/01-hello.md")).unwrap();
    let changed = page.replace("[kernel] hello: Goodbye!", "[kernel] hello: Farewell!");
    let changed = changed.replacen("\nvm# lsmod\n", "\nvm# lsmodules\n", 1);
    assert_ne!(changed, page);
    fs::write(docs.join("01-hello.md"), &changed).unwrap();
    let lessons = lesson::find(copy.path(), &["1".into()]).unwrap();
    let (update, _) = typed(&lessons[0]).unwrap();
    let difference = update.difference();
    for seen in ["- [kernel] hello: Farewell!", "+ [kernel] hello: Goodbye!", "+ [status 127]"] {
        assert!(difference.contains(seen), "no {seen:?} in {difference}");
    }
    let lines = difference.lines().filter(|line| line.contains(" + "));
    assert!(lines.count() < 8, "more than what was changed differs: {difference}");
}

fn a_stack_of_ones_own_is_made_and_loaded_by_hand() {
    Terminal::needed();
    for form in ["--c", "--rust"] {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("own");
        let made = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["new", form]).arg(&own).output();
        assert!(made.unwrap().status.success());
        let mut terminal = Terminal::shell(&["--stack", &own.to_string_lossy()]);
        terminal.until_prompt().unwrap();
        let mut says = |command: &str, wanted: &[&str]| {
            let shown = terminal.enter(command).unwrap();
            let places: Vec<_> = wanted.iter().map(|line| shown.text.find(line)).collect();
            let found = places.iter().all(Option::is_some) && places.is_sorted();
            assert!(found, "{command} has not {wanted:?} in this order: {}", shown.text);
        };
        says("modprobe own_user", &["[kernel] own: ready\n", "[kernel] own_user: 2 in all\n"]);
        says("lsmod", &["own_user ", " 0\n", "own ", " 1 own_user\n"]);
        says("rmmod own", &["Module own is in use by: own_user\n", "[status 1]\n"]);
        says("modprobe -r -v own_user", &["rmmod own_user\n", "rmmod own\n", "own: ends at 0\n"]);
        terminal.keys("\x04");
        let (shown, status) = terminal.end();
        assert!(status.success(), "{}", shown.text);
    }
}
