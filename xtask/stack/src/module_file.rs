//! The file of one module.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::module_name::ModuleName;

/// What changes when a file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Its size in bytes.
    pub size: u64,
    /// When its content changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// When anything about it changed, in nanoseconds since 1970: no program can set this back.
    pub changed_ns: i64,
    /// The inode number.
    pub inode: u64,
    /// The number of the file system's device.
    pub device: u64,
}

impl Stamp {
    /// The stamp of a file as the system reports it.
    pub fn from_metadata(metadata: &fs::Metadata) -> Self {
        let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000) + rest;
        Self {
            size: metadata.size(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
        }
    }

    /// Whether the file last changed so shortly before `now` that another change could leave the
    /// same stamp: the clock of a file system ticks every few milliseconds only.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let settled = now.checked_sub(Duration::from_secs(1)).unwrap_or(UNIX_EPOCH);
        let settled = settled.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.changed_ns.max(self.modified_ns) as i128 >= settled as i128
    }
}

/// One module file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// The name by which the kernel will know it.
    pub name: ModuleName,
    /// Its path below the directory. The path of a file that was given alone stays as it was given,
    /// and one of an `external` directory is absolute.
    pub path: String,
    /// Where to open it.
    pub full: PathBuf,
    /// What changes when the file changes.
    pub stamp: Stamp,
}

/// A path without the suffix of its compression: how `modules.order` and `modules.builtin` name it.
pub fn unpacked_path(path: &str) -> &str {
    [".xz", ".zst", ".gz"].iter().find_map(|suffix| path.strip_suffix(suffix)).unwrap_or(path)
}
