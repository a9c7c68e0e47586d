//! `modules.alias` of a tree.
//!
//! Aliases are not part of what is remembered of a tree: there are ten times as many bytes of them
//! as of everything else.

use stack::{
    module_file::ModuleFile,
    modules_lists::{ALIASES_HEADING, alias_lines},
};

use super::{
    scan::{UnreadableFile, map_files},
    section_reader::FileError,
};

/// The text that depmod would write for these modules, and the files that are no modules.
pub fn modules_alias(files: &[ModuleFile]) -> (Vec<u8>, Vec<UnreadableFile>) {
    let mut text = ALIASES_HEADING.as_bytes().to_vec();
    let mut unreadable = Vec::new();
    let all: Vec<&ModuleFile> = files.iter().collect();
    let lines = map_files(&all, |buffer, file| {
        let bytes = buffer.read(&file.full)?;
        alias_lines(bytes, &file.name).map_err(FileError::from)
    });
    for (file, lines) in files.iter().zip(lines.into_iter().flatten()) {
        match lines {
            Ok(lines) => text.extend(lines),
            Err(error) => unreadable.push(UnreadableFile { file: file.clone(), error }),
        }
    }
    (text, unreadable)
}
