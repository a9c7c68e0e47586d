//! `modules.alias` of a tree.
//!
//! Aliases are not part of what is remembered of a tree: there are ten times as many bytes of them
//! as of everything else.

use stack::{
    module_file::ModuleFile,
    modules_lists::{ALIASES_HEADING, alias_lines},
};

use super::{
    scan::read_files,
    section_reader::{FileError, UnreadableFile},
};

/// The text that depmod would write for these modules, and the files that are no modules.
pub fn modules_alias(files: &[ModuleFile]) -> (Vec<u8>, Vec<UnreadableFile>) {
    let (lines, unreadable) = read_files(files, |buffer, file| {
        alias_lines(buffer.read(&file.full)?, &file.name).map_err(FileError::from)
    });
    ([ALIASES_HEADING.as_bytes(), &lines.concat()].concat(), unreadable)
}
