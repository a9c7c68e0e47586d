//! The modules that may use an exported symbol, by their license.

use std::fmt;

use serde::Serialize;

/// The license class of an export: which macro of `include/linux/export.h` made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum License {
    /// `EXPORT_SYMBOL`: any module may use it.
    Any,
    /// `EXPORT_SYMBOL_GPL`: only a module with a GPL-compatible license may use it.
    GplOnly,
}

impl License {
    /// The macro, as the fourth column of Module.symvers names it.
    pub fn macro_name(self) -> &'static str {
        match self {
            Self::Any => "EXPORT_SYMBOL",
            Self::GplOnly => "EXPORT_SYMBOL_GPL",
        }
    }

    /// The class that the fourth column of Module.symvers names; `read_dump()` of
    /// `scripts/mod/modpost.c` knows these two.
    pub fn from_macro_name(name: &str) -> Option<Self> {
        match name {
            "EXPORT_SYMBOL" => Some(Self::Any),
            "EXPORT_SYMBOL_GPL" => Some(Self::GplOnly),
            _ => None,
        }
    }
}

impl fmt::Display for License {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.macro_name())
    }
}
