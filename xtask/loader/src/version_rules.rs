//! Which kernel checks what: every difference between versions that the model knows, in one place.
//!
//! 6.12.107, 6.12.117 and 7.3.4 were read and are proven against running kernels; what lies between
//! them, or before, follows the history of `kernel/module` and is not proven.
//! A stable series takes over checks of later kernels, so its third number decides as well.

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

    /// Whether this kernel has what came with `first`, or with `backport` into its stable series.
    fn has(self, first: Self, backport: Self) -> bool {
        let same_series = (self.0, self.1) == (backport.0, backport.1);
        self >= first || same_series && self >= backport
    }
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRules {
    /// `struct module` in the file must have the kernel's size (6.4).
    pub this_module_size: bool,
    /// The ELF checks are `elf_validity_cache_sechdrs()` and so on; before, all is one function in
    /// another order (6.13, 6.12.117).
    pub split_elf_checks: bool,
    /// The symbols' strings are looked into: `elf_validity_cache_strtab()` (6.13).
    pub symbol_names_checked: bool,
    /// `__version_ext_crcs` and `__version_ext_names` are read (6.14).
    pub extended_versions: bool,
    /// `module:` namespaces are understood, and importing one is refused (6.16).
    pub module_namespaces: bool,
    /// Exports are one `__ksymtab` with `__kflagstab`; before, GPL-only ones had a table of their
    /// own (7.1).
    pub flag_table: bool,
    /// `simplify_symbols()` refuses a symbol of a section that is not there (7.0; seen in
    /// 6.12.117). Before, it read beyond the section headers.
    pub symbol_section_checked: bool,
    /// Security modules are asked about a file that the kernel has unpacked (seen in 7.2; not in
    /// 6.12).
    pub unpacked_is_measured: bool,
    /// `.BTF.base` is read, and its types are looked for among the kernel's (6.11).
    pub btf_base: bool,
    /// BTF has a section that tells the layout of its kinds (7.2).
    pub btf_layout: bool,
    /// Relocations of the per-CPU section are applied, and a bad one is named with its section and
    /// index (6.15).
    pub percpu_relocations: bool,
}

impl VersionRules {
    /// The rules of a version.
    pub fn for_version(version: Version) -> Self {
        Self {
            this_module_size: version >= Version(6, 4, 0),
            split_elf_checks: version.has(Version(6, 13, 0), Version(6, 12, 117)),
            symbol_names_checked: version >= Version(6, 13, 0),
            extended_versions: version >= Version(6, 14, 0),
            module_namespaces: version >= Version(6, 16, 0),
            flag_table: version >= Version(7, 1, 0),
            symbol_section_checked: version.has(Version(7, 0, 0), Version(6, 12, 117)),
            unpacked_is_measured: version >= Version(7, 2, 0),
            btf_base: version >= Version(6, 11, 0),
            btf_layout: version >= Version(7, 2, 0),
            percpu_relocations: version >= Version(6, 15, 0),
        }
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
    }
}
