//! The book drifts nowhere: a word of a page or of a module that changes makes its lesson fail.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use xtask::{
    build::{BuildDir, Stack, project},
    host::cache::Cache,
    kernel::KernelName,
    lesson::{self, PageUpdate},
};

use crate::{
    build::{by_clippy, linted},
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Only(KernelName::STOCK) => [
            a_page_that_nobody_changed_holds,
            a_changed_word_in_a_page_fails_and_is_pointed_at,
            a_difference_is_drift_only_where_newer_programs_speak,
            a_picture_that_cannot_be_drawn_fails,
            a_changed_printk_fails_where_the_kernel_says_it_and_where_the_page_shows_it,
            the_lessons_modules_pass_the_kernels_own_lints,
        ],
    )
}

/// The first lesson.
const FIRST: &str = "01-hello";

/// A copy of the first lesson, to be changed; on the stock kernel alone, which is quicker. Each has
/// a name of its own: pages of one name wait for one another.
fn copied(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let (from, to) = (project().join("docs"), copy.path().join("docs"));
    fs::create_dir_all(to.join(name)).unwrap();
    for file in from.join(FIRST).read_dir().unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(name).join(file.file_name())).unwrap();
    }
    let page = fs::read_to_string(from.join(format!("{FIRST}.md"))).unwrap().replace(FIRST, name);
    let page = page.replace("kernels: stock sid", "kernels: stock");
    let mut rest = page.as_str();
    let mut alone = String::new();
    while let Some((before, after)) = rest.split_once("\nOn `sid`:\n") {
        let end = after.find("\n```\n").unwrap() + "\n```\n".len();
        alone.push_str(before);
        rest = &after[end..];
    }
    // The kernel that was at hand when the copy was blessed.
    let text = alone + rest;
    let (head, said) = text.rsplit_once("; Linux ").unwrap();
    assert!(said.contains("`sid`"), "{said}");
    fs::write(to.join(format!("{name}.md")), format!("{head}.*\n")).unwrap();
    copy
}

/// Lets a page of this kernel be blessed by an older one.
fn grow_old(page: &Path) -> String {
    let release = &kernel().release;
    let (_, minor) = release.split_once('.').unwrap();
    edit(page, &format!("Linux {release}"), &format!("Linux 6.{minor}"));
    format!("Linux (`stock`) 6.{minor}, now {release}")
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from:?} in {}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

/// The lesson as it is in the copy, and as it should be: its diagram, and the page.
fn updates(copy: &Path) -> [PageUpdate; 2] {
    let lessons = lesson::find(copy, &[]).unwrap();
    lessons[0].update(&Cache::open().unwrap()).unwrap().try_into().unwrap()
}

/// The same of the page alone.
fn update(copy: &Path) -> PageUpdate {
    let [diagram, page] = updates(copy);
    assert!(diagram.holds());
    page
}

/// Exactly these lines differ: the number in the page, what it shows, what was said.
#[track_caller]
fn differs(update: &PageUpdate, shows: &str, said: &str) {
    assert!(!update.holds());
    let line = update.old.lines().position(|line| line == shows).unwrap() + 1;
    let text = update.difference();
    assert!(text.contains(&format!("{line:4}      - {shows}\n")), "{text}");
    assert!(text.contains(&format!("+ {said}\n")), "{text}");
    let pairs = update.old.lines().zip(update.new.lines());
    let other: Vec<_> = pairs.filter(|(is, should)| is != should && *is != shows).collect();
    // And who spoke, which is written whenever something else is.
    assert!(other.iter().all(|(is, _)| is.starts_with("*Said by ")), "{other:?}");
}

fn a_page_that_nobody_changed_holds() {
    let copy = copied("01-same");
    for update in updates(copy.path()) {
        assert!(update.holds(), "{}", update.difference());
    }
}

fn a_changed_word_in_a_page_fails_and_is_pointed_at() {
    let copy = copied("01-word");
    let page = copy.path().join("docs/01-word.md");
    edit(&page, "[kernel] hello: Goodbye!", "[kernel] hello: Farewell!");
    let update = update(copy.path());
    differs(&update, "[kernel] hello: Farewell!", "[kernel] hello: Goodbye!");
    assert_eq!(update.drift, None, "the same programs spoke");
    update.write().unwrap();
    let blessed = fs::read_to_string(page).unwrap();
    assert!(blessed.contains("hello: Goodbye!") && !blessed.contains("Farewell"));
}

fn a_difference_is_drift_only_where_newer_programs_speak() {
    let copy = copied("01-drift");
    let page = copy.path().join("docs/01-drift.md");
    edit(&page, "[kernel] hello: Goodbye!", "[kernel] hello: Farewell!");
    let newer = grow_old(&page);
    assert_eq!(update(copy.path()).drift, Some(newer));
}

fn a_picture_that_cannot_be_drawn_fails() {
    let copy = copied("01-picture");
    let page = copy.path().join("docs/01-picture.md");
    let drawn = "<!-- picture: cat nothing.svg -->\n![a](a.svg)\n";
    let text = fs::read_to_string(&page).unwrap();
    fs::write(&page, text.replacen("\n## ", &format!("\n{drawn}\n## "), 1)).unwrap();
    let lessons = lesson::find(copy.path(), &[]).unwrap();
    let problem = lessons[0].update(&Cache::open().unwrap()).unwrap_err();
    assert!(problem.fact.contains("`cat nothing.svg` draws nothing"), "{}", problem.fact);
}

fn a_changed_printk_fails_where_the_kernel_says_it_and_where_the_page_shows_it() {
    let copy = copied("01-printk");
    edit(&copy.path().join("docs/01-printk/hello.rs"), "\"Goodbye!", "\"Farewell!");
    grow_old(&copy.path().join("docs/01-printk.md"));
    let update = update(copy.path());
    assert_eq!(update.drift, None, "the code in a page does not depend on who speaks");
    let text = update.difference();
    for line in ["- [kernel] hello: Goodbye!", "+ [kernel] hello: Farewell!"] {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
    assert!(text.contains("+         pr_info!(\"Farewell!\\n\");"), "{text}");
}

fn the_lessons_modules_pass_the_kernels_own_lints() {
    let lessons = Stack::part_of_project("lints-of-lessons", &["docs", "provider", "consumer"]);
    linted(&lessons, |build_dir| {
        let docs = build_dir.tree().join("docs");
        let lessons = docs.read_dir().unwrap().map(|entry| entry.unwrap().path());
        // Each alone: modules of several lessons have the same name, which one build forbids.
        lessons.filter(|path| path.join("Kbuild").exists()).for_each(|path| lint(build_dir, &path));
        let sources = rust_sources(&docs);
        assert!(sources.len() > 5);
        let rustfmt = kernel().toolchain.run("rustfmt", &build_dir.tree()).arg("--check");
        let outcome = rustfmt.args(&sources).output().unwrap();
        assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    });
}

fn lint(build_dir: &BuildDir, lesson: &Path) {
    let make = kernel().toolchain.run("make", &build_dir.tree());
    let make = make.args(["-C".into(), kernel().kdir.display().to_string(), "-j2".into()]);
    let make = make.arg(format!("M={}", lesson.display())).deadline(Duration::from_secs(300));
    // A module that a lesson shows to be missing at the load may be missing here as well. Modpost
    // is the last to judge what is written here: the link after it is not made.
    let flags = ["CLIPPY=1", "W=1", "KBUILD_MODPOST_WARN=1", "KBUILD_MODPOST_NOFINAL=1"];
    let outcome = make.args(flags).output().unwrap();
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.status.success(), "{text}");
    assert!(rust_sources(lesson).is_empty() || by_clippy(lesson), "{text}");
    assert!(!text.contains("warning:"), "{text}");
}

fn rust_sources(folder: &Path) -> Vec<PathBuf> {
    let paths = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => rust_sources(&path),
            _ if path.to_string_lossy().ends_with("_generated.rs") => Vec::new(),
            Some(extension) if extension == "rs" => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
