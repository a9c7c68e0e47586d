//! A page of the book: its commands, its redactions, compare and bless.
//!
//! A page is a test. Its console blocks are run, and what they print must be what the page
//! shows; its code is what is built. [`Lesson::update`] makes the page as it should be, and
//! whoever called compares it with the page as it is, or writes it.

pub mod answer;
pub mod attempt;
mod code;
pub mod drawn;
pub mod drift;
pub mod exercise;
mod page;
mod redact;
mod runner;
mod steps;
mod typed;
pub mod update;

use std::path::{Path, PathBuf};

use self::page::{Block, BlockKind, Page, Rendered};
use crate::{
    build::project,
    host::{
        cache,
        file_system::{names, read_text},
        open,
    },
    kernel::KernelName,
    problem::{Problem, Result},
};

/// The folder of the book in the project.
pub const FOLDER: &str = "docs";

/// A lesson of the book.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// As its file is called, for example `01-hello`.
    pub name: String,
    page: Page,
    /// The folder that has the book's.
    book: PathBuf,
}

/// A file as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageUpdate {
    /// Its path.
    pub path: PathBuf,
    /// Its contents now.
    pub old: String,
    /// Its contents by what was said in this run.
    pub new: String,
    /// The programs that are newer than when it was blessed, where that explains the difference.
    pub drift: Option<String>,
}

impl PageUpdate {
    /// Returns `true` if nothing changed.
    pub fn holds(&self) -> bool {
        self.old == self.new
    }

    /// The lines that differ.
    pub fn difference(&self) -> String {
        let near = self.path.strip_prefix(project()).unwrap_or(&self.path);
        redact::difference(&near.to_string_lossy(), &self.old, &self.new)
    }

    /// Writes it as it should be.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self) -> Result<()> {
        cache::write_atomic(&self.path, &self.new)
    }
}

/// The lessons of these names, or all of them: `01-hello`, `hello` and `1` name the same one.
/// `book` is the folder that has the book's, for example the project.
///
/// # Errors
/// A page cannot be read or understood, or no page has a name.
pub fn find(book: &Path, names: &[String]) -> Result<Vec<Lesson>> {
    let all = all(book)?;
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

fn all(book: &Path) -> Result<Vec<Lesson>> {
    let folder = book.join(FOLDER);
    let mut lessons = Vec::new();
    for file in names(&folder)? {
        let Some(name) = file.strip_suffix(".md") else { continue };
        let page = Page::parse(&read_text(&folder.join(&file))?);
        if let Some(page) = page.map_err(|problem| in_page(name, problem))? {
            lessons.push(Lesson { name: name.into(), page, book: book.into() });
        }
    }
    lessons.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(lessons)
}

fn in_page(name: &str, problem: Problem) -> Problem {
    problem.of(format!("{FOLDER}/{name}.md"))
}

impl Lesson {
    fn is_called(&self, name: &str) -> bool {
        let (number, word) = self.name.split_once('-').unwrap_or((&self.name, &self.name));
        name == self.name || name == word || number.strip_prefix('0').unwrap_or(number) == name
    }

    /// The page's first kernel.
    fn kernel(&self) -> &KernelName {
        self.page.front_matter.kernels.first().unwrap_or(&KernelName::STOCK)
    }

    /// A block as it is.
    fn shown(&self, block: &Block) -> Rendered {
        let contents = self.page.contents(block).to_owned();
        let others = match &block.kind {
            BlockKind::Console { others, .. } => others.clone(),
            _ => Vec::new(),
        };
        Rendered { contents, others }
    }

    /// A file beside the page, made of what was said.
    fn made(&self, file: &Path, new: String) -> PageUpdate {
        let path = self.book.join(FOLDER).join(file);
        let old = open::read_text(&path).unwrap_or_default();
        PageUpdate { path, old, new, drift: None }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        page::{Place, console_entries},
        redact::Redactor,
        *,
    };

    #[test]
    fn a_lesson_has_three_names_and_no_other() {
        for name in ["01-hello", "hello", "1"] {
            assert_eq!(find(project(), &[name.into()]).unwrap()[0].name, "01-hello");
        }
        assert_eq!(find(project(), &["0".into()]).unwrap()[0].name, "00-start");
        for name in ["", "00", "hell", "01", "README", "../README"] {
            let problem = find(project(), &[name.into()]).unwrap_err();
            assert!(problem.hint.unwrap().contains("01-hello"));
        }
    }

    /// Whatever line of a block is changed, the page does not hold any more.
    #[test]
    fn no_line_of_any_page_can_change_unnoticed() {
        let redactor = Redactor::for_release("no release", Path::new("/no/folder")).unwrap();
        let mut lines = 0;
        for lesson in find(project(), &[]).unwrap() {
            for block in &lesson.page.blocks {
                let BlockKind::Console { others, place } = &block.kind else { continue };
                let own = [lesson.page.contents(block)];
                let all = own.into_iter().chain(others.iter().map(|(_, text)| text.as_str()));
                for entry in all.flat_map(|text| console_entries(text, *place).unwrap()) {
                    let printed = &entry.printed;
                    assert_eq!(redactor.redact(printed, printed), *printed, "{}", lesson.name);
                    for (index, line) in printed.lines().enumerate() {
                        if line == "..." {
                            continue;
                        }
                        let mut changed: Vec<&str> = printed.lines().collect();
                        changed[index] = "changed";
                        let changed = format!("{}\n", changed.join("\n"));
                        assert_ne!(redactor.redact(printed, &changed), changed, "{line}");
                        lines += 1;
                    }
                }
            }
        }
        assert!(lines > 20);
    }

    /// Whoever was killed in `finit_module` stays in the kernel's list of loads (`idempotent` in
    /// kernel/module/main.c, 7.3), and one of the next loads may crash of it, by chance.
    #[test]
    fn no_page_loads_a_module_after_a_load_that_crashed() {
        let mut crashed = 0;
        for lesson in find(project(), &[]).unwrap() {
            let mut crash: Option<String> = None;
            for block in &lesson.page.blocks {
                let BlockKind::Console { place: place @ (Place::Guest | Place::Dying), .. } =
                    block.kind
                else {
                    continue;
                };
                for entry in console_entries(lesson.page.contents(block), place).unwrap() {
                    let loads =
                        ["insmod ", "modprobe "].iter().any(|it| entry.command.contains(it));
                    if let Some(crash) = crash.as_ref().filter(|_| loads) {
                        panic!("{}: after {crash} comes {}", lesson.name, entry.command);
                    }
                    let crashes = ["[kernel] BUG: ", "[kernel] kernel BUG at "];
                    if loads && crashes.iter().any(|it| entry.printed.contains(it)) {
                        (crash, crashed) = (Some(entry.command), crashed + 1);
                    }
                }
                if place == Place::Dying {
                    crash = None;
                }
            }
        }
        assert!(crashed >= 3, "{crashed} loads crash");
    }

    #[test]
    fn every_lesson_was_blessed() {
        for lesson in find(project(), &[]).unwrap() {
            let name = &lesson.name;
            assert!(lesson.page.made_by().is_some(), "{name} was never blessed");
        }
    }
}
