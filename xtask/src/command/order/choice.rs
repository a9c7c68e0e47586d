//! The other files that depmod could have taken for a module.

use serde::Serialize;
use stack::{depmod_config::Tie, module_file::ModuleFile};

use crate::host::root_kmod::kmod_facts;

/// The modules that depmod might not have taken, and those that it cannot take.
#[derive(Serialize)]
pub(super) struct Choice<'a> {
    ties: Vec<TieForm<'a>>,
    not_listed: Vec<&'a str>,
}

#[derive(Serialize)]
struct TieForm<'a> {
    module: &'a str,
    taken: &'a str,
    other: &'a str,
}

impl<'a> Choice<'a> {
    pub(super) fn new(ties: &'a [Tie], not_listed: &'a [ModuleFile]) -> Self {
        let tie =
            |tie: &'a Tie| TieForm { module: &tie.name, taken: &tie.taken, other: &tie.other };
        Self {
            ties: ties.iter().map(tie).collect(),
            not_listed: not_listed.iter().map(|file| file.path.as_str()).collect(),
        }
    }

    /// A line for each.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let tie = |TieForm { module, taken, other }: &TieForm<'_>| {
            format!(
                "tie      {module}: depmod takes {taken}, which is listed here before {other}; on \
                 another file system it may take that one"
            )
        };
        let not_listed = |path: &&str| {
            format!("left out {path}: {} unpacks no file of its form, and lists none", kmod_facts())
        };
        self.ties.iter().map(tie).chain(self.not_listed.iter().map(not_listed))
    }
}
