//! Rules about the minutes that the book names: they are computed from its pages.
//!
//! A page may say five minutes more or less, so that a sentence more does not change it.

use crate::{
    File,
    book::{anchor, lessons, targets},
    holds, notices_together,
};

/// The work of a minute, as `docs/README.md` says it.
const WORDS: f64 = 130.0;
const CODE_LINES: f64 = 15.0;
const OUTPUT_LINES: f64 = 60.0;
const COMMANDS: f64 = 3.0;
const TYPED_LINES: f64 = 5.0;
/// The most minutes of the short way.
const SHORT_WAY_MAX: u32 = 60;

/// The text that is read and typed in a part of a page.
#[derive(Default)]
struct Work {
    words: f64,
    code: f64,
    output: f64,
    commands: f64,
}

impl Work {
    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut work = Self::default();
        let mut block: Option<&str> = None;
        for line in lines {
            match (block, line.strip_prefix("```")) {
                (None, Some(info)) => block = Some(info),
                (Some(_), Some(_)) => block = None,
                (None, None) => work.words += words(line),
                (Some(info), None) if !info.starts_with("console") => work.code += 1.0,
                // The output of another kernel is read, and not typed again.
                (Some("console" | "console host" | "console dies"), None) if is_command(line) => {
                    work.commands += 1.0;
                }
                (Some(_), None) => work.output += 1.0,
            }
        }
        work
    }

    /// Rounded up to the next five.
    fn minutes(&self) -> u32 {
        let reading = self.words / WORDS + self.code / CODE_LINES + self.output / OUTPUT_LINES;
        to_five(reading + self.commands / COMMANDS)
    }
}

fn is_command(line: &str) -> bool {
    line.starts_with("vm# ") || line.starts_with("host$ ")
}

/// The words of a line, without the targets of its links.
fn words(line: &str) -> f64 {
    let mut text = line.to_owned();
    targets(line).for_each(|target| text = text.replace(&format!("]({target})"), "]"));
    text.split_whitespace().map(|_| 1.0).sum()
}

fn to_five(minutes: f64) -> u32 {
    let mut five = 5;
    while f64::from(five) < minutes {
        five += 5;
    }
    five
}

/// The lines of a page before a heading; before its exercises without one.
fn until<'a>(page: &'a File, heading: Option<&'a str>) -> impl Iterator<Item = &'a str> {
    let heading = heading.unwrap_or("try-it");
    page.text.lines().take_while(move |line| {
        !line.starts_with("##") || anchor(line.trim_matches('#')) != heading
    })
}

/// The number after the text `before`.
fn number_after(text: &str, before: &str) -> Option<u32> {
    let (_, rest) = text.split_once(before)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The last number of a table's row.
fn last_cell(row: &str) -> Option<u32> {
    row.trim_end_matches(" |").rsplit("| ").next()?.parse().ok()
}

fn page<'a>(files: &'a [File], name: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == format!("docs/{name}"))
}

#[test]
fn the_minutes_of_a_lesson_are_those_of_its_words_lines_and_commands() {
    fn rule(files: &[File]) -> Vec<String> {
        let first = page(files, "README.md").map_or("", |file| file.text.as_str());
        let mut faults = Vec::new();
        for lesson in lessons(files) {
            let minutes = Work::of(until(lesson, None)).minutes();
            let said = number_after(&lesson.text, " Takes some ");
            if said.is_none_or(|said| said.abs_diff(minutes) > 5) {
                faults.push(lesson.complaint(1, &format!("it takes some {minutes} minutes")));
            }
            let link = format!("]({}) | ", lesson.path.trim_start_matches("docs/"));
            let row = first.lines().find(|line| line.contains(&link));
            if row.and_then(last_cell) != said {
                faults.push(format!("docs/README.md: {} says {said:?}", lesson.path));
            }
        }
        faults
    }
    let long = format!("*Takes some 5 minutes.*\n{}", "word ".repeat(700));
    let row = ("docs/README.md", "| [a](01-a.md) | 5 |\n");
    notices_together(rule, &[("docs/01-a.md", &long), row]);
    holds(rule, &[("docs/01-a.md", "*Takes some 10 minutes.*\n")]);
}

#[test]
fn the_short_way_takes_less_than_an_hour() {
    fn rule(files: &[File]) -> Vec<String> {
        let Some(first) = page(files, "README.md") else { return Vec::new() };
        let way = first.text.split_once("### The short way").map_or("", |(_, rest)| rest);
        let way = way.split_once("\n#").map_or(way, |(way, _)| way);
        let rows = way.lines().filter(|line| line.starts_with("| ") && last_cell(line).is_some());
        let (mut sum, mut faults) = (0, Vec::new());
        for row in rows {
            let mut links =
                targets(row).filter_map(|target| target.split_once('#').or(Some((target, ""))));
            let Some((name, _)) = links.next() else { continue };
            let Some(page) = page(files, name) else { continue };
            let heading = links.next().map(|(_, heading)| heading);
            let minutes = if row.starts_with("| typing") {
                to_five(typed(page) / TYPED_LINES)
            } else {
                Work::of(until(page, heading)).minutes()
            };
            sum += minutes;
            if last_cell(row).is_none_or(|said| said.abs_diff(minutes) > 5) {
                faults.push(first.complaint(1, &format!("{minutes} minutes in the row {row}")));
            }
        }
        if sum == 0 || sum > SHORT_WAY_MAX {
            faults.push(first.complaint(1, &format!("the short way takes {sum} minutes")));
        }
        faults
    }
    /// The lines of the stack that the reader types.
    fn typed(page: &File) -> f64 {
        let stack = until(page, Some("the-same-in-rust"));
        Work::of(stack.skip_while(|line| *line != "## A stack in C")).code
    }
    let row = "### The short way\n| [a](01-a.md) | 100 |\n";
    let long = "word ".repeat(12_900);
    notices_together(rule, &[("docs/README.md", row), ("docs/01-a.md", &long)]);
    holds(rule, &[("docs/README.md", "no short way\n")]);
}
