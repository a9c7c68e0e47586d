//! "My module will not load" has a row for every refusal that a fixture of the corpus meets.

use std::fs;

use loader::verdict::{Answer, Verdict};
use xtask::build::project;

/// The rows of the page's table of lines in the log.
pub(super) struct Trouble(Vec<Row>);

/// A row: the line, the errors and the checks, as the page has them.
struct Row {
    line: String,
    errnos: String,
    checks: String,
}

impl Trouble {
    pub(super) fn read() -> Self {
        let page = fs::read_to_string(project().join("docs/trouble.md")).unwrap();
        let table = page.split("\n## ").find(|part| part.starts_with("By the line in the log"));
        let row = |line: &str| {
            let cells: Vec<&str> = line.strip_prefix("| ")?.split(" | ").collect();
            let [line, errnos, checks, ..] = cells.as_slice() else { return None };
            let line = line.replace("\\|", "|");
            Some(Row { line, errnos: (*errnos).into(), checks: (*checks).into() })
        };
        let rows: Vec<Row> = table.unwrap().lines().filter_map(row).collect();
        assert!(rows.len() > 25, "{} rows", rows.len());
        Self(rows)
    }

    /// Returns the row that the page lacks for a verdict, with its check, its error and its line.
    pub(super) fn lacks(&self, verdict: &Verdict) -> Option<String> {
        let Answer::Refused(errno) = verdict.answer else { return None };
        let check = verdict.decisive()?.id.as_str();
        let known = self.0.iter().any(|row| {
            let errnos = row.errnos.split([',', ' ']);
            row.checks.contains(&format!("`{check}`"))
                && errnos.clone().any(|known| known == "any" || known == errno.to_string())
                && row.is_said(&verdict.messages)
        });
        let said = verdict.messages.last().map_or("nothing", String::as_str);
        (!known)
            .then(|| format!("docs/trouble.md has no row for {errno} by {check}, with {said:?}"))
    }
}

impl Row {
    /// `true` if one of these lines is the row's: `…` in it is any text. A row without a line of
    /// the kernel says in words what to look for.
    fn is_said(&self, messages: &[String]) -> bool {
        let line = self.line.trim_matches('`').trim();
        if !self.line.starts_with('`') {
            return true;
        }
        messages.iter().any(|message| {
            let mut rest = message.as_str();
            line.split('…').all(|piece| match rest.find(piece) {
                Some(at) => {
                    rest = &rest[at + piece.len()..];
                    true
                }
                // The kernel cuts a line that is too long for it.
                None => message.len() > 900,
            })
        })
    }
}
