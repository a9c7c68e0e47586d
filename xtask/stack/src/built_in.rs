//! `modules.builtin` and `modules.builtin.modinfo`: what the kernel's own image has, which modprobe
//! takes for loaded.

use std::{cmp::Ordering, collections::HashSet};

use ko::text::Text;

use crate::{fnmatch::fnmatch, modprobe_config::underscores, module_name::ModuleName};

/// The modules that are built into a kernel, and their aliases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuiltIn {
    names: HashSet<ModuleName>,
    /// Each alias with its module, in the order of the file.
    aliases: Vec<(String, String)>,
}

impl BuiltIn {
    /// Reads both files, as depmod does for modprobe (`output_builtin_bin()` and
    /// `output_builtin_alias_bin()`, kmod's `tools/depmod.c`).
    pub fn read(builtin: &str, modinfo: &[u8]) -> Self {
        let is_path = |line: &&str| line.starts_with(|c: char| c.is_ascii_alphabetic());
        let name = |line: &str| {
            let file = line.rsplit('/').next().unwrap_or(line);
            ModuleName::new(file.split('.').next().unwrap_or(file))
        };
        let names = builtin.lines().filter(is_path).map(name).collect();
        let alias = |line: Text<'_>| {
            let (module, rest) = line.split_once(b'.')?;
            let alias = underscores(&rest.strip_prefix("alias=")?.lossy())?;
            Some((alias, module.lossy().into_owned()))
        };
        Self { names, aliases: Text(modinfo).pieces(0).filter_map(alias).collect() }
    }

    /// `true` if a module is built in.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The modules with an alias that matches a name, in the order in which kmod finds them.
    pub(crate) fn with_alias(&self, name: &str) -> Vec<&str> {
        let matches = |(alias, _): &&(String, String)| fnmatch(alias.as_bytes(), name.as_bytes());
        let mut found: Vec<_> = self.aliases.iter().filter(matches).collect();
        found.sort_by(|a, b| index_order(b.0.as_bytes(), a.0.as_bytes()));
        found.into_iter().map(|(_, module)| module.as_str()).collect()
    }
}

/// The order in which kmod comes upon two patterns that match the same name. Up to the first
/// wildcard it looks for one in the next place first; behind it, at what is longest first
/// (`index_mm_searchwild_node()`, kmod's `libkmod/libkmod-index.c`).
fn index_order(a: &[u8], b: &[u8]) -> Ordering {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let is_behind = a[..same].iter().any(|byte| b"*?[".contains(byte));
    let rank = |pattern: &[u8]| match pattern.get(same) {
        Some(byte) if is_behind => u32::from(*byte),
        None if is_behind => u32::MAX,
        Some(b'*') => 0,
        Some(b'?') => 1,
        Some(b'[') => 2,
        None => 3,
        Some(_) => 4,
    };
    rank(a).cmp(&rank(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_read_as_depmod_reads_them() {
        let modinfo = b"unix.license=GPL\0unix.alias=net-pf-1\0a_b.alias=pci:v*\0odd\0c.alias=q]\0";
        let built_in = BuiltIn::read("kernel/net/a-b.ko\n#x.ko\nkernel/unix.ko\n", modinfo);
        assert!(built_in.has("a_b") && built_in.has("unix") && !built_in.has("x"));
        assert_eq!(built_in.with_alias("net_pf_1"), ["unix"]);
        assert_eq!(built_in.with_alias("pci:v8086"), ["a_b"]);
        assert_eq!(built_in.with_alias("q]"), [""; 0]);
    }
}
