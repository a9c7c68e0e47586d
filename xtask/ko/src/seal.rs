//! The seal of a Rust crate: an exported symbol whose name ends in the hash of the crate.
//!
//! `provider/crates.mk` exports it from a module that offers its crate, and makes every importer
//! refer to it. So an importer that was built against another version of the crate lacks a symbol.

/// The number of hexadecimal digits of the crate's hash (rustc: SVH) in a seal.
const DIGITS: usize = 16;

/// A seal, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal<'a> {
    /// The name of the crate, which is the module's.
    pub crate_name: &'a str,
    /// The start of the crate's hash.
    pub hash: &'a str,
}

impl<'a> Seal<'a> {
    /// Reads a symbol's name; `None` when it is no seal.
    pub fn parse(symbol: &'a str) -> Option<Self> {
        let (crate_name, hash) = symbol.rsplit_once("_abi_")?;
        let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_seal = !crate_name.is_empty() && hash.len() == DIGITS && hash.bytes().all(lower_hex);
        is_seal.then_some(Self { crate_name, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_told_from_other_names() {
        let seal = Seal::parse("my_abi_provider_abi_9c526b823dd15a59").unwrap();
        assert_eq!((seal.crate_name, seal.hash), ("my_abi_provider", "9c526b823dd15a59"));
        for other in [
            "provider_add",
            "landlock_abi_version",
            "_abi_9c526b823dd15a59",
            "provider_abi_9c526b823dd15a5",
            "provider_abi_9C526B823DD15A59",
            "provider_abi_9c526b823dd15a590",
        ] {
            assert_eq!(Seal::parse(other), None, "{other}");
        }
    }
}
