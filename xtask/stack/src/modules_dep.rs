//! `modules.dep`: what depmod tells modprobe to load first.
//!
//! A line is `path: dep dep …` with everything that the module needs. Users come before what they
//! use, so modprobe loads a line from its end (`output_deps()`, kmod's `tools/depmod.c`).

use std::fmt::Write as _;

use super::{
    graph::{Cycle, Graph},
    line_error::LineError,
};

/// The text that depmod would write for these modules, byte for byte when a `modules.order` names
/// them all (else depmod's lines come in the order of its hash table).
///
/// # Errors
/// The cycles, when there are any: depmod then writes nothing.
pub fn write(graph: &Graph) -> Result<String, Vec<Cycle>> {
    let rank = graph.users_first()?;
    let path = |index: usize| graph.modules()[index].file.path.as_str();
    let mut text = String::new();
    for index in 0..graph.modules().len() {
        text.push_str(path(index));
        text.push(':');
        let mut closure = graph.closure(index);
        closure.sort_by_key(|&index| rank[index]);
        for needed in closure {
            // Writing to a String cannot fail.
            let _ = write!(text, " {}", path(needed));
        }
        text.push('\n');
    }
    Ok(text)
}

/// One line: a module and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModulesDepLine<'a> {
    /// The module's path.
    pub path: &'a str,
    /// Its needs, users before what they use.
    pub needs: Vec<&'a str>,
}

/// Reads a `modules.dep`.
///
/// # Errors
/// The first line without a colon.
pub fn parse(text: &str) -> Result<Vec<ModulesDepLine<'_>>, LineError> {
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let refuse = || LineError {
                line: index + 1,
                expected: "a path, a colon, and paths",
                found: format!("\"{line}\""),
            };
            let (path, needs) = line.split_once(':').ok_or_else(refuse)?;
            Ok(ModulesDepLine { path, needs: needs.split_ascii_whitespace().collect() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::module;

    #[test]
    fn a_line_has_the_whole_closure_users_first() {
        let graph = Graph::new(vec![
            module("base", &["b"], &[]),
            module("top", &[], &["m"]),
            module("middle", &["m"], &["b"]),
        ]);
        let text = write(&graph).unwrap();
        assert_eq!(text, "base.ko:\ntop.ko: middle.ko base.ko\nmiddle.ko: base.ko\n");
        let lines = parse(&text).unwrap();
        assert_eq!(
            lines[1],
            ModulesDepLine { path: "top.ko", needs: vec!["middle.ko", "base.ko"] }
        );
        assert_eq!(parse("a.ko:\nb.ko\n").unwrap_err().line, 2);
    }
}
