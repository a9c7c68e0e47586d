//! A page of the book: its commands, its normaliser, compare and bless.
//!
//! A page is a test. Its console blocks are run, and what they print today must be what the page
//! shows; its code is what is built. [`Lesson::today`] makes the page as it should be, and
//! whoever called compares it with the page as it is, or writes it.

mod code;
mod normal;
mod page;
mod play;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use self::{
    page::{Kind, Page, Said},
    play::Stage,
};
use crate::{
    host::cache::{self, Cache},
    kernel::kbuild::project,
    problem::{OrProblem, Problem, Result},
};

/// The folder of the book in the project.
pub const FOLDER: &str = "docs";

/// A lesson of the book.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// As its file is called, for example `01-hello`.
    pub name: String,
    page: Page,
}

/// A file as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Today {
    /// Its path in the project.
    pub path: PathBuf,
    /// Its contents now.
    pub is: String,
    /// Its contents by what was said today.
    pub should: String,
}

impl Today {
    /// Whether it is as it should be.
    pub fn holds(&self) -> bool {
        self.is == self.should
    }

    /// The lines that differ.
    pub fn difference(&self) -> String {
        normal::difference(&self.path.to_string_lossy(), &self.is, &self.should)
    }

    /// Writes it as it should be.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self) -> Result<()> {
        cache::write_whole(&project().join(&self.path), self.should.as_bytes())
    }
}

/// The lessons of these names, or all of them: `01-hello`, `hello` and `1` name the same one.
///
/// # Errors
/// A page cannot be read or understood, or no page has a name.
pub fn find(names: &[String]) -> Result<Vec<Lesson>> {
    let all = all()?;
    if names.is_empty() {
        return Ok(all);
    }
    let one = |name: &String| {
        let found = all.iter().find(|lesson| lesson.is_called(name)).cloned();
        found.ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|lesson| lesson.name.as_str()).collect();
            let problem = Problem::usage(format!("the book has no lesson {name}"));
            problem.hint(format!("it has {}", known.join(", ")))
        })
    };
    names.iter().map(one).collect()
}

fn all() -> Result<Vec<Lesson>> {
    let folder = project().join(FOLDER);
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut lessons = Vec::new();
    for entry in fs::read_dir(&folder).or_host(unreadable)? {
        let path = entry.or_host(unreadable)?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).or_host(|| format!("{}", path.display()))?;
        let in_page = |problem: Problem| in_page(name, problem);
        if let Some(page) = Page::parse(&text).map_err(in_page)? {
            lessons.push(Lesson { name: name.into(), page });
        }
    }
    lessons.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(lessons)
}

fn in_page(name: &str, problem: Problem) -> Problem {
    Problem { fact: format!("{FOLDER}/{name}.md: {}", problem.fact), ..problem }
}

impl Lesson {
    fn is_called(&self, name: &str) -> bool {
        let (number, word) = self.name.split_once('-').unwrap_or((&self.name, &self.name));
        name == self.name || name == word || number.trim_start_matches('0') == name
    }

    /// Runs the page on its kernels, and returns it and its pictures as they should be.
    ///
    /// # Errors
    /// A kernel, a command or a guest fails in a way that the page does not expect.
    pub fn today(&self, cache: &Cache) -> Result<Vec<Today>> {
        self.play(cache).map_err(|problem| in_page(&self.name, problem))
    }

    fn play(&self, cache: &Cache) -> Result<Vec<Today>> {
        let mut said = vec![Said::default(); self.page.blocks.len()];
        let mut programs = Vec::new();
        for (index, kernel) in self.page.terms.kernels.iter().enumerate() {
            let mut stage = Stage::set(cache, &self.name, &self.page, kernel)?;
            for (said, contents) in said.iter_mut().zip(stage.play()?) {
                if index == 0 {
                    said.contents = contents;
                } else if said.contents != contents {
                    said.others.push((kernel.to_string(), contents));
                }
            }
            programs.push(stage.programs());
        }
        let path = PathBuf::from(FOLDER).join(format!("{}.md", self.name));
        let is = self.page.text.clone();
        let mut should = self.page.with(&said);
        // Who spoke is written when something else is, too: it changes with every update.
        if should != is || !self.page.says_made_by() {
            let programs = format!("Said by {}.", programs.join("; "));
            should = Page { text: should, ..self.page.clone() }.made_by(&programs);
        }
        let mut files = self.pictures(&said);
        files.push(Today { path, is, should });
        Ok(files)
    }

    fn pictures(&self, said: &[Said]) -> Vec<Today> {
        let pairs = self.page.blocks.iter().zip(said);
        let drawn = pairs.filter_map(|(block, said)| match &block.kind {
            Kind::Picture { file, .. } => Some((PathBuf::from(FOLDER).join(file), said)),
            _ => None,
        });
        let today = |(path, said): (PathBuf, &Said)| {
            let is = fs::read_to_string(project().join(&path)).unwrap_or_default();
            Today { path, is, should: said.contents.clone() }
        };
        drawn.map(today).collect()
    }
}

/// Plays lessons side by side, one a processor, and calls `done` as each ends.
pub fn play<F>(cache: &Cache, lessons: &[Lesson], done: F)
where
    F: FnMut(&Lesson, Result<Vec<Today>>) + Send,
{
    let next = AtomicUsize::new(0);
    let done = Mutex::new(done);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors.min(lessons.len()) {
            scope.spawn(|| {
                while let Some(lesson) = lessons.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let today = lesson.today(cache);
                    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    done(lesson, today);
                }
            });
        }
    });
}
