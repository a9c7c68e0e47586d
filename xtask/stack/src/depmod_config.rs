//! depmod.d(5): which of several modules of one name depmod takes.

use std::{collections::HashMap, path::PathBuf};

use crate::{
    module_file::{ModuleFile, unpacked_path},
    module_name::ModuleName,
    version_pattern::{VersionPatternError, version_matches},
    wrapped_lines::wrapped_lines,
};

/// The lines of depmod.d files that choose among modules of one name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DepmodConfig {
    /// The words of `search`: directories below the tree, `external` for those of the `external`
    /// lines, `built-in` for what no other word names. Empty stands for `updates built-in`.
    search: Vec<String>,
    /// Paths below the tree, without suffix, that win over everything.
    overrides: Vec<String>,
    /// Directories beside the tree, from the `external` lines.
    pub external: Vec<PathBuf>,
    /// Names of directories that are not searched.
    pub exclude: Vec<String>,
}

impl DepmodConfig {
    /// Reads the lines of a depmod.d file, for the kernel release whose modules the tree holds
    /// (`cfg_file_parse()`, kmod's `tools/depmod.c`). Lines of other kinds are skipped.
    ///
    /// # Errors
    /// A version pattern that cannot be decided.
    pub fn with_file(mut self, text: &str, release: &str) -> Result<Self, VersionPatternError> {
        let lines = wrapped_lines(text).map(|(_, line)| line);
        for line in lines.filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> =
                line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                ["search", places @ ..] => self.search.extend(places.iter().map(|&p| p.to_owned())),
                ["override", name, version, below, ..] if version_matches(version, release)? => {
                    self.overrides.insert(0, format!("{below}/{name}"));
                }
                ["external", version, dir, ..] if version_matches(version, release)? => {
                    self.external.push(PathBuf::from(dir));
                }
                ["exclude", dirs @ ..] => self.exclude.extend(dirs.iter().map(|&d| d.to_owned())),
                _ => {}
            }
        }
        Ok(self)
    }

    /// Whether a module already found stays, rather than another of its name
    /// (`depmod_module_is_higher_priority()`).
    fn keeps(&self, old: &ModuleFile, new: &ModuleFile) -> bool {
        for over in &self.overrides {
            if stem(&new.path) == over {
                return false;
            }
            if stem(&old.path) == over {
                return true;
            }
        }
        self.rank(new) <= self.rank(old)
    }

    /// The rank of the directory that the file lies in: the earlier `search` names it, the higher.
    fn rank(&self, file: &ModuleFile) -> usize {
        let names = |word: &String| match word.as_str() {
            "built-in" => false,
            "external" => self.external.iter().any(|dir| file.full.starts_with(dir)),
            dir => file.path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/')),
        };
        let default = ["updates", "built-in"].map(String::from);
        let search = if self.search.is_empty() { &default[..] } else { &self.search };
        let built_in = || search.iter().position(|word| word == "built-in");
        let at = search.iter().position(names).or_else(built_in);
        search.len() - at.unwrap_or(search.len())
    }
}

/// A path without `.ko` and what follows it.
fn stem(path: &str) -> &str {
    unpacked_path(path).strip_suffix(".ko").unwrap_or(path)
}

/// Keeps of the modules of each name the one that depmod takes.
pub fn choose(found: Vec<ModuleFile>, config: &DepmodConfig) -> Vec<ModuleFile> {
    let mut at: HashMap<ModuleName, usize> = HashMap::with_capacity(found.len());
    let mut chosen: Vec<Option<ModuleFile>> = Vec::with_capacity(found.len());
    for file in found {
        let old = at.get(&file.name).copied();
        if let Some(old) = old.and_then(|old| chosen.get_mut(old)) {
            if old.as_ref().is_some_and(|old| config.keeps(old, &file)) {
                continue;
            }
            *old = None;
        }
        at.insert(file.name.clone(), chosen.len());
        chosen.push(Some(file));
    }
    chosen.into_iter().flatten().collect()
}
