//! What a module needs: its undefined symbols.

use serde::Serialize;

use super::{
    elf::{Elf, Symbol},
    error::Malformed,
    text::SymbolName,
    versions::VersionIndex,
};

/// A symbol that another has to export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import<'a> {
    /// The symbol, as the linker sees it, and its Rust path.
    #[serde(flatten)]
    pub symbol: SymbolName<'a>,
    /// Whether the module can do without it (`STB_WEAK`).
    pub weak: bool,
    /// The CRC it had when the module was built; none without MODVERSIONS.
    pub crc: Option<u32>,
}

/// The undefined symbols that have a name, in the order of the symbol table.
///
/// # Errors
/// A damaged symbol table, or a name outside its string table.
pub fn undefined<'a>(
    elf: &Elf<'a>,
) -> Result<impl Iterator<Item = Result<Symbol<'a>, Malformed>> + use<'a>, Malformed> {
    let symbols = elf.symbols()?;
    let symbols = symbols.into_iter().flat_map(|symbols| symbols.iter());
    Ok(symbols.filter(Symbol::is_undefined).filter_map(|symbol| match symbol.name() {
        Ok(name) if name.is_empty() => None,
        Ok(_) => Some(Ok(symbol)),
        Err(damage) => Some(Err(damage)),
    }))
}

/// The imports with their CRCs, in the order of the symbol table.
///
/// # Errors
/// As [`undefined`].
pub fn imports<'a, 'i>(
    elf: &Elf<'a>,
    versions: &'i VersionIndex<'a>,
) -> Result<impl Iterator<Item = Result<Import<'a>, Malformed>> + use<'a, 'i>, Malformed> {
    let import = |symbol: Symbol<'a>| {
        let name = symbol.name()?;
        Ok(Import {
            symbol: SymbolName(name),
            weak: symbol.bind == object::elf::STB_WEAK.0,
            crc: versions.crc(name),
        })
    };
    Ok(undefined(elf)?.map(move |symbol| symbol.and_then(import)))
}
