//! `modules.alias` and `modules.devname` of a tree.
//!
//! Aliases are not part of what is remembered of a tree: there are ten times as many bytes of them
//! as of everything else.

use ko::{error::Malformed, kmod_elf::KmodElf};
use stack::{
    dependency_info::{Names, is_apart},
    module_file::ModuleFile,
    modules_lists::{ALIASES_HEADING, DEVNAME_HEADING, alias_lines, devname_line},
};

use super::{
    scan::{map_files, read_files},
    section_reader::{FileError, ModuleBuffer, UnreadableFile},
};

/// The text of `modules.alias` that depmod would write for these modules, and the files that it
/// cannot read.
pub fn modules_alias(files: &[ModuleFile]) -> (Vec<u8>, Vec<UnreadableFile>) {
    let (lines, unreadable) = lines(files, alias_lines);
    ([ALIASES_HEADING.as_bytes(), &lines].concat(), unreadable)
}

/// The same of `modules.devname`.
pub fn modules_devname(files: &[ModuleFile]) -> (Vec<u8>, Vec<UnreadableFile>) {
    let (lines, unreadable) = lines(files, devname_line);
    let heading = if lines.is_empty() { "" } else { DEVNAME_HEADING };
    ([heading.as_bytes(), &lines].concat(), unreadable)
}

fn lines(
    files: &[ModuleFile],
    of_module: impl Fn(&[u8], &str) -> Result<Vec<u8>, Malformed> + Sync,
) -> (Vec<u8>, Vec<UnreadableFile>) {
    let (lines, unreadable) = read_files(files, |buffer, file| {
        Ok(of_module(buffer.read_for_kmod(&file.full)?, &file.name)?)
    });
    (lines.concat(), unreadable)
}

/// The aliases of each module that are not part of what is remembered. None for a file that cannot
/// be read.
pub fn bus_aliases(files: &[ModuleFile]) -> Vec<Names> {
    let read = |buffer: &mut ModuleBuffer, file: &ModuleFile| -> Result<Names, FileError> {
        let module = KmodElf::parse(buffer.read_for_kmod(&file.full)?)?;
        let aliases = module.modinfo().unwrap_or_default().all("alias");
        Ok(aliases.filter(|alias| is_apart(alias.bytes())).collect())
    };
    let names = map_files(files, |buffer, file| read(buffer, file).unwrap_or_default());
    names.into_iter().map(Option::unwrap_or_default).collect()
}
