//! vermagic: the release and the flags that a module and its kernel must share.
//!
//! The string is `VERMAGIC_STRING` of `include/linux/vermagic.h`: the release, a space, and each
//! flag that the configuration sets, with a space after it.

use serde::Serialize;

use super::text::Text;

/// A vermagic, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vermagic<'a> {
    /// All of it, with the space at its end.
    pub whole: Text<'a>,
}

impl<'a> Vermagic<'a> {
    /// A vermagic as it stands in `.modinfo`.
    pub fn new(whole: Text<'a>) -> Self {
        Self { whole }
    }

    /// The release: what stands before the first space.
    pub fn release(self) -> Text<'a> {
        self.whole.split_once(b' ').map_or(self.whole, |(release, _)| release)
    }

    /// What follows the release, from its space on: what `same_magic()` compares when the module
    /// has `__versions` and the kernel MODVERSIONS (`kernel/module/version.c`).
    pub fn after_release(self) -> Text<'a> {
        Text(&self.whole.bytes()[self.release().bytes().len()..])
    }

    /// Each flag, in order.
    pub fn flags(self) -> impl Iterator<Item = Text<'a>> {
        self.after_release().pieces(b' ')
    }
}

/// The documented form of a vermagic.
#[derive(Clone, Debug, Serialize)]
pub struct VermagicJson<'a> {
    /// All of it.
    pub whole: Text<'a>,
    /// The release.
    pub release: Text<'a>,
    /// Each flag, in order.
    pub flags: Vec<Text<'a>>,
}

impl<'a> From<Vermagic<'a>> for VermagicJson<'a> {
    fn from(vermagic: Vermagic<'a>) -> Self {
        Self {
            whole: vermagic.whole,
            release: vermagic.release(),
            flags: vermagic.flags().collect(),
        }
    }
}
