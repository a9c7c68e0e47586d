//! Code in a page: taken from the sources that are built, by marks in them.

use std::path::Path;

use crate::{
    host::file_system::read_given_text,
    printer::Shown as _,
    problem::{Problem, Result},
};

/// Returns the lines between `ANCHOR: name` and `ANCHOR_END: name` (in comments of any language),
/// dedented, or the whole file. Marks and the license's line are left out.
///
/// # Errors
/// The file cannot be read, or lacks a mark.
pub(super) fn part(file: &Path, anchor: Option<&str>) -> Result<String> {
    let text = read_given_text(file)?;
    let found = match anchor {
        None => Some(text.lines().collect()),
        Some(name) => between(&text, name),
    };
    let missing = || {
        let name = anchor.unwrap_or_default();
        let fact = format!("{} has no part `{name}`", file.shown());
        Problem::usage(fact).hint(format!("mark it: ANCHOR: {name} and ANCHOR_END: {name}"))
    };
    let mut lines: Vec<&str> = found.ok_or_else(missing)?;
    lines.retain(|line| !is_mark(line) && !line.contains("SPDX-License-Identifier"));
    let start = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    Ok(to_the_left(&lines[start..]))
}

fn between<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let is = |line: &str, mark: &str| {
        line.split_once(mark).is_some_and(|(_, rest)| rest.split_whitespace().next() == Some(name))
    };
    let begin = text.lines().position(|line| is(line, "ANCHOR: "))? + 1;
    let length = text.lines().skip(begin).position(|line| is(line, "ANCHOR_END: "))?;
    Some(text.lines().skip(begin).take(length).collect())
}

fn is_mark(line: &str) -> bool {
    line.contains("ANCHOR: ") || line.contains("ANCHOR_END: ")
}

fn to_the_left(lines: &[&str]) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let filled = lines.iter().filter(|line| !line.trim().is_empty());
    let common = filled.map(|line| indent(line)).min().unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(common..).unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOURCE: &str = "// SPDX-License-Identifier: GPL-2.0\n\nfn a() {\n    // ANCHOR: in\n    \
                          b();\n    // ANCHOR: deep\n        c();\n    // ANCHOR_END: deep\n    \
                          // ANCHOR_END: in\n}\n";

    fn shown(anchor: Option<&str>) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.rs");
        fs::write(&file, SOURCE).unwrap();
        part(&file, anchor)
    }

    #[test]
    fn marks_are_left_out() {
        assert_eq!(shown(Some("in")).unwrap(), "b();\n    c();\n");
        assert_eq!(shown(Some("deep")).unwrap(), "c();\n");
        assert_eq!(shown(None).unwrap(), "fn a() {\n    b();\n        c();\n}\n");
    }

    #[test]
    fn a_part_that_is_not_there_is_named() {
        let problem = shown(Some("de")).unwrap_err();
        assert!(problem.fact.ends_with("has no part `de`"), "{problem}");
    }
}
