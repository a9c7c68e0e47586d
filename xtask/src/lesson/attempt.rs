//! A reader's attempt at an exercise, compared with what is to be reached.

use std::path::Path;

use super::{
    answer, exercise::Exercise, page::ConsoleEntry, redact::Redactor, runner::said_in_guest,
};
use crate::{
    build::{BuildDir, MakeTarget, Stack},
    guest::{Guest, Session},
    host::{cache::Cache, file_system::read_given_text},
    kernel::{Kernel, KernelName, archive::Refresh},
    problem::Result,
};

/// Lines that the kernel logs for the first such module only, so they depend on earlier loads.
const FIRST: [&str; 2] = [
    ": loading out-of-tree module taints kernel.",
    ": module verification failed: signature and/or required key missing - tainting kernel",
];

/// Modules of exercises, built together, and a guest that has them.
#[derive(Debug)]
pub struct Attempts {
    guest: Guest,
    /// The guest of the last attempt. Without it the next one has a fresh guest.
    pub session: Option<Session>,
    redactor: Redactor,
}

/// Returns the first difference left in a reader's folder as one sentence, or `None` if solved.
/// Modules are built, and loaded in a guest that is restored for them.
///
/// # Errors
/// The modules do not build, a file is missing, or the guest cannot be had.
pub fn still_different(
    cache: &Cache,
    exercise: &Exercise,
    folder: &Path,
) -> Result<Option<String>> {
    if exercise.in_words() {
        let given = read_given_text(&folder.join(answer::FILE))?;
        return Ok(answer::different(&exercise.questions, &given));
    }
    let mut attempts = Attempts::build(cache, folder)?;
    let different = attempts.play(exercise, "")?;
    // A difference says more than "the kernel complained".
    if different.is_none() {
        attempts.finish()?;
    }
    Ok(different)
}

impl Attempts {
    /// Builds a folder: one exercise, or several, each in a folder called by its number.
    ///
    /// # Errors
    /// The modules do not build, or the kernel cannot be prepared.
    pub fn build(cache: &Cache, folder: &Path) -> Result<Self> {
        let kernel = Kernel::obtain(cache, &KernelName::STOCK, Refresh::Daily)?;
        let build_dir = BuildDir::open(&kernel, &Stack::in_folder(folder)?)?;
        let mut guest = Guest::on(cache, &kernel)?;
        for module in build_dir.build_quiet(MakeTarget::Modules)? {
            let near = module.strip_prefix(build_dir.products()).unwrap_or(&module);
            guest = guest.file_at(near.to_owned(), &module);
        }
        let redactor = Redactor::new(&kernel, &[], &build_dir.folder())?;
        Ok(Self { guest, session: None, redactor })
    }

    /// Returns the first difference left in an exercise; `before` precedes each of its commands.
    ///
    /// # Errors
    /// The guest cannot be had, or has ended.
    pub fn play(&mut self, exercise: &Exercise, before: &str) -> Result<Option<String>> {
        let session = self.session.take().map_or_else(|| self.guest.start(), Ok)?;
        let session = self.session.insert(session);
        for entry in &exercise.transcript {
            let step = session.exec(format!("{before}{}", entry.command))?;
            let said = self.redactor.redact(&said_in_guest(&step), &entry.printed);
            if let Some(different) = different(entry, &said) {
                return Ok(Some(different));
            }
        }
        Ok(None)
    }

    /// Ends the guest.
    ///
    /// # Errors
    /// The kernel complained: see [`Session::finish`].
    pub fn finish(self) -> Result<()> {
        self.session.map_or(Ok(()), |session| session.finish().map(drop))
    }
}

/// Returns the first line in which a command's output differs from the expected one.
fn different(entry: &ConsoleEntry, said: &str) -> Option<String> {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !FIRST.iter().any(|first| line.ends_with(first)));
        lines.map(str::to_owned).collect()
    };
    let (wanted, said) = (lines(&entry.printed), lines(said));
    let index = (0..wanted.len().max(said.len())).find(|n| wanted.get(*n) != said.get(*n))?;
    let after = format!("after `{}`", entry.command.trim());
    Some(match (wanted.get(index), said.get(index)) {
        (Some(wanted), Some(said)) => {
            format!("{after} the answer should be `{wanted}`, and is `{said}`")
        }
        (Some(wanted), None) => format!("{after} the answer `{wanted}` is missing"),
        (None, said) => {
            let said = said.map(String::as_str).unwrap_or_default();
            format!("{after} nothing more should come, yet `{said}` does")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_one_sentence() {
        let entry = |printed: &str| ConsoleEntry {
            shown: String::new(),
            command: "insmod a.ko\n".into(),
            printed: printed.into(),
        };
        let said = |printed: &str, said: &str| different(&entry(printed), said);
        let first = "[kernel] a: loading out-of-tree module taints kernel.\n";
        assert_eq!(said("[kernel] a: 1\n", &format!("{first}[kernel] a: 1\n")), None);
        assert_eq!(said(&format!("{first}[kernel] a: 1\n"), "[kernel] a: 1\n"), None);
        let wrong = said("[kernel] a: 1\n", "[kernel] a: 2\n").unwrap();
        assert_eq!(
            wrong,
            "after `insmod a.ko` the answer should be `[kernel] a: 1`, and is `[kernel] a: 2`"
        );
        assert!(said("[kernel] a: 1\n", "").unwrap().ends_with("`[kernel] a: 1` is missing"));
        assert!(said("", "[kernel] a: 1\n").unwrap().ends_with("yet `[kernel] a: 1` does"));
    }
}
