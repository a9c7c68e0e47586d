//! modprobe.d(5): what the lines say (`kmod_config_parse()`, kmod's `libkmod/libkmod-config.c`).
//!
//! A configuration is read file by file, in kmod's order: all of all directories by their base
//! names, the modules' own `modules.softdep` and `modules.weakdep` among them.

use std::collections::HashMap;

use ko::kmod_facts::KmodFacts;

use crate::{
    fnmatch::fnmatch,
    graph::{Graph, Hash},
    kmod_rules::KmodRule,
    modules_lists,
    wrapped_lines::wrapped_lines,
};

/// The lines of modprobe.d files and the words of the kernel's command line, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModprobeConfig {
    /// The kmod that reads them.
    pub kmod: KmodFacts,
    /// `alias PATTERN NAME`.
    pub aliases: Vec<(String, String)>,
    /// `blacklist NAME`.
    pub blacklist: Vec<String>,
    /// `options NAME PARAMETERS`.
    pub options: Vec<(String, String)>,
    /// `install PATTERN COMMAND`.
    pub install: ByPattern<String>,
    /// `remove PATTERN COMMAND`.
    pub remove: ByPattern<String>,
    /// `softdep PATTERN pre: NAMES post: NAMES`.
    pub softdeps: ByPattern<Softdep>,
    /// `weakdep PATTERN NAMES`.
    pub weakdeps: ByPattern<Vec<String>>,
    /// The lines that kmod cannot read, and the words of a command line.
    pub ignored: Vec<IgnoredLine>,
}

/// The modules that are to be loaded around another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Softdep {
    /// Those before it.
    pub pre: Vec<String>,
    /// Those after it.
    pub post: Vec<String>,
}

/// A line that kmod skips with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredLine {
    /// The file as it was named.
    pub file: String,
    /// The number of the line, from 1.
    pub line: usize,
    /// Its first word.
    pub word: String,
}

/// Lines that begin with a pattern of names. For a name the first counts that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByPattern<T> {
    lines: Vec<(String, T)>,
    /// The first line of each name that is no pattern: a tree has hundreds of them.
    exact: HashMap<String, usize, Hash>,
    patterns: Vec<usize>,
}

impl<T> Default for ByPattern<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), exact: HashMap::default(), patterns: Vec::new() }
    }
}

impl<T> ByPattern<T> {
    fn push(&mut self, pattern: String, value: T) {
        let at = self.lines.len();
        if pattern.contains(['*', '?', '[', '\\']) {
            self.patterns.push(at);
        } else {
            self.exact.entry(pattern.clone()).or_insert(at);
        }
        self.lines.push((pattern, value));
    }

    /// The value of the first line whose pattern matches a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        let is_for = |&&at: &&usize| fnmatch(self.lines[at].0.as_bytes(), name.as_bytes());
        let by_pattern = self.patterns.iter().find(is_for);
        let first = by_pattern.into_iter().chain(self.exact.get(name)).min()?;
        Some(&self.lines[*first].1)
    }

    /// The value of the first line that begins with the very name, be it a pattern or not.
    pub fn get_verbatim(&self, name: &str) -> Option<&T> {
        self.lines.iter().find(|(pattern, _)| pattern == name).map(|(_, value)| value)
    }

    /// Every line.
    pub fn lines(&self) -> &[(String, T)] {
        &self.lines
    }
}

/// One file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it lies.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl ConfigFile {
    fn base_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl ModprobeConfig {
    /// Reads files, in the order of their directories, beside what the modules say of themselves.
    /// Base names decide: of files with the same one the first counts, and they are read in the
    /// order of these names (`kmod_config_new()`).
    pub fn of(graph: &Graph, files: Vec<ConfigFile>, kmod: KmodFacts) -> Self {
        let own = [
            ("modules.softdep", modules_lists::softdeps(graph)),
            ("modules.weakdep", modules_lists::weakdeps(graph)),
        ];
        let own = own.map(|(name, text)| {
            let (path, text) = (name.to_owned(), String::from_utf8_lossy(&text).into_owned());
            ConfigFile { path, text }
        });
        let mut all: Vec<ConfigFile> = own.into_iter().chain(files).collect();
        all.sort_by(|a, b| a.base_name().cmp(b.base_name()));
        all.dedup_by(|later, first| later.base_name() == first.base_name());
        let empty = Self { kmod, ..Self::default() };
        all.iter().fold(empty, |config, file| config.with_file(&file.path, &file.text))
    }

    /// Adds the lines of a file.
    #[must_use]
    pub fn with_file(mut self, file: &str, text: &str) -> Self {
        for (line, text) in wrapped_lines(text) {
            let Some((word, rest)) = token(&text).filter(|_| !text.starts_with('#')) else {
                continue;
            };
            if self.add(word, rest).is_none() {
                self.ignored.push(IgnoredLine { file: file.to_owned(), line, word: word.into() });
            }
        }
        self
    }

    /// Adds one line; `None` if kmod cannot read it.
    fn add(&mut self, word: &str, rest: &str) -> Option<()> {
        let (name, rest) = token(rest)?;
        let name = underscores(name)?;
        let value = Some(rest).filter(|rest| !rest.is_empty());
        match word {
            "alias" => self.aliases.push((name, underscores(token(rest)?.0)?)),
            "blacklist" => self.blacklist.push(name),
            "options" => self.options.push((name, value?.replace('\t', " "))),
            "install" => self.install.push(name, value?.to_owned()),
            "remove" => self.remove.push(name, value?.to_owned()),
            "softdep" => self.softdeps.push(name, Softdep::parse(value?)),
            "weakdep" if KmodRule::WeakDependencies.holds_for(self.kmod) => {
                self.weakdeps.push(name, words(value?).into_iter().map(str::to_owned).collect());
            }
            _ => return None,
        }
        Some(())
    }

    /// The parameters of a module that was asked for by this alias, with blanks between.
    pub fn options(&self, name: &str, alias: Option<&str>) -> String {
        let is_for = |for_name: &str| for_name == name || alias == Some(for_name);
        let lines = self.options.iter().filter(|(for_name, _)| is_for(for_name));
        let values: Vec<&str> = lines.map(|(_, value)| value.as_str()).collect();
        values.join(" ")
    }
}

/// The first word before a blank or a tab, and what follows that one character (`strtok_r()`).
fn token(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let whole = Some((text, "")).filter(|_| !text.is_empty());
    text.split_once([' ', '\t']).or(whole)
}

/// A name, or a pattern of names, with `_` for `-` outside brackets; `None` if brackets do not pair
/// (`underscores()` and `alias_normalize()`, kmod's `shared/util.c`).
pub fn underscores(name: &str) -> Option<String> {
    let mut in_brackets = false;
    let one = |c: char| match (c, in_brackets) {
        ('[', false) => {
            in_brackets = true;
            Some(c)
        }
        (']', false) => None,
        (']', true) => {
            in_brackets = false;
            Some(c)
        }
        ('-', false) => Some('_'),
        _ => Some(c),
    };
    let all: Option<String> = name.chars().map(one).collect();
    all.filter(|_| !in_brackets)
}

impl Softdep {
    /// Takes the value of a `softdep` apart; words before any `pre:` or `post:` count for neither.
    pub fn parse(value: &str) -> Self {
        let (mut softdep, mut list) = (Self::default(), None);
        for word in words(value) {
            match (word, &list) {
                ("pre:", _) => list = Some(true),
                ("post:", _) => list = Some(false),
                (_, Some(true)) => softdep.pre.push(word.to_owned()),
                (_, Some(false)) => softdep.post.push(word.to_owned()),
                (_, None) => {}
            }
        }
        softdep
    }
}

/// The words of a softdep or a weakdep. A single blank at the beginning is taken for a part of the
/// first word (`kmod_config_add_softdep()`, kmod's `libkmod/libkmod-config.c`).
fn words(value: &str) -> Vec<&str> {
    let is_space = |c: char| c.is_ascii_whitespace() || c == '\u{b}';
    let trimmed = value.trim_start_matches(is_space);
    let begin = if value.len() - trimmed.len() == 1 { value } else { trimmed };
    let first = begin.len() - begin.trim_start_matches(is_space).len();
    let end = begin[first..].find(is_space).map_or(begin.len(), |end| first + end);
    let rest = begin[end..].split(is_space).filter(|word| !word.is_empty());
    let first = Some(&begin[..end]).filter(|_| !trimmed.is_empty());
    first.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::module;

    fn config(text: &str) -> ModprobeConfig {
        ModprobeConfig::default().with_file("a.conf", text)
    }

    #[test]
    fn blanks_and_tabs_part_the_words_of_a_line() {
        let config = config("options   a-b   x=1\ty=2\nalias\tq\t\tw-e  more\n  blacklist z\n");
        assert_eq!(config.options, [("a_b".to_owned(), "  x=1 y=2".to_owned())]);
        assert_eq!(config.aliases, [("q".to_owned(), "w_e".to_owned())]);
        assert_eq!((config.blacklist, config.ignored), (vec!["z".to_owned()], vec![]));
    }

    #[test]
    fn a_line_that_kmod_cannot_read_is_named() {
        let config = config("# a\n\nalias one\noptionz a b\n # b\nblacklist [a\ninclude x\n");
        let ignored = config.ignored.iter().map(|line| (line.line, line.word.as_str()));
        let expected = [(3, "alias"), (4, "optionz"), (5, "#"), (6, "blacklist"), (7, "include")];
        assert_eq!(ignored.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_dash_within_brackets_stays() {
        assert_eq!(underscores("a-[b-d]-e").as_deref(), Some("a_[b-d]_e"));
        for odd in ["a[", "a]", "[]]", "[a]]"] {
            assert_eq!(underscores(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_single_blank_before_pre_makes_it_no_list() {
        let pre = |text: &str| config(text).softdeps.get("a").unwrap().pre.clone();
        assert_eq!(pre("softdep a pre: b c\n"), ["b", "c"]);
        assert_eq!(pre("softdep a  pre: b\n"), [""; 0]);
        assert_eq!(pre("softdep a   pre: b\n"), ["b"]);
        assert_eq!(pre("softdep a x pre: b post: c \n"), ["b"]);
    }

    #[test]
    fn the_first_line_for_a_module_counts_and_base_names_order_the_files() {
        let mut own = module("a", &[], &[]);
        own.info.softdeps.push(b"pre: own");
        let graph = Graph::new(vec![own]);
        let pre = |names: [&str; 2]| {
            let file = |(path, text): (&str, &str)| ConfigFile {
                path: path.to_owned(),
                text: text.to_owned(),
            };
            let texts = ["softdep a pre: first\n", "softdep [a-c] pre: second\n"];
            let files = names.into_iter().zip(texts).map(file).collect();
            let config = ModprobeConfig::of(&graph, files, KmodFacts::TRIXIE);
            config.softdeps.get("a").unwrap().pre.clone()
        };
        assert_eq!(pre(["/etc/alsa.conf", "/etc/z.conf"]), ["first"]);
        assert_eq!(pre(["/etc/zfs.conf", "/etc/z.conf"]), ["own"]);
        assert_eq!(pre(["/etc/b.conf", "/etc/a.conf"]), ["second"]);
        assert_eq!(pre(["/etc/b.conf", "/lib/b.conf"]), ["first"]);
    }

    #[test]
    fn an_older_kmod_does_not_know_weakdep() {
        let kmod = KmodFacts { release: (32, 0), ..KmodFacts::TRIXIE };
        let config = ModprobeConfig { kmod, ..ModprobeConfig::default() };
        assert_eq!(config.with_file("a.conf", "weakdep a b\n").ignored.len(), 1);
    }
}
