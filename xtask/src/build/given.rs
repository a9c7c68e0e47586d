//! The files of a stack that have the name of something built and that no build makes: objects
//! that a vendor compiled, and lists of symbols of modules that are built elsewhere.
//!
//! A build in place leaves files of the same names. They are of another kernel perhaps, so none of
//! them may be taken for today's: a file is given only where a makefile names it and nothing in
//! the stack makes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

/// Returns `true` for a makefile, by its name.
pub(super) fn is_makefile(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    ["Kbuild", "Makefile", "GNUmakefile"].iter().any(|start| file.starts_with(start))
        || file.ends_with(".mk")
}

/// Returns those of `perhaps_made` that are given. `sources` are the names of all other files, and
/// `makefiles` the texts of the makefiles among them.
pub(super) fn given<'a>(
    perhaps_made: &'a BTreeMap<String, PathBuf>,
    sources: &BTreeSet<String>,
    makefiles: &[String],
) -> Vec<(&'a String, &'a PathBuf)> {
    let mut words = Words::default();
    makefiles.iter().for_each(|text| words.add(text));
    let is_given = |name: &str| {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        match file.strip_suffix(".o").or_else(|| file.strip_suffix(".a")) {
            Some(stem) => {
                words.name(name) && !words.make(file, stem) && !made(sources, folder, stem)
            }
            None => file == "Module.symvers" && words.name(name),
        }
    };
    let mut found: Vec<_> = perhaps_made.iter().filter(|(name, _)| is_given(name)).collect();
    // Kbuild reads what an object was made of in the file beside it, which comes with some.
    let commands = found.iter().filter_map(|(name, _)| {
        let (folder, file) = name.rsplit_once('/').map_or(("", name.as_str()), |parts| parts);
        let slash = if folder.is_empty() { "" } else { "/" };
        perhaps_made.get_key_value(&format!("{folder}{slash}.{file}.cmd"))
    });
    let commands: Vec<_> = commands.collect();
    found.extend(commands);
    found
}

/// Returns `true` if a file in the folder may be compiled, or copied, to an object of this stem.
fn made(sources: &BTreeSet<String>, folder: &str, stem: &str) -> bool {
    let start = if folder.is_empty() { format!("{stem}.") } else { format!("{folder}/{stem}.") };
    let mut after = sources.range(start.clone()..).take_while(|name| name.starts_with(&start));
    after.any(|name| !name.ends_with(".h"))
}

/// The words of makefiles that name files. A recipe has none: `clean` names what a build leaves.
#[derive(Debug, Default)]
struct Words {
    /// The paths, without variables and steps upward before them.
    named: BTreeSet<PathBuf>,
    /// The targets of rules, and the variables that list the parts of an object.
    made: BTreeSet<String>,
}

impl Words {
    fn add(&mut self, text: &str) {
        let text = text.replace("\\\n", " ");
        for line in text.lines().filter(|line| !line.starts_with('\t')) {
            let line = line.split('#').next().unwrap_or_default();
            self.named.extend(line.split([' ', '\t', '=', ':', ',', '(']).filter_map(near));
            let assigned = line.split(['=', ':', '+', '?']).next().unwrap_or_default().trim();
            let rest = &line[line.find(assigned).unwrap_or(0) + assigned.len()..];
            let is_rule = rest.trim_start().starts_with(':') && !rest.contains(":=");
            if is_rule || rest.contains('=') {
                let names = assigned.split_whitespace().filter_map(|word| word.rsplit('/').next());
                self.made.extend(names.map(ToOwned::to_owned));
            }
        }
    }

    /// Returns `true` if a word is this path, or the end of it.
    fn name(&self, path: &str) -> bool {
        let path = Path::new(path);
        let mut ends = path.ancestors().filter_map(|above| path.strip_prefix(above).ok());
        ends.any(|end| self.named.contains(end))
    }

    /// Returns `true` if a rule makes this file, or if an object of this stem is made of others.
    fn make(&self, file: &str, stem: &str) -> bool {
        let is_list = |name: &String| {
            name.strip_prefix(stem).is_some_and(|end| {
                end == "-objs" || end == "-y" || end == "-m" || end.starts_with("-$(")
            })
        };
        self.made.contains(file) || self.made.iter().any(is_list)
    }
}

/// Returns the path that a word names below some folder, without what only make can say of it.
fn near(word: &str) -> Option<PathBuf> {
    let word = word.trim_end_matches(')').rsplit(')').next().unwrap_or_default();
    let is_name = |part: &Component| matches!(part, Component::Normal(_));
    let path: PathBuf = Path::new(word).components().filter(is_name).collect();
    (!path.as_os_str().is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that are given among those of a stack with this makefile.
    fn found(makefile: &str, files: &[&str]) -> Vec<String> {
        let is_source = |name: &&&str| ["c", "h", "S"].iter().any(|end| name.ends_with(end));
        let sources = files.iter().filter(is_source).map(ToString::to_string).collect();
        let others = files.iter().filter(|name| !is_source(name));
        let others = others.map(|name| (name.to_string(), PathBuf::from(name))).collect();
        let given = given(&others, &sources, &[makefile.into()]);
        given.into_iter().map(|(name, _)| name.clone()).collect()
    }

    #[test]
    fn an_object_that_nothing_makes_is_given() {
        for makefile in [
            "obj-m := a.o\na-objs := main.o blob.o\n",
            "obj-m := a.o\na-y := main.o \\\n\t\tblob.o # of a vendor\n",
            "obj-m := a.o\na-$(CONFIG_X) += $(src)/blob.o\n",
            "obj-m := a.o\na-y := main.o\nldflags-y += $(src)/blob.o\n",
        ] {
            let files = ["main.c", "main.o", "a.o", "blob.o", ".blob.o.cmd", ".main.o.cmd"];
            assert_eq!(found(makefile, &files), ["blob.o", ".blob.o.cmd"], "{makefile}");
        }
        assert_eq!(found("a-y := main.o x/blob.o\n", &["x/blob.o", "blob.o"]), ["x/blob.o"]);
        assert_eq!(found("a-y := main.o libx.a\n", &["libx.a", "blob.h"]), ["libx.a"]);
        assert_eq!(found("a-y := blob.o\n", &["blob.o", "blob.h"]), ["blob.o"]);
    }

    #[test]
    fn leftovers_of_a_build_are_not_given() {
        for (makefile, file) in [
            ("obj-m := a.o\n", "b.o"),
            ("obj-m := a.o\nclean:\n\trm -f a.ko b.o Module.symvers\n", "b.o"),
            ("obj-m := a.o\na-y := b.o\nb-objs := c.o\n", "b.o"),
            ("obj-m := a.o\na-y := b.o\nb-$(CONFIG_X) := c.o\n", "b.o"),
            ("obj-m := a.o\na-y := b.o\n$(obj)/b.o: $(src)/b.bin\n\tld -o $@\n", "b.o"),
            ("obj-m := a.o\na-y := b.o\nb.o: b.bin\n\tld -o $@\n", "b.o"),
            ("clean:\n\trm -f Module.symvers\n", "Module.symvers"),
            ("KBUILD_EXTRA_SYMBOLS := $(src)/../b/Module.symvers\n", "Module.symvers"),
            ("obj-m := a.o\n", "a.ko"),
        ] {
            assert_eq!(found(makefile, &[file]), [""; 0], "{makefile}");
        }
        for source in ["b.c", "b.S"] {
            assert_eq!(found("a-y := b.o\n", &["b.o", source]), [""; 0], "{source}");
        }
    }

    #[test]
    fn a_list_of_symbols_is_given_where_a_makefile_names_it() {
        for makefile in [
            "KBUILD_EXTRA_SYMBOLS := $(src)/dep/Module.symvers\n",
            "KBUILD_EXTRA_SYMBOLS += $(abspath $(src)/dep/Module.symvers)\n",
            "LISTS = dep/Module.symvers\nKBUILD_EXTRA_SYMBOLS=$(LISTS)\n",
        ] {
            let files = ["dep/Module.symvers", "Module.symvers", "other/Module.symvers"];
            assert_eq!(found(makefile, &files), ["dep/Module.symvers"], "{makefile}");
        }
    }
}
