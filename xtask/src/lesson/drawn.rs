//! The diagrams of the pages: each is drawn from a text beside it, which
//! `tree/picture/diagram.rs` reads, and holds what the page shows.

use std::path::Path;

use super::{FOLDER, Lesson, PageUpdate, find, page::BlockKind};
use crate::{
    host::file_system::read_given_text, printer::Shown as _, problem::Result,
    tree::picture::diagram::Diagram,
};

/// Returns `true` if a page's picture is drawn from a file, not by a command.
pub(super) fn is_text(command: &str) -> bool {
    command.ends_with(".dot") && !command.contains(' ')
}

/// The picture of a text, which is a file relative to the page.
///
/// # Errors
/// The text cannot be read or understood.
pub(super) fn picture(book: &Path, text: &str) -> Result<String> {
    Ok(read(book, text)?.svg())
}

fn read(book: &Path, text: &str) -> Result<Diagram> {
    let path = book.join(FOLDER).join(text);
    Diagram::parse(&read_given_text(&path)?).map_err(|problem| problem.of(path.shown()))
}

/// All diagrams of the book as they should be. Nothing is run for that.
///
/// # Errors
/// A page or a text cannot be read or understood.
pub fn all(book: &Path) -> Result<Vec<PageUpdate>> {
    let mut files = Vec::new();
    for lesson in find(book, &[])? {
        for (text, file) in texts(&lesson) {
            files.push(lesson.made(file, picture(book, text)?));
        }
    }
    Ok(files)
}

/// The text of each diagram of a page, and the picture.
fn texts(lesson: &Lesson) -> impl Iterator<Item = (&str, &Path)> {
    lesson.page.blocks.iter().filter_map(|block| match &block.kind {
        BlockKind::Picture { command, file } if is_text(command) => {
            Some((command.as_str(), file.as_path()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use loader::check_id::CheckId;

    use super::*;
    use crate::{
        build::project,
        lesson::page::{ConsoleEntry, console_entries},
    };

    /// The words of a label that are names: of a file, a function, a symbol, a program's option.
    fn names(label: &str) -> impl Iterator<Item = &str> {
        let words = label.split([' ', ',', '(', ')', ';', ':', '\'']);
        let words = words.map(|word| word.trim_matches(['.', '…', '?', '/']));
        words.filter(|word| word.contains(['_', '/', '.']) && word.contains(char::is_alphabetic))
    }

    #[test]
    fn every_diagram_is_what_its_text_says() {
        let all = all(project()).unwrap();
        for file in &all {
            let hint = "cargo xtask bless pictures";
            assert!(file.holds(), "{}: {hint}\n{}", file.path.display(), file.difference());
        }
        assert!(all.len() >= 11, "{}", all.len());
    }

    /// Holds that text in backticks occurs in a block of the page, and that other names belong to
    /// the book or to a check.
    #[test]
    fn a_diagram_says_nothing_that_its_page_does_not_show() {
        let (lessons, mut facts) = (find(project(), &[]).unwrap(), 0);
        let known = |name: &str| {
            CheckId::ALL.iter().any(|id| id.as_str() == name)
                || lessons.iter().any(|lesson| lesson.page.text.contains(name))
        };
        for lesson in &lessons {
            let page = &lesson.page;
            let blocks: String = page.blocks.iter().map(|block| page.contents(block)).collect();
            for (text, _) in texts(lesson) {
                let diagram = read(project(), text).unwrap();
                let said = diagram.said();
                assert!(said.len() >= 3, "{text} shows {} facts", said.len());
                for fact in said {
                    assert!(blocks.contains(fact), "{text}: no block of the page has {fact:?}");
                    facts += 1;
                }
                for name in diagram.unsaid().into_iter().flat_map(names) {
                    assert!(known(name), "{text}: no page names {name:?}");
                }
            }
        }
        assert!(facts >= 60, "{facts}");
    }

    /// Holds that a command prints two steps in the diagram's order, or, in a call trace, all of
    /// them in reverse.
    #[test]
    fn a_diagram_has_its_steps_in_the_order_of_the_transcript() {
        let mut ordered = 0;
        for lesson in find(project(), &[]).unwrap() {
            let blocks = lesson.page.blocks.iter().filter_map(|block| match block.kind {
                BlockKind::Console { place, .. } => {
                    console_entries(lesson.page.contents(block), place).ok()
                }
                _ => None,
            });
            let entries: Vec<ConsoleEntry> = blocks.flatten().collect();
            for (text, _) in texts(&lesson) {
                let diagram = read(project(), text).unwrap();
                for entry in &entries {
                    let lines = || entry.printed.lines();
                    let kernel = |line: &&str| line.starts_with("[kernel] ");
                    let logged: Vec<&str> = lines().filter(kernel).collect();
                    let printed: Vec<&str> = lines().filter(|line| !kernel(line)).collect();
                    for lines in [logged, printed] {
                        // The last that a box has is what the step says, not what it is about.
                        let first = |said: Vec<&str>| {
                            let said = said.last().copied()?;
                            lines.iter().position(|line| line.contains(said))
                        };
                        let pairs = diagram.steps().map(|(from, to)| first(from).zip(first(to)));
                        let pairs: Vec<_> = pairs.flatten().filter(|(a, b)| a != b).collect();
                        let forward = pairs.iter().filter(|(from, to)| from < to).count();
                        let one_way = forward == 0 || forward == pairs.len();
                        assert!(one_way, "{text} has another order than {:?}", entry.command);
                        ordered += pairs.len();
                    }
                }
            }
        }
        assert!(ordered >= 15, "{ordered}");
    }
}
