//! depmod.d(5): which of several modules of one name depmod takes.

use std::{collections::HashMap, path::PathBuf};

use ko::kmod_facts::KmodFacts;

use crate::{
    module_file::ModuleFile,
    module_name::ModuleName,
    version_pattern::{VersionPatternError, version_matches},
    wrapped_lines::wrapped_lines,
};

/// The lines of depmod.d files that choose among modules of one name, and the kmod that reads them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DepmodConfig {
    /// The kmod whose depmod is meant.
    pub kmod: KmodFacts,
    /// The words of `search`: directories below the tree, `external` for those of the `external`
    /// lines, `built-in` for what no other word names. Empty stands for `updates`.
    search: Vec<String>,
    /// Paths below the tree, without suffix, that win over everything.
    overrides: Vec<String>,
    /// Directories beside the tree, from the `external` lines, in the order of the lines.
    external: Vec<PathBuf>,
    /// Names of files and directories that are not searched.
    pub exclude: Vec<String>,
}

impl DepmodConfig {
    /// No lines, read by this kmod.
    pub fn of_kmod(kmod: KmodFacts) -> Self {
        Self { kmod, ..Self::default() }
    }

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

    /// The directories beside the tree, as depmod walks them: the last line first.
    pub fn external(&self) -> impl Iterator<Item = &PathBuf> {
        self.external.iter().rev()
    }

    /// Returns `true` if a module already found stays, rather than another of its name
    /// (`depmod_module_is_higher_priority()`).
    fn keeps(&self, old: &ModuleFile, new: &ModuleFile) -> bool {
        for over in &self.overrides {
            if new.path_to_name() == over {
                return false;
            }
            if old.path_to_name() == over {
                return true;
            }
        }
        let (old, new) = self.priorities(old, new);
        new <= old
    }

    /// The priorities of two modules: the earlier `search` names a directory, the higher. Below one
    /// that has both, only the new one gets that word's: depmod looks at the old one otherwise.
    fn priorities(&self, old: &ModuleFile, new: &ModuleFile) -> (Option<usize>, Option<usize>) {
        let default = ["updates".to_owned()];
        let search = if self.search.is_empty() { &default[..] } else { &self.search };
        let is_below = |file: &ModuleFile, dir: &str| {
            file.path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
        };
        let (mut of_old, mut of_new, mut built_in) = (None, None, None);
        let mut place = 0;
        for word in search.iter().rev() {
            match word.as_str() {
                "built-in" => built_in = Some(place),
                "external" => {
                    for dir in self.external() {
                        let is_in = |file: &ModuleFile| file.lies_in(dir);
                        of_new = is_in(new).then_some(place).or(of_new);
                        of_old = is_in(old).then_some(place).or(of_old);
                        place += 1;
                    }
                }
                dir if is_below(new, dir) => of_new = Some(place),
                dir if is_below(old, dir) => of_old = Some(place),
                _ => {}
            }
            place += 1;
        }
        (of_old.or(built_in), of_new.or(built_in))
    }
}

/// Two modules of one name between which nothing decides but the order in which a file system lists
/// a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// Their name.
    pub name: ModuleName,
    /// The path of the one that is taken as the directory was listed here.
    pub taken: String,
    /// The path of the other.
    pub other: String,
}

/// The modules that depmod takes.
#[derive(Debug, Default)]
pub struct Chosen {
    /// One for each name.
    pub files: Vec<ModuleFile>,
    /// Those that another order of the same files would have changed.
    pub ties: Vec<Tie>,
}

/// Keeps of the modules of each name the one that depmod takes. `found` is in the order in which
/// the directories are listed.
pub fn choose(found: Vec<ModuleFile>, config: &DepmodConfig) -> Chosen {
    let mut chosen = Chosen::default();
    let mut at: HashMap<ModuleName, usize> = HashMap::with_capacity(found.len());
    for file in found {
        let Some(&place) = at.get(&file.name) else {
            at.insert(file.name.clone(), chosen.files.len());
            chosen.files.push(file);
            continue;
        };
        let old = &mut chosen.files[place];
        let keeps = config.keeps(old, &file);
        // The tree is listed before the directories beside it.
        let is_tie = keeps == config.keeps(&file, old) && old.is_external() == file.is_external();
        let other = if keeps { file } else { std::mem::replace(old, file) };
        if is_tie {
            let (name, taken) = (old.name.clone(), old.path.clone());
            chosen.ties.push(Tie { name, taken, other: other.path });
        }
    }
    // A module that lost in the end is in no tie.
    let files = &chosen.files;
    let is_taken = |tie: &Tie| at.get(&tie.name).is_some_and(|&at| files[at].path == tie.taken);
    chosen.ties.retain(is_taken);
    chosen
}
