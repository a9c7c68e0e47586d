//! The modules that import a symbol.

use ko::{module::Module, text::Text};
use serde::Serialize;
use stack::module_file::ModuleFile;

use super::{
    scan::read_files,
    section_reader::{FileError, ModuleBuffer, UnreadableFile},
};

/// A module that imports the symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Importer {
    /// Its name.
    pub module: String,
    /// The CRC that the symbol had when the module was built.
    pub crc: Option<u32>,
    /// `true` if the module loads without the symbol.
    pub weak: bool,
}

/// The importers of a symbol among these files, in their order, and the files that are no modules.
pub fn importers(files: &[ModuleFile], symbol: &str) -> (Vec<Importer>, Vec<UnreadableFile>) {
    let of_one = |buffer: &mut _, file: &_| importer(buffer, file, symbol.into());
    let (found, unreadable) = read_files(files, of_one);
    (found.into_iter().flatten().collect(), unreadable)
}

fn importer(
    buffer: &mut ModuleBuffer,
    file: &ModuleFile,
    symbol: Text<'_>,
) -> Result<Option<Importer>, FileError> {
    let module = Module::read(buffer.read(&file.full)?)?;
    let import = module.imports()?.into_iter().find(|import| import.symbol.0 == symbol);
    let module = file.name.to_string();
    Ok(import.map(|import| Importer { module, crc: import.crc, weak: import.weak }))
}
