//! `lesson` and `bless`: the book's pages are run, and compared or rewritten.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    build::project,
    command::cargo,
    host::{cache::Cache, progress::say, run},
    lesson::{self, Lesson, PageUpdate},
    printer::Shown as _,
    problem::{Kind, Problem, Result},
};

/// Run the book's pages, and compare what they show with what is said today
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lessons, for example 01-hello, hello or 1; all unless told
    names: Vec<String>,
}

/// Rewrite what the book's pages or the tests expect by what is said today
#[derive(Debug, clap::Args)]
pub struct BlessArgs {
    /// The lessons, for example 01-hello, hello or 1; default: all. `golden` is what the verbs that
    /// need no VM print, `pictures` the diagrams that are drawn from a text
    names: Vec<String>,
}

/// With this in the environment, a test rewrites what it expects.
pub const BLESS: &str = "SYMSTACK_BLESS";

/// The name for `bless` of the golden files.
const GOLDEN: &str = "golden";
/// The name for `bless` of the diagrams, which need no run.
const PICTURES: &str = "pictures";

impl Args {
    /// Compares; status 1 when a page does not hold.
    ///
    /// # Errors
    /// No page has a name, or the first problem that kept a page from being run.
    pub fn run(self) -> Result<ExitCode> {
        let held = compare(&self.names)?.all_ran()?;
        Ok(ExitCode::from(u8::from(!held.wrong.is_empty())))
    }
}

/// The lessons that match their pages, counted, and those that differ, named.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) right: u64,
    /// The lessons that differ and those that could not be run.
    pub(super) wrong: Vec<String>,
    /// The lessons that differ because newer programs spoke than when they were blessed.
    pub(super) drift: Vec<String>,
    /// The first problem that kept a lesson from being run.
    problem: Option<Problem>,
}

impl Held {
    fn all_ran(self) -> Result<Self> {
        match self.problem {
            Some(problem) => Err(problem.of("a lesson could not be run")),
            None => Ok(self),
        }
    }
}

/// Runs lessons, and shows where a page differs from what was said.
///
/// # Errors
/// As [`Args::run`].
pub(super) fn compare(names: &[String]) -> Result<Held> {
    run_lessons(names, |lesson, files| {
        let differing: Vec<&PageUpdate> = files.iter().filter(|file| !file.holds()).collect();
        for file in &differing {
            outln!("{}", file.difference());
        }
        if differing.is_empty() {
            return Ok(Outcome::Holds);
        }
        say("hint: after a change of a lesson's source this is what the kernel makes of it");
        say(&format!("hint: its author rewrites the page: cargo xtask bless {}", lesson.name));
        let drift: Option<Vec<&str>> = differing.iter().map(|file| file.drift.as_deref()).collect();
        Ok(drift.map_or(Outcome::Differs, |drift| Outcome::Drift(drift.join("; "))))
    })
}

/// The result of a page.
enum Outcome {
    Holds,
    Differs,
    /// It differs, and newer programs speak than when it was blessed: both versions of each.
    Drift(String),
}

impl BlessArgs {
    /// Rewrites.
    ///
    /// # Errors
    /// As [`Args::run`], and those of writing.
    pub fn run(self) -> Result<ExitCode> {
        let mut lessons = self.names;
        let mut takes = |name: &str| {
            let count = lessons.len();
            lessons.retain(|lesson| lesson != name);
            lessons.len() < count
        };
        let (golden, pictures) = (takes(GOLDEN), takes(PICTURES));
        if golden {
            let run = cargo(&["test", "--release", "--package", "xtask", "--test", GOLDEN]);
            let status = run.env(BLESS, "1").status()?;
            if !status.success() {
                return Err(Problem::does_not_hold(format!("{GOLDEN}: {status}")));
            }
        }
        if pictures {
            rewrite(&lesson::drawn::all(project())?)?;
        }
        if lessons.is_empty() && (golden || pictures) {
            return Ok(ExitCode::SUCCESS);
        }
        run_lessons(&lessons, |_, files| {
            rewrite(files)?;
            Ok(Outcome::Holds)
        })?
        .all_ran()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the files that are not as they should be.
fn rewrite(files: &[PageUpdate]) -> Result<()> {
    for file in files.iter().filter(|file| !file.holds()) {
        file.write()?;
        say(&format!("    {} is rewritten", file.path.shown()));
    }
    Ok(())
}

/// Runs lessons, hands over what came of each, and counts those that hold.
fn run_lessons(
    names: &[String],
    mut judge: impl FnMut(&Lesson, &[PageUpdate]) -> Result<Outcome> + Send,
) -> Result<Held> {
    run::echo_off();
    let lessons = lesson::find(project(), names)?;
    let (cache, begin) = (Cache::open()?, Instant::now());
    say(&format!("==> {} lessons, some {} s", lessons.len(), 10 * lessons.len() + 10));
    let mut all = Held::default();
    lesson::update::run_all(&cache, &lessons, |lesson, update| {
        let held = update.and_then(|files| judge(lesson, &files));
        let word = match &held {
            Ok(Outcome::Holds) => "as shown",
            Ok(Outcome::Differs) => "differs",
            Ok(Outcome::Drift(_)) => "drifts: newer programs say something else",
            Err(_) => "could not be run",
        };
        say(&format!("    {:4.0} s: {} {word}", seconds(begin), lesson.name));
        match &held {
            Ok(Outcome::Holds) => all.right += 1,
            Ok(Outcome::Drift(programs)) => all.drift.push(format!("{}: {programs}", lesson.name)),
            Ok(Outcome::Differs) | Err(_) => all.wrong.push(lesson.name.clone()),
        }
        if let Err(why) = held {
            say(&format!("{why}"));
            if why.kind != Kind::DoesNotHold {
                all.problem.get_or_insert(why);
            }
        }
    });
    let (lessons, seconds) = (lessons.len(), seconds(begin));
    outln!("{} of {lessons} lessons are as their pages show them: {seconds:.0} s", all.right);
    Ok(all)
}

fn seconds(begin: Instant) -> f64 {
    Duration::as_secs_f64(&begin.elapsed())
}
