//! Rules about the book: every slide has its page, every link its heading, every lesson its parts.

use loader::check_id::CheckId;

use crate::{File, holds, notices, notices_together, project};

/// The points of the course's slides, in their order: how the rows of the first page's table begin.
const SLIDES: &[&str] = &[
    "Before you start: define your module's goal",
    "Before you start: define its behavior",
    "Before you start: know the hardware",
    "Before you start: the documentation",
    "Role of the device driver: abstraction",
    "Role of the device driver: mechanism, not policy",
    "Role of the device driver: synchronous and asynchronous",
    "Role of the device driver: exploit the full capabilities",
    "Role of the device driver: a client library",
    "Hello world module",
    "Initialization function: one, static",
    "Initialization function: `__init`",
    "Initialization function: `__initdata`",
    "Shutdown function: `__exit`",
    "Shutdown function: without one",
    "Shutdown function: built-in modules",
    "printk: the kernel's log",
    "printk: an expensive operation",
    "printk: loglevels",
    "Module parameters: insmod, modprobe",
    "Module parameters: read while",
    "Module parameters: declaration",
    "Error handling: failure during initialization, continue or drop",
    "Error handling: undo, goto",
    "Error handling: the kernel goes into unstable mode",
    "Error handling: error numbers",
    "Compile: kbuild",
    "Compile: a pre-built kernel",
    "Compile command",
    "make command targets",
    "kbuild file",
    "Module.symvers file: the list",
    "Module.symvers file: MODVERSIONS",
    "Module.symvers file: `/proc/kallsyms`",
    "insmod",
    "rmmod",
    "More tools: lsmod, modprobe",
    "More tools: depmod",
    "More tools: modinfo",
    "Version dependency: vermagic",
    "Version dependency: \"Invalid module format\"",
    "Version dependency: UTS_RELEASE",
    "Kernel symbol table: stack modules",
    "Kernel symbol table: EXPORT_SYMBOL",
    "Kernel symbol table: variables",
    "dkms",
    "User vs. kernel programming: event-driven",
    "User vs. kernel programming: kernel space",
    "User vs. kernel programming: system calls",
    "User vs. kernel programming: memory",
    "User vs. kernel programming: portability",
    "User vs. kernel programming: no standard headers",
    "User vs. kernel programming: no floating point",
    "User vs. kernel programming: a small stack",
    "Music album",
];

/// The pages of the book.
fn pages(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.path.starts_with("docs/") && file.is(&["md"]))
}

/// The lessons: the pages whose names begin with a number.
pub(crate) fn lessons(files: &[File]) -> impl Iterator<Item = &File> {
    pages(files).filter(|page| page.path["docs/".len()..].starts_with(|c: char| c.is_ascii_digit()))
}

/// The lines of a page that are in no fenced block.
fn prose(page: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    page.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Returns the name of a heading in a link, as GitHub and mdbook make it.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

fn has_heading(page: &File, wanted: &str) -> bool {
    prose(page)
        .any(|(_, line)| line.starts_with('#') && anchor(line.trim_start_matches('#')) == wanted)
}

/// The targets of the links and pictures in a line.
pub(crate) fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Returns the fault of a link of a page; nothing for one that leads out of the book.
fn dead(files: &[File], target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("../") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let Some(page) = files.iter().find(|other| other.path == format!("docs/{file}")) else {
        return Some(format!("{target} leads to no file"));
    };
    let found = heading.is_empty() || has_heading(page, heading);
    (!found).then(|| format!("{target} leads to no heading"))
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_its_heading() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for page in pages(files) {
            let own = page.path.trim_start_matches("docs/");
            for (number, line) in prose(page) {
                for target in targets(line) {
                    let target =
                        if target.starts_with('#') { &format!("{own}{target}") } else { target };
                    faults.extend(dead(files, target).map(|what| page.complaint(number, &what)));
                }
            }
        }
        faults
    }
    let broken = ["[a](b.md)", "[a](a.md#b)", "[a](#b)", "![a](a/a.svg)"];
    holds(rule, &broken.map(|text| ("docs/a.md", text)));
}

#[test]
fn a_page_begins_no_statement_with_who() {
    /// The words that may stand before a statement.
    const BEFORE: [&str; 5] = [". ", "; ", ": ", "| ", "\n"];
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for page in pages(files) {
            for (number, line) in prose(page) {
                let line = format!("\n{}", line.to_lowercase());
                for before in BEFORE {
                    let who = format!("{before}who ");
                    let begun = line.split(&who).skip(1);
                    let end = |rest: &str| rest.chars().find(|c| ".?;|".contains(*c));
                    if begun.map(end).any(|end| end != Some('?')) {
                        faults.push(page.complaint(number, "`whoever`, or a subject with a name"));
                    }
                }
            }
        }
        faults
    }
    notices(rule, &[("docs/a.md", "Who reads it knows.\n"), ("docs/a.md", "A | who needs it |\n")]);
    holds(rule, &[("docs/a.md", "It is so; who knows, knows.\n")]);
}

#[test]
fn every_slide_has_a_row_that_leads_to_its_heading() {
    fn rule(files: &[File]) -> Vec<String> {
        let Some(first) = files.iter().find(|file| file.path == "docs/README.md") else {
            return vec!["docs/README.md is not there".into()];
        };
        let rows: Vec<_> = first.lines().filter(|(_, line)| line.starts_with("| ")).collect();
        let mut faults = Vec::new();
        for slide in SLIDES {
            let row = rows.iter().find(|(_, row)| row[2..].starts_with(slide));
            let Some((number, row)) = row else {
                faults.push(first.complaint(1, &format!("no row for the slide {slide:?}")));
                continue;
            };
            if !targets(row).any(|target| target.contains('#')) {
                faults.push(first.complaint(*number, "this slide has no link to a heading"));
            }
        }
        faults
    }
    let row = |slide: &&str| format!("| {slide} | [1](01.md#a) |\n");
    let without_one: String = SLIDES.iter().skip(1).map(row).collect();
    notices(rule, &[("docs/README.md", &without_one)]);
    let without_link = SLIDES.iter().map(row).collect::<String>().replacen("](01.md#a)", "]", 1);
    holds(rule, &[("docs/README.md", &without_link)]);
}

#[test]
fn every_lesson_states_its_objectives_and_has_exercises_with_answers() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for page in lessons(files) {
            for part in [
                "\n*Stands on ",
                " Takes some ",
                " Afterwards you can: ",
                "ailing twin",
                "\n## Try it\n",
                "\n1. ",
                "\n2. ",
                "\n3. ",
                "<summary>Hint</summary>",
                "\nAnswers: [lesson ",
            ] {
                if !page.text.contains(part) {
                    faults.push(page.complaint(1, &format!("the lesson lacks {part:?}")));
                }
            }
            let link = format!("]({}", page.path.trim_start_matches("docs/"));
            for list in ["docs/README.md", "docs/SUMMARY.md"] {
                let listed =
                    pages(files).any(|page| page.path == list && page.text.contains(&link));
                if !listed {
                    faults.push(page.complaint(1, &format!("{list} does not list the lesson")));
                }
            }
        }
        faults
    }
    holds(rule, &[("docs/01-a.md", "# 1. A\n")]);
}

#[test]
fn the_glossary_is_in_order_and_leads_to_the_lessons() {
    fn rule(files: &[File]) -> Vec<String> {
        let Some(page) = files.iter().find(|file| file.path == "docs/glossary.md") else {
            return vec!["docs/glossary.md is not there".into()];
        };
        let rows = page.lines().filter(|(_, line)| line.starts_with("| ")).skip(1);
        let (mut faults, mut last) = (Vec::new(), String::new());
        for (number, row) in rows {
            let word = row[2..].split(" | ").next().unwrap_or_default();
            let word = word.trim_matches('`').to_lowercase();
            if word <= last {
                faults.push(page.complaint(number, "this word is not in its place"));
            }
            if targets(row).next().is_none() {
                faults.push(page.complaint(number, "this word leads nowhere"));
            }
            last = word;
        }
        faults
    }
    let rows = "| word | a |\n| b | [1](a.md) |\n| a | [1](a.md) |\n";
    holds(rule, &[("docs/glossary.md", rows), ("docs/glossary.md", "| word | a |\n| b | c |\n")]);
}

#[test]
fn every_picture_is_shown_and_says_what_it_shows() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for picture in files.iter().filter(|file| file.is(&["svg"])) {
            let name = format!("]({})", picture.path.trim_start_matches("docs/"));
            if !pages(files).any(|page| page.text.contains(&name)) {
                faults.push(picture.complaint(1, "no page shows this picture"));
            }
            for part in ["<title", "<desc", "prefers-color-scheme: dark"] {
                if !picture.text.contains(part) {
                    faults.push(picture.complaint(1, &format!("the picture lacks {part:?}")));
                }
            }
        }
        faults
    }
    holds(rule, &[("docs/a/a.svg", "<svg></svg>\n")]);
}

#[test]
fn every_picture_is_drawn_by_a_command_or_from_a_text() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for picture in files.iter().filter(|file| file.is(&["svg"])) {
            let shown = format!("]({})", picture.path.trim_start_matches("docs/"));
            let drawn = |page: &File| {
                let above = page.text.split(&shown).next().unwrap_or_default();
                above.lines().rev().nth(1).is_some_and(|line| line.starts_with("<!-- picture: "))
            };
            if !pages(files).any(|page| page.text.contains(&shown) && drawn(page)) {
                faults.push(picture.complaint(1, "nothing draws this picture"));
            }
        }
        faults
    }
    let picture = ("docs/a/a.svg", "<svg></svg>\n");
    notices_together(rule, &[picture, ("docs/a.md", "Text.\n![a](a/a.svg)\n")]);
    holds(rule, &[picture]);
}

#[test]
fn the_picture_of_the_loaders_checks_has_them_in_its_order_and_with_their_errors() {
    fn rule(files: &[File]) -> Vec<String> {
        let of = |path: &str| files.iter().find(|file| file.path == path);
        let (Some(picture), Some(trouble)) =
            (of("docs/09-vermagic/order.dot"), of("docs/trouble.md"))
        else {
            return vec!["docs/09-vermagic/order.dot or docs/trouble.md is not there".into()];
        };
        let mut ids = CheckId::ALL.iter();
        let mut faults = Vec::new();
        for (number, line) in picture.lines() {
            let Some((name, rest)) = line.split_once("\" [label=\"") else { continue };
            let name = name.trim().trim_matches('"');
            if !ids.any(|id| id.as_str() == name) {
                faults.push(picture.complaint(number, "no check has this name, at this place"));
            }
            let errors = rest.rsplit_once("else ").map_or("", |(_, errors)| errors);
            let errors = errors.split(['"', '`', ',', ' ']).filter(|word| word.starts_with('E'));
            let cell = format!("| `{name}` |");
            for error in errors {
                let mut rows = trouble.text.lines().filter(|row| row.contains(&cell));
                if !rows.any(|row| row.contains(error)) {
                    let what = format!("trouble.md has no {error} of {name}");
                    faults.push(picture.complaint(number, &what));
                }
            }
        }
        if !picture.text.lines().any(|line| line.contains(" -> ")) {
            faults.push(picture.complaint(1, "it has no order"));
        }
        faults
    }
    let row = ("docs/trouble.md", "| x | ENOEXEC | `vermagic` |\n");
    let box_of =
        |name: &str, error: &str| format!("  \"{name}\" [label=\"{name}\\nelse {error}\"]\n");
    let swapped = box_of("vermagic", "ENOEXEC") + &box_of("signature", "") + "a -> b\n";
    notices_together(rule, &[("docs/09-vermagic/order.dot", &swapped), row]);
    let other = box_of("vermagic", "EPERM") + "a -> b\n";
    notices_together(rule, &[("docs/09-vermagic/order.dot", &other), row]);
    holds(rule, &[]);
}

#[test]
fn the_page_of_troubles_has_every_check_and_only_what_the_kernel_says() {
    /// The cells of a row, without the `\|` that stand for a line.
    fn first_cell(row: &str) -> Option<&str> {
        row.strip_prefix("| ")?.split(" | ").next()
    }
    fn rule(files: &[File]) -> Vec<String> {
        let Some(page) = files.iter().find(|file| file.path == "docs/trouble.md") else {
            return vec!["docs/trouble.md is not there".into()];
        };
        let table =
            page.text.split("\n## ").find(|part| part.starts_with("By the line in the log"));
        let Some(table) = table else {
            return vec![page.complaint(1, "there is no part `By the line in the log`")];
        };
        let missing =
            CheckId::ALL.iter().filter(|id| !table.contains(&format!("`{}`", id.as_str())));
        let mut faults: Vec<String> = missing
            .map(|id| page.complaint(1, &format!("there is no check {}", id.as_str())))
            .collect();
        // A message that is too long for a line goes on in the next one.
        let checks = files.iter().filter(|file| file.path.starts_with("xtask/loader/src/"));
        let checks = checks.flat_map(|file| file.text.split("\\\n").map(str::trim_start));
        let logged = pages(files).flat_map(|page| page.text.lines());
        let logged = logged.filter(|line| line.starts_with("[kernel] "));
        let checks: String = checks.chain(logged).collect();
        for row in table.lines() {
            let cell = first_cell(row).unwrap_or_default().replace("\\|", "|");
            let message = cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            let pieces = message.into_iter().flat_map(|message| message.split('…'));
            for piece in pieces.map(|piece| piece.trim_matches([' ', '`', ':', '(', ')', '\''])) {
                let known = piece.is_empty() || checks.contains(piece);
                if !known {
                    faults.push(page.complaint(1, &format!("no check says {piece:?}")));
                }
            }
        }
        faults
    }
    let all: String = CheckId::ALL.iter().map(|id| format!("`{}` ", id.as_str())).collect();
    let invented = format!("\n## By the line in the log\n| `…: nobody says this` | {all} |\n");
    notices(rule, &[("docs/trouble.md", &invented)]);
    let unfinished = "\n## By the line in the log\n| `vermagic` |\n";
    holds(rule, &[("docs/trouble.md", unfinished)]);
    assert!(project().iter().any(|file| file.path == "docs/trouble.md"));
}
