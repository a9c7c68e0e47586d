//! The limits of a folder of others: kinds of files, and their number, depth and size.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use ko::text::is_command;
use rustix::fs::{FileType, Stat, Timespec};

/// The depth at which a folder may lie: no build or stack comes near it, and a path stays within
/// PATH_MAX.
const DEPTH_MAX: usize = 64;
/// The number of files and folders that are looked at: the kernel's whole source has 90,000.
pub const ENTRIES_MAX: usize = 100_000;
/// The kind of something in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Something that is neither, by its name.
    Other(&'static str),
}

impl From<FileType> for EntryKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Link,
            FileType::Fifo => Self::Other("a FIFO"),
            FileType::Socket => Self::Other("a socket"),
            _ => Self::Other("a device"),
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a regular file",
            Self::Folder => "a folder",
            Self::Link => "a link",
            Self::Other(name) => name,
        })
    }
}

/// The place to which a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// A path in the folder, which leads through no link.
    Within(PathBuf),
    /// A place outside of the folder.
    Outside,
    /// No place: it dangles, or leads round in a circle.
    Nowhere,
}

/// A regular file that was read.
#[derive(Clone, Debug)]
pub struct Content {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// `true` if its owner may execute it.
    pub executable: bool,
    /// The time of its last change.
    pub modified: Timespec,
}

/// `true` if a name is not UTF-8 or commands a terminal: no list and no makefile can take it.
pub fn odd(path: &Path) -> bool {
    path.to_str().is_none_or(|text| text.chars().any(is_command))
}

/// Fails with what is too much, if it is.
///
/// # Errors
/// It is more than [`ENTRIES_MAX`].
pub fn within_limit(seen: usize) -> io::Result<()> {
    if seen <= ENTRIES_MAX {
        return Ok(());
    }
    Err(io::Error::other(format!("more than {ENTRIES_MAX} files and folders")))
}

/// Fails with what is too deep, if it is.
///
/// # Errors
/// It is deeper than any folder of a stack.
pub fn within_depth(path: &Path) -> io::Result<()> {
    if path.components().count() <= DEPTH_MAX {
        return Ok(());
    }
    Err(io::Error::other(format!("folders more than {DEPTH_MAX} deep")))
}

/// The size of a regular file of at most `max` bytes.
pub(super) fn regular(stat: &Stat, max: u64) -> io::Result<usize> {
    let kind = EntryKind::from(FileType::from_raw_mode(stat.st_mode));
    if kind != EntryKind::File {
        return Err(io::Error::other(format!("it is {kind}, not a regular file")));
    }
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if size > max { Err(too_large(max)) } else { usize::try_from(size).map_err(io::Error::other) }
}

pub(super) fn too_large(max: u64) -> io::Error {
    io::Error::other(format!("it is larger than {max} bytes"))
}

pub(super) fn modified(stat: &Stat) -> Timespec {
    Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ }
}
