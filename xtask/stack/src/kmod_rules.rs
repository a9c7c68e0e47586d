//! The rules of modprobe that differ between releases of kmod: the only statement of them.

use ko::kmod_facts::KmodFacts;

/// A rule that not every kmod has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmodRule {
    /// A name is looked for in `modules.builtin` before the aliases of what is built in
    /// (`kmod_module_new_from_lookup()`, `libkmod/libkmod-module.c`).
    BuiltInNamesFirst,
    /// `/usr/lib/modprobe.d` is searched, before `/lib/modprobe.d` (`default_config_paths`,
    /// `libkmod/libkmod.c`).
    UsrLibFolder,
    /// Of a directory only files that end in `.conf` are read; before, those in `.alias` were, too
    /// (`conf_files_filter_out()`, `libkmod/libkmod-config.c`).
    OnlyConfFiles,
    /// `weakdep` is a line of its own (`kmod_config_parse()`, `libkmod/libkmod-config.c`).
    WeakDependencies,
}

/// Each rule with the first release that has it.
const SINCE: [(KmodRule, u32); 4] = [
    (KmodRule::BuiltInNamesFirst, 30),
    (KmodRule::UsrLibFolder, 32),
    (KmodRule::OnlyConfFiles, 33),
    (KmodRule::WeakDependencies, 33),
];

impl KmodRule {
    /// `true` if a kmod has the rule.
    pub fn holds_for(self, kmod: KmodFacts) -> bool {
        SINCE.iter().any(|(rule, since)| *rule == self && kmod.release.0 >= *since)
    }
}

/// The directories of modprobe.d that a kmod reads, those that win first.
pub fn config_folders(kmod: KmodFacts) -> impl Iterator<Item = &'static str> {
    const FOLDERS: [(&str, Option<KmodRule>); 5] = [
        ("/etc/modprobe.d", None),
        ("/run/modprobe.d", None),
        ("/usr/local/lib/modprobe.d", None),
        ("/usr/lib/modprobe.d", Some(KmodRule::UsrLibFolder)),
        ("/lib/modprobe.d", None),
    ];
    let is_read =
        move |(_, rule): &(_, Option<KmodRule>)| rule.is_none_or(|rule| rule.holds_for(kmod));
    FOLDERS.into_iter().filter(is_read).map(|(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_holds_from_its_release_on() {
        let kmod = |major| KmodFacts { release: (major, 0), ..KmodFacts::TRIXIE };
        assert!(KmodRule::WeakDependencies.holds_for(kmod(33)));
        assert!(!KmodRule::WeakDependencies.holds_for(kmod(32)));
        assert_eq!(config_folders(kmod(31)).count(), 4);
        assert_eq!(config_folders(kmod(34)).count(), 5);
    }
}
