//! What may differ from run to run, and is shown as a placeholder in a page.
//!
//! Narrow on purpose: order, counts of references, errors and every word are compared as they are.

use std::path::Path;

use regex::Regex;
use snapbox::{
    Data, IntoData, Redactions,
    filter::NormalizeToExpected,
    report::{Palette, write_diff},
};

use crate::problem::{Problem, Result};

/// A placeholder, and the text that it stands for, as the group `redacted` of a pattern.
const RULES: &[(&str, &str)] = &[
    // Seconds since the boot, as dmesg prints them.
    ("[T]", r"(?m)^\[(?<redacted> *\d+\.\d{6})\]"),
    // An address of the kernel, also in an oops and in /proc/kallsyms.
    ("[ADDR]", r"(?<redacted>\bffff[0-9a-f]{12}\b)"),
    // The memory that a module takes: lsmod and /proc/modules, both before the number of users.
    ("[SIZE]", r"(?m)^\w+ +(?<redacted>\d+) +\d+( |$)"),
    // What rustc makes of a crate's name, its compiler and its options.
    ("[HASH]", r"Cs(?<redacted>[0-9A-Za-z]+)_\d"),
    // How long something took.
    ("[TIME]", r"\b(?<redacted>\d+(?:\.\d+)?) (?:ns|us|ms|s)\b"),
];

/// The placeholders of a page on one kernel.
#[derive(Debug)]
pub(super) struct Normal(Redactions);

impl Normal {
    /// Those of a kernel, and of the folder that its modules are built in.
    ///
    /// # Errors
    /// None while the rules above are well formed.
    pub(super) fn of(release: &str, folder: &Path) -> Result<Self> {
        let mut redactions = Redactions::new();
        let wrong = |error: &dyn std::fmt::Display| Problem::host(format!("a rule: {error}"));
        let folder = folder.to_string_lossy().into_owned();
        redactions.insert("[KVER]", release.to_owned()).map_err(|error| wrong(&error))?;
        redactions.insert("[PWD]", folder).map_err(|error| wrong(&error))?;
        for (placeholder, pattern) in RULES {
            let pattern = Regex::new(pattern).map_err(|error| wrong(&error))?;
            redactions.insert(placeholder, pattern).map_err(|error| wrong(&error))?;
        }
        Ok(Self(redactions))
    }

    /// What was printed, with placeholders; and with a line `...` in the place of lines for which
    /// what the page shows has one.
    pub(super) fn of_text(&self, printed: &str, shown: &str) -> String {
        let shown = Data::text(shown);
        let normal = NormalizeToExpected::new().redact_with(&self.0);
        normal.normalize(Data::text(printed), &shown).to_string()
    }
}

/// The lines in which two texts differ, with their numbers.
pub(super) fn difference(name: &str, shown: &str, said: &str) -> String {
    let mut text = String::new();
    let (shown, said) = (shown.into_data().raw(), said.into_data().raw());
    let titles = (name.to_owned(), "what was said today".to_owned());
    // Writing to a string does not fail.
    let _ = write_diff(
        &mut text,
        &shown,
        &said,
        Some(&titles.0),
        Some(&titles.1),
        Palette::plain(),
    );
    text
}
