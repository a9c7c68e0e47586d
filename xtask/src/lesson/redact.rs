//! Redaction: text that differs from run to run becomes a placeholder in a page.
//!
//! Narrow on purpose: order, counts of references, errors and every word are compared as they are.

use std::path::Path;

use diffy::Line;
use regex_lite::Regex;

use crate::{
    kernel::Kernel,
    problem::{Problem, Result},
};

/// A placeholder, and the text that it stands for, as the group `redacted` of a pattern.
const RULES: &[(&str, &str)] = &[
    // Seconds since the boot, as dmesg prints them.
    ("[T]", r"(?m)^(?<redacted>\[ *\d+\.\d{6}\])"),
    // An address of the kernel, also in an oops and in /proc/kallsyms.
    ("[ADDR]", r"\b(?:0x)?(?<redacted>ffff[0-9a-f]{12})\b"),
    // The place in a function, and the function's length: another compiler, another place.
    ("[OFFSET]", r"\w\+(?<redacted>0x[0-9a-f]+/0x[0-9a-f]+)"),
    // The memory that a module takes: lsmod and /proc/modules, both before the number of users.
    ("[SIZE]", r"(?m)^\w+ +(?<redacted>\d+) +\d+( |$)"),
    // rustc's hash of a crate's name, compiler and options.
    ("[HASH]", r"Cs(?<redacted>[0-9A-Za-z]+)_\d"),
    // rustc's hash of a whole crate: the end of its seal.
    ("[HASH]", r"_abi_(?<redacted>[0-9a-f]{16})\b"),
    // A duration.
    ("[TIME]", r"\b(?<redacted>\d+(?:\.\d+)?) (?:ns|us|ms|s)\b"),
];

/// The placeholders of a page on one kernel.
#[derive(Debug)]
pub(super) struct Redactor {
    /// Each with the one text that it stands for, the longest first: one may be part of another.
    texts: Vec<(String, String)>,
    rules: Vec<(&'static str, Regex)>,
}

impl Redactor {
    /// Those of a kernel and of others beside it, and of the folder that modules are built in.
    ///
    /// # Errors
    /// None while the rules above are well formed.
    pub(super) fn new(kernel: &Kernel, others: &[Kernel], folder: &Path) -> Result<Self> {
        let mut redactor = Self::for_release(&kernel.release, folder)?;
        for other in others {
            let placeholder = format!("[KVER_{}]", other.name.to_string().to_uppercase());
            redactor.insert(placeholder, other.release.clone());
        }
        Ok(redactor)
    }

    /// Those that need no prepared kernel.
    pub(super) fn for_release(release: &str, folder: &Path) -> Result<Self> {
        let rule = |(placeholder, pattern): &(&'static str, &str)| {
            Ok((*placeholder, Regex::new(pattern)?))
        };
        let rules = RULES.iter().map(rule).collect::<Result<_, regex_lite::Error>>();
        let rules = rules.map_err(|error| Problem::host(format!("a rule: {error}")))?;
        let mut redactor = Self { texts: Vec::new(), rules };
        redactor.insert("[KVER]".into(), release.into());
        redactor.insert("[PWD]".into(), folder.to_string_lossy().into());
        Ok(redactor)
    }

    fn insert(&mut self, placeholder: String, text: String) {
        self.texts.push((placeholder, text));
        self.texts.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
    }

    /// Redacts output, and elides as `...` the lines that the page elides.
    pub(super) fn redact(&self, printed: &str, shown: &str) -> String {
        let mut text = printed.to_owned();
        for (placeholder, known) in &self.texts {
            text = text.replace(known, placeholder);
        }
        for (placeholder, pattern) in &self.rules {
            let ranges = pattern.captures_iter(&text).filter_map(|found| found.name("redacted"));
            let ranges: Vec<_> = ranges.map(|found| found.range()).collect();
            // From the end, so that the ranges before stay right.
            ranges.into_iter().rev().for_each(|range| text.replace_range(range, placeholder));
        }
        elide(&text, shown)
    }
}

/// `text` with a line `...` for the lines that `shown` leaves out, up to where the two differ.
fn elide(text: &str, shown: &str) -> String {
    let mut rest: Vec<&str> = text.split_inclusive('\n').collect();
    let mut elided = String::new();
    let mut shown = shown.split_inclusive('\n').peekable();
    while let Some(line) = shown.next() {
        let same = match (line, shown.peek()) {
            ("...\n", None) => Some(rest.len()),
            ("...\n", Some(next)) => rest.iter().position(|line| line == next),
            _ => rest.first().filter(|first| **first == line).map(|_| 1),
        };
        let Some(same) = same else { break };
        rest.drain(..same);
        elided.push_str(line);
    }
    elided + &rest.concat()
}

/// The lines in which two texts differ, with their numbers in either.
pub(super) fn difference(name: &str, shown: &str, said: &str) -> String {
    let mut text = format!("--- {name}\n+++ what was said today\n");
    for hunk in diffy::create_patch(shown, said).hunks() {
        let (mut old, mut new) = (hunk.old_range().start(), hunk.new_range().start());
        for line in hunk.lines() {
            let numbered = match line {
                Line::Context(line) => format!("{old:4} {new:4}   {line}"),
                Line::Delete(line) => format!("{old:4}      - {line}"),
                Line::Insert(line) => format!("     {new:4} + {line}"),
            };
            old += usize::from(!matches!(line, Line::Insert(_)));
            new += usize::from(!matches!(line, Line::Delete(_)));
            text.push_str(numbered.trim_end_matches('\n'));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::for_release("7.3.4+deb13-amd64", Path::new("/somewhere/docs/01-hello")).unwrap()
    }

    #[test]
    fn values_of_one_run_become_placeholders() {
        for (printed, shown) in [
            ("[    4.123456] hello: x\n", "[T] hello: x\n"),
            (
                "ffffffffc0a01010 T provider_add\t[provider]\n",
                "[ADDR] T provider_add\t[provider]\n",
            ),
            ("RIP: 0010:0xffffffffc0a01010\n", "RIP: 0010:0x[ADDR]\n"),
            ("RIP: 0010:misc_open+0x41/0x160\n", "RIP: 0010:misc_open+[OFFSET]\n"),
            ("provider  28672  1 consumer\n", "provider  [SIZE]  1 consumer\n"),
            ("provider 28672 2 a,b, Live\n", "provider [SIZE] 2 a,b, Live\n"),
            ("stays 12288 0 - Live\n", "stays [SIZE] 0 - Live\n"),
            ("/lib/modules/7.3.4+deb13-amd64/a\n", "/lib/modules/[KVER]/a\n"),
            ("in '/somewhere/docs/01-hello'\n", "in '[PWD]'\n"),
            ("_RNvCsbAHes1ROym8_5hello3f\n", "_RNvCs[HASH]_5hello3f\n"),
            ("ticket_abi_5fc73b8195b0fc33 [GPL]\n", "ticket_abi_[HASH] [GPL]\n"),
            ("landlock_abi_version\n", "landlock_abi_version\n"),
            (
                "a message took 512 ns, 1.5 ms in all\n",
                "a message took [TIME] ns, [TIME] ms in all\n",
            ),
        ] {
            assert_eq!(redactor().redact(printed, ""), shown);
        }
    }

    #[test]
    fn all_other_text_stays() {
        for printed in [
            "provider: room for 16 counters\n",
            "rmmod: ERROR: Module provider is in use by: consumer\n",
            "Unknown symbol provider_add (err -2)\n",
            "0xa1b2c3d4\tprovider_add\tprovider\tEXPORT_SYMBOL_GPL\t\n",
            "consumer 42\n",
        ] {
            assert_eq!(redactor().redact(printed, ""), printed);
        }
    }

    #[test]
    fn dots_stand_for_lines_only_where_the_rest_agrees() {
        let printed = "a\nb\nc\nd\n";
        assert_eq!(redactor().redact(printed, "a\n...\nd\n"), "a\n...\nd\n");
        assert_ne!(redactor().redact(printed, "a\n...\ne\n"), "a\n...\ne\n");
        assert_eq!(redactor().redact(printed, "x\n"), printed);
        assert_eq!(redactor().redact(printed, "a\n...\n"), "a\n...\n");
        assert_eq!(redactor().redact(printed, "...\nc\nd\n"), "...\nc\nd\n");
        assert_eq!(redactor().redact("a\nc\n", "a\n...\nc\n"), "a\n...\nc\n");
    }

    #[test]
    fn a_difference_names_the_line() {
        let text = difference("docs/a.md", "1\n2\n3\n", "1\ntwo\n3\n");
        assert_eq!(
            text,
            "--- docs/a.md\n+++ what was said today\n   1    1   1\n   2      - 2\n\
             \x20       2 + two\n   3    3   3\n"
        );
    }
}
