//! The words and marks of Graphviz's language DOT, as far as `diagram.rs` uses it.

use std::collections::BTreeMap;

use crate::problem::{Problem, Result};

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    /// One of `{ } [ ] = , ;`, or `>` for an arrow.
    Mark(char),
}

/// The tokens of a text, read in sequence.
pub(super) struct Tokens {
    all: Vec<(usize, Token)>,
    next: usize,
}

impl Tokens {
    /// Those of a text.
    pub(super) fn of(text: &str) -> Result<Self> {
        Ok(Self { all: tokens(text)?, next: 0 })
    }

    /// Returns a problem at the last token.
    pub(super) fn wrong(&self, what: &str) -> Problem {
        let at = self.next.saturating_sub(1).min(self.all.len().saturating_sub(1));
        let number = self.all.get(at).map_or(1, |(number, _)| *number);
        Problem::usage(format!("line {number}: the diagram {what}"))
    }

    /// The next word or quoted text.
    pub(super) fn text(&mut self) -> Result<String> {
        self.next += 1;
        match self.all.get(self.next - 1) {
            Some((_, Token::Text(text))) => Ok(text.clone()),
            _ => Err(self.wrong("lacks a word or a text here")),
        }
    }

    /// Takes a mark if it comes next.
    pub(super) fn takes(&mut self, mark: char) -> bool {
        let comes = matches!(self.all.get(self.next), Some((_, Token::Mark(m))) if *m == mark);
        self.next += usize::from(comes);
        comes
    }

    /// A mark that must come next.
    pub(super) fn mark(&mut self, mark: char) -> Result<()> {
        if self.takes(mark) {
            return Ok(());
        }
        Err(self.wrong(&format!("lacks {mark:?} behind this")))
    }

    /// `[label="…", class=note]`, or nothing.
    pub(super) fn attributes(&mut self) -> Result<BTreeMap<String, String>> {
        let mut attributes = BTreeMap::new();
        if !self.takes('[') {
            return Ok(attributes);
        }
        while !self.takes(']') {
            let name = self.text()?;
            if !matches!(name.as_str(), "label" | "class") {
                return Err(self.wrong(&format!("knows no {name}")));
            }
            self.mark('=')?;
            attributes.insert(name, self.text()?);
            self.takes(',');
        }
        Ok(attributes)
    }
}

/// The words and marks of a text, each with the number of its line.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let (token, after) = if let Some(quoted) = rest.strip_prefix('"') {
                let (text, after) = quoted.split_once('"').ok_or_else(|| {
                    Problem::usage(format!("line {number}: a text has no end: {line}"))
                })?;
                (Token::Text(text.into()), after)
            } else if let Some(after) = rest.strip_prefix("->") {
                (Token::Mark('>'), after)
            } else if rest.starts_with("//") {
                break;
            } else if "{}[]=,;".contains(first) {
                (Token::Mark(first), &rest[1..])
            } else {
                let end = rest.find(|c: char| c.is_whitespace() || "{}[]=,;\"->".contains(c));
                let end = end.filter(|end| *end > 0).unwrap_or(rest.len());
                (Token::Text(rest[..end].into()), &rest[end..])
            };
            // The end of a statement has no meaning here.
            if token != Token::Mark(';') {
                tokens.push((number, token));
            }
            rest = after.trim_start();
        }
    }
    Ok(tokens)
}
