//! Which kernel checks what: every difference between versions that the model knows, in one place.
//!
//! 6.12.107 and 7.3.4 were read and are proven against running kernels; what lies between them, or
//! before, follows the history of `kernel/module` and is not proven.

/// The version of a kernel, as far as it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// The version at the beginning of a release: 7.3 of `7.3.4+deb13-amd64`.
    pub fn of(release: &str) -> Option<Self> {
        let mut parts = release.split(|c: char| !c.is_ascii_digit());
        Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `struct module` in the file must have the kernel's size (6.4).
    pub this_module_size: bool,
    /// The ELF checks are `elf_validity_cache_sechdrs()` and so on, which check the string tables
    /// as well; before, all is one function in another order (6.13).
    pub split_elf_checks: bool,
    /// `__version_ext_crcs` and `__version_ext_names` are read (6.14).
    pub extended_versions: bool,
    /// `module:` namespaces are understood, and importing one is refused (6.16).
    pub module_namespaces: bool,
    /// Exports are one `__ksymtab` with `__kflagstab`; before, GPL-only ones had a table of their
    /// own (7.1).
    pub flag_table: bool,
    /// Relocations of the per-CPU section are applied, and a bad one is named with its section and
    /// index (6.15).
    pub percpu_relocations: bool,
}

impl Rules {
    /// The rules of a version.
    pub fn of(version: Version) -> Self {
        Self {
            this_module_size: version >= Version(6, 4),
            split_elf_checks: version >= Version(6, 13),
            extended_versions: version >= Version(6, 14),
            module_namespaces: version >= Version(6, 16),
            flag_table: version >= Version(7, 1),
            percpu_relocations: version >= Version(6, 15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_a_version() {
        assert_eq!(Version::of("7.3.4+deb13-amd64"), Some(Version(7, 3)));
        assert_eq!(Version::of("6.12-rc1"), Some(Version(6, 12)));
        assert_eq!(Version::of("next"), None);
        assert!(Rules::of(Version(7, 3)).flag_table && !Rules::of(Version(6, 12)).flag_table);
    }
}
