//! The forms in which an order is printed.

use clap::ValueEnum;

/// The forms of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Each module with its reasons
    Text,
    /// A file as depmod writes it
    #[value(name = "modules.dep")]
    ModulesDep,
    /// The aliases, as depmod writes them
    #[value(name = "modules.alias")]
    ModulesAlias,
    /// The soft dependencies, as depmod writes them
    #[value(name = "modules.softdep")]
    ModulesSoftdep,
    /// The weak dependencies, as depmod writes them
    #[value(name = "modules.weakdep")]
    ModulesWeakdep,
    /// The exported symbols, as depmod writes them
    #[value(name = "modules.symbols")]
    ModulesSymbols,
    /// The device nodes that load a module, as depmod writes them
    #[value(name = "modules.devname")]
    ModulesDevname,
    /// The stack for Graphviz
    Dot,
    /// The stack as a picture
    Svg,
}

impl Format {
    /// `true` if it is one of the files that depmod writes.
    pub(super) fn is_depmods(self) -> bool {
        !matches!(self, Self::Text | Self::Dot | Self::Svg)
    }
}
