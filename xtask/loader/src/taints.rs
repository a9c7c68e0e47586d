//! The taints of a load.

use std::fmt;

/// A set of taints, by the kernel's own bits (`include/linux/panic.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taints(pub u32);

impl Taints {
    /// `P`: a license that is not GPL-compatible.
    pub const PROPRIETARY: Self = Self(1 << 0);
    /// Events besides a load that give up lock debugging: a machine check, a bad page, an oops, a
    /// processor out of its specification, a module removed by force (`kernel/panic.c` and its
    /// callers with `LOCKDEP_NOW_UNRELIABLE`).
    pub const UNRELIABLE: Self = Self(1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7);
    /// `F`: loaded by force, without vermagic or versions.
    pub const FORCED: Self = Self(1 << 1);
    /// `U`: a user asked for something dangerous.
    pub const USER: Self = Self(1 << 6);
    /// `C`: from the staging directory.
    pub const STAGING: Self = Self(1 << 10);
    /// `O`: built out of tree.
    pub const OUT_OF_TREE: Self = Self(1 << 12);
    /// `E`: not signed by a key that the kernel trusts.
    pub const UNSIGNED: Self = Self(1 << 13);
    /// `K`: a livepatch.
    pub const LIVEPATCH: Self = Self(1 << 15);
    /// `N`: a test module.
    pub const TEST: Self = Self(1 << 18);

    /// The letters by bit, of `taint_flags[]` (`kernel/panic.c`).
    const LETTERS: &str = "PFSRMBUDAWCIOELKXTNJ";

    /// `true` if all of `other` are in it.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Reads the letters of `/proc/modules`.
    pub fn from_letters(letters: &str) -> Self {
        let bit = |letter| Self::LETTERS.chars().position(|known| known == letter);
        Self(letters.chars().filter_map(bit).fold(0, |bits, bit| bits | 1 << bit))
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The letters, as `/sys/module/NAME/taint` has them.
impl fmt::Display for Taints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |&(bit, _): &(usize, char)| self.0 >> bit & 1 == 1;
        let letters: String = Self::LETTERS.chars().enumerate().filter(set).map(|l| l.1).collect();
        f.pad(&letters)
    }
}
