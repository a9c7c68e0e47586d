//! Pages as they should be: each is run on its kernels, several side by side.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    FOLDER, Lesson, PageUpdate, drift, in_page,
    page::{BlockKind, Page, Rendered},
    runner::Runner,
};
use crate::{host::cache::Cache, problem::Result};

impl Lesson {
    /// Runs the page on its kernels, and returns it and its pictures as they should be.
    ///
    /// # Errors
    /// A kernel, a command or a guest fails in a way that the page does not expect.
    pub fn update(&self, cache: &Cache) -> Result<Vec<PageUpdate>> {
        self.fold_kernels(cache).map_err(|problem| in_page(&self.name, problem))
    }

    /// A shell in the guest that the page runs in: its folders with what its commands on the host
    /// build, its first kernel and its words on the command line. Nothing is installed.
    ///
    /// # Errors
    /// Those of its commands on the host and of [`crate::guest::Guest::shell`].
    pub fn shell(&self, cache: &Cache) -> Result<()> {
        Runner::new(cache, self, self.kernel())?.built_guest()?.shell(&[])
    }

    fn fold_kernels(&self, cache: &Cache) -> Result<Vec<PageUpdate>> {
        let mut said = vec![Rendered::default(); self.page.blocks.len()];
        let (mut programs, mut recorded) = (Vec::new(), None);
        for (index, kernel) in self.page.front_matter.kernels.iter().enumerate() {
            let mut runner = Runner::new(cache, self, kernel)?;
            for (said, contents) in said.iter_mut().zip(runner.run()?) {
                if index == 0 {
                    said.contents = contents;
                } else if said.contents != contents {
                    said.others.push((kernel.to_string(), contents));
                }
            }
            programs.push(runner.programs());
            if index == 0 {
                recorded = runner.recorded()?;
            }
        }
        let path = self.book.join(FOLDER).join(format!("{}.md", self.name));
        let old = self.page.text.clone();
        let mut new = self.page.with(&said);
        let programs = format!("Said by {}.", programs.join("; "));
        // Code and pictures follow the project's files, whatever program speaks.
        let drift = (new != old && self.page.shows_code(&said))
            .then(|| drift::newer(self.page.made_by().unwrap_or_default(), &programs))
            .flatten();
        // The line that names the programs changes with every update of them, so it is rewritten
        // only along with something else.
        if new != old || self.page.made_by().is_none() {
            new = Page { text: new, ..self.page.clone() }.with_made_by(&programs);
        }
        let mut files = self.pictures(&said);
        let recorded = recorded.map(|(file, new)| self.made(&file, new));
        files.extend(recorded.map(|file| PageUpdate { drift: drift.clone(), ..file }));
        files.push(PageUpdate { path, old, new, drift });
        Ok(files)
    }

    fn pictures(&self, said: &[Rendered]) -> Vec<PageUpdate> {
        let pairs = self.page.blocks.iter().zip(said);
        let drawn = pairs.filter_map(|(block, said)| match &block.kind {
            BlockKind::Picture { file, .. } => Some(self.made(file, said.contents.clone())),
            _ => None,
        });
        drawn.collect()
    }
}

/// Runs lessons side by side, one on each processor, and calls `done` as each ends. The last ones
/// take longest, so they begin.
pub fn run_all<F>(cache: &Cache, lessons: &[Lesson], done: F)
where
    F: FnMut(&Lesson, Result<Vec<PageUpdate>>) + Send,
{
    let next = AtomicUsize::new(0);
    let done = Mutex::new(done);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors.min(lessons.len()) {
            scope.spawn(|| {
                let next = || lessons.iter().rev().nth(next.fetch_add(1, Ordering::Relaxed));
                while let Some(lesson) = next() {
                    let update = lesson.update(cache);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done(lesson, update);
                }
            });
        }
    });
}
