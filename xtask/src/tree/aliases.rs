//! `modules.alias` of a tree.
//!
//! Aliases are not part of what is remembered of a tree: there are ten times as many bytes of them
//! as of everything else.

use ko::{elf::Elf, modinfo::Modinfo};
use stack::{
    dependency_info::Names,
    module_file::ModuleFile,
    modules_lists::{ALIASES_HEADING, alias_lines},
};

use super::{
    scan::{map_files, read_files},
    section_reader::{FileError, ModuleBuffer, UnreadableFile},
};

/// The text that depmod would write for these modules, and the files that are no modules.
pub fn modules_alias(files: &[ModuleFile]) -> (Vec<u8>, Vec<UnreadableFile>) {
    let (lines, unreadable) = read_files(files, |buffer, file| {
        alias_lines(buffer.read(&file.full)?, &file.name).map_err(FileError::from)
    });
    ([ALIASES_HEADING.as_bytes(), &lines.concat()].concat(), unreadable)
}

/// The aliases with a bus (`:`) of each module: those that are not part of what is remembered. None
/// for a file that cannot be read.
pub fn bus_aliases(files: &[ModuleFile]) -> Vec<Names> {
    let read = |buffer: &mut ModuleBuffer, file: &ModuleFile| -> Result<Names, FileError> {
        let elf = Elf::parse(buffer.read(&file.full)?)?;
        let aliases = Modinfo::parse(&elf).all("alias");
        Ok(aliases.filter(|alias| alias.bytes().contains(&b':')).collect())
    };
    let names = map_files(files, |buffer, file| read(buffer, file).unwrap_or_default());
    names.into_iter().map(Option::unwrap_or_default).collect()
}
