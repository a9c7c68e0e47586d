//! The name of a module, in which `-` and `_` are one character.

use std::{borrow::Borrow, fmt, ops::Deref};

use ko::compression::Compression;

/// The name by which the kernel knows a module: `_` stands for `-`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName(String);

impl ModuleName {
    /// A name as a person, a configuration or `.modinfo` writes it (`modname_normalize()`, kmod's
    /// `shared/util.c`).
    pub fn new(name: &str) -> Self {
        Self(underscored(name))
    }

    /// The name of a module's file; `None` for a file that is not named as a module
    /// (`path_ends_with_kmod_ext()`, kmod's `shared/util.c`).
    pub fn of_file(file_name: &str) -> Option<Self> {
        let is_named =
            |(suffix, _): &(&str, _)| file_name.len() > suffix.len() && file_name.ends_with(suffix);
        SUFFIXES.iter().any(is_named).then(|| Self::of_any_file(file_name))
    }

    /// The name of a file, however it is named: what stands before the first dot, perhaps nothing
    /// (`path_to_modname()`, kmod's `shared/util.c`).
    pub fn of_any_file(file_name: &str) -> Self {
        Self::new(file_name.split('.').next().unwrap_or_default())
    }

    /// The name of what a build makes at a path, without its suffix (`KBUILD_MODNAME`,
    /// `scripts/Makefile.lib`).
    pub fn of_build_path(path: &str) -> Self {
        Self::new(path.rsplit('/').next().unwrap_or(path))
    }
}

/// The suffixes of modules, and the form that each names.
pub const SUFFIXES: [(&str, Compression); 4] = [
    (".ko", Compression::None),
    (".ko.xz", Compression::Xz),
    (".ko.zst", Compression::Zstd),
    (".ko.gz", Compression::Gzip),
];

/// A name, or a pattern of names, with `_` for `-`.
pub fn underscored(name: &str) -> String {
    name.replace('-', "_")
}

impl Deref for ModuleName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ModuleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dash_and_underscore_are_one() {
        assert_eq!(ModuleName::new("a-b_c"), ModuleName::new("a_b-c"));
        assert_eq!(&*ModuleName::of_file("a-b.ko.xz").unwrap(), "a_b");
        assert_eq!(&*ModuleName::of_build_path("/home/me/p-q/p-q"), "p_q");
    }

    #[test]
    fn the_name_ends_at_the_first_dot() {
        assert_eq!(&*ModuleName::of_file("a-7.3.ko").unwrap(), "a_7");
        assert_eq!(&*ModuleName::of_file(".a.ko").unwrap(), "");
        assert_eq!(&*ModuleName::of_any_file("hello.o"), "hello");
        for file in ["a.txt", ".ko", "ko", "a.ko.bz2", ".ko.xz"] {
            assert_eq!(ModuleName::of_file(file), None, "{file}");
        }
    }
}
