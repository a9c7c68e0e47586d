//! The imports of a module: its undefined symbols.

use object::elf::STB_WEAK;
use serde::Serialize;

use super::{
    elf::{Elf, Symbol, Symbols},
    error::Malformed,
    text::{SymbolName, Text},
    versions::VersionIndex,
};

/// A symbol that another has to export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import<'a> {
    /// The symbol, as the linker sees it, and its Rust path.
    #[serde(flatten)]
    pub symbol: SymbolName<'a>,
    /// `true` if the module can do without it (`STB_WEAK`).
    pub weak: bool,
    /// The CRC it had when the module was built; none without MODVERSIONS.
    pub crc: Option<u32>,
}

/// An undefined symbol.
#[derive(Clone, Copy, Debug)]
pub struct Undefined<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// `true` if the module can do without it (`STB_WEAK`).
    pub weak: bool,
}

/// The undefined symbols that have a name, in the order of the symbol table.
///
/// # Errors
/// A damaged symbol table, or a name outside its string table.
pub fn undefined<'a>(
    elf: &Elf<'a>,
) -> Result<impl Iterator<Item = Result<Undefined<'a>, Malformed>> + use<'a>, Malformed> {
    let named = |symbols: Symbols<'a>| {
        let undefined = symbols.iter().filter(Symbol::is_undefined);
        undefined.map(move |symbol| {
            let weak = symbol.bind == STB_WEAK.0;
            symbols.name(&symbol).map(|name| Undefined { name, weak })
        })
    };
    let all = elf.symbols()?.into_iter().flat_map(named);
    Ok(all.filter(|symbol| symbol.as_ref().map_or(true, |symbol| !symbol.name.is_empty())))
}

/// The imports with their CRCs, in the order of the symbol table.
///
/// # Errors
/// As [`undefined`].
pub(crate) fn imports<'a>(
    elf: &Elf<'a>,
    versions: &VersionIndex<'a>,
) -> Result<Vec<Import<'a>>, Malformed> {
    let import = |Undefined { name, weak }| Import {
        symbol: SymbolName(name),
        weak,
        crc: versions.crc(name),
    };
    undefined(elf)?.map(|symbol| symbol.map(import)).collect()
}
