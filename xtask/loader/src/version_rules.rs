//! Every difference between the loaders of kernels that the model knows, in one place.
//!
//! 6.12.107, 6.12.117 and 7.3.4 were read; they, 6.1.176 and 7.2.6 to 7.2.13 are proven against
//! running kernels. What lies between them, or before, follows the history of `kernel/module` and
//! is not proven.
//! A stable series takes over checks of later kernels, so its third number decides as well.
//! A rule names the commit where it is known.

/// The version of a kernel: `VERSION`, `PATCHLEVEL` and `SUBLEVEL` of its Makefile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// The version at the beginning of a release: 7.3.4 of `7.3.4+deb13-amd64`, 6.12.0 of
    /// `6.12-rc1`.
    pub fn parse(release: &str) -> Option<Self> {
        let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
        let mut parts = release[..end].split('.').map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
    }

    /// `true` if this is of the stable series of that version, and not older.
    fn took_over(self, backport: Self) -> bool {
        (self.0, self.1) == (backport.0, backport.1) && self >= backport
    }
}

/// The table: each rule with the release that brought it, and with those of the stable series that
/// took it over.
macro_rules! rules {
    ($($(#[$doc:meta])+ $name:ident since $first:tt $(and $backport:tt)*;)+) => {
        /// The rules that differ: a field for each, which is true where it holds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct VersionRules {
            $($(#[$doc])+ pub $name: bool,)+
        }

        impl VersionRules {
            /// The rules of a version.
            pub fn for_version(version: Version) -> Self {
                Self {
                    $($name: version >= Version $first
                        $(|| version.took_over(Version $backport))*,)+
                }
            }
        }
    };
}

rules! {
    /// A line of the log is as long as a record; before, the console's prefix of 32 bytes is taken
    /// off (b0975c47c217, "printk: adjust string limit macros"; the shorter lines were seen in
    /// 6.1.176).
    log_lines_fill_records since (6, 3, 0);
    /// A relocation whose value has no room is refused before one over bytes that are not zero;
    /// before, the latter was refused first, in other words (0c05e7bd2d01, "livepatch,x86: Clear
    /// relocation targets on a module removal"; the words were seen in 6.1.176).
    overflow_before_target since (6, 3, 0);
    /// There must be one `.modinfo`, one `struct module` and one symbol table; before, the first of
    /// each is taken (seen in 6.1.176).
    sections_counted since (6, 4, 0);
    /// A license that taints is told a second time, as that of the module; before, only where the
    /// module's name taints (seen in 6.1.176).
    license_told_twice since (6, 4, 0);
    /// `struct module` in the file must have the kernel's size.
    this_module_size since (6, 4, 0);
    /// A signature may use SHA-3 (fdb4f66c9545), and no longer MD4 or MD5, whose identifiers are
    /// forgotten (8468516f9f93, `pkcs7_parser.c`; MD5 was seen in 6.1.176).
    sha3_instead_of_md5 since (6, 7, 0);
    /// SHA-1, which 6.7 forgot like MD5 (16ab7cb5825f), is known again (203a6763ab69).
    sha1_again since (6, 9, 0) and (6, 8, 3) and (6, 7, 12);
    /// `.BTF.base` is read, and its types are looked for among the kernel's.
    btf_base since (6, 11, 0);
    /// The ELF checks are `elf_validity_cache_sechdrs()` and so on; before, all is one function in
    /// another order.
    split_elf_checks since (6, 13, 0) and (6, 12, 117);
    /// The symbols' strings are looked into: `elf_validity_cache_strtab()`.
    symbol_names_checked since (6, 13, 0);
    /// `__version_ext_crcs` and `__version_ext_names` are read.
    extended_versions since (6, 14, 0);
    /// Relocations of the per-CPU section are applied, and a bad one is named with its section and
    /// index.
    percpu_relocations since (6, 15, 0);
    /// `enabled` and `disabled` are truth values (`kstrtobool()`, `lib/kstrtox.c`).
    enabled_is_true since (6, 14, 0);
    /// `module:` namespaces are understood, and importing one is refused.
    module_namespaces since (6, 16, 0);
    /// `simplify_symbols()` refuses a symbol of a section that is not there. Before, it read beyond
    /// the section headers.
    symbol_section_checked since (7, 0, 0) and (6, 12, 117);
    /// The identifiers of ML-DSA are known.
    ml_dsa since (7, 0, 0);
    /// Exports are one `__ksymtab` with `__kflagstab`; before, GPL-only ones had a table of their
    /// own.
    flag_table since (7, 1, 0);
    /// Security modules are asked about a file that the kernel has unpacked; not so in 6.12.
    unpacked_is_measured since (7, 2, 0);
    /// BTF has a section that tells the layout of its kinds; not so in 6.12.
    btf_layout since (7, 2, 0);
}

impl VersionRules {
    /// `true` if a signature may not use SHA-1.
    pub fn forgets_sha1(&self) -> bool {
        self.sha3_instead_of_md5 && !self.sha1_again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_a_version() {
        assert_eq!(Version::parse("7.3.4+deb13-amd64"), Some(Version(7, 3, 4)));
        assert_eq!(Version::parse("6.12.117"), Some(Version(6, 12, 117)));
        assert_eq!(Version::parse("6.12-rc1"), Some(Version(6, 12, 0)));
        assert_eq!(Version::parse("next"), None);
        assert_eq!(Version::parse("7"), None);
    }

    #[test]
    fn rules_come_with_a_version_or_into_a_stable_series() {
        let of = |release| VersionRules::for_version(Version::parse(release).unwrap());
        assert!(of("7.1.0").flag_table && !of("7.0.9").flag_table);
        assert!(of("6.13").split_elf_checks && of("6.12.117").split_elf_checks);
        assert!(!of("6.12.116").split_elf_checks && !of("6.11.200").split_elf_checks);
        assert!(of("6.13").symbol_names_checked && !of("6.12.117").symbol_names_checked);
        let forgets_sha1 = |release| of(release).forgets_sha1();
        assert!(["6.7", "6.7.11", "6.8", "6.8.2"].into_iter().all(forgets_sha1));
        assert!(!["6.6.99", "6.7.12", "6.8.3", "6.9"].into_iter().any(forgets_sha1));
    }
}
