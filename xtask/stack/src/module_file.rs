//! The file of one module.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::module_name::ModuleName;

/// The facts of a file that change when its contents do.
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

    /// `true` if the file last changed so shortly before `now` that another change could leave the
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
    /// The facts of it that change when its contents do.
    pub stamp: Stamp,
}

impl ModuleFile {
    /// Returns `true` if it lies beside the tree, in an `external` directory.
    pub fn is_external(&self) -> bool {
        self.path.starts_with('/')
    }

    /// Returns `true` if depmod finds a directory's path before it.
    pub fn lies_in(&self, dir: &Path) -> bool {
        let dir = dir.as_os_str().as_encoded_bytes();
        let path = match self.is_external() {
            true => self.path.as_bytes(),
            false => self.full.as_os_str().as_encoded_bytes(),
        };
        path.strip_prefix(dir).is_some_and(|rest| rest.starts_with(b"/"))
    }

    /// The path up to the module's name, which ends at the first dot of the file's name.
    pub fn path_to_name(&self) -> &str {
        self.path.get(..self.name_end()).unwrap_or(&self.path)
    }

    /// The path under which `modules.order` may name the module: the one to its name, and as much
    /// more as `.ko` is long (`depmod_module_add()`, kmod's `tools/depmod.c`). None beside the
    /// tree.
    pub fn order_path(&self) -> Option<&str> {
        let end = (self.name_end() + ".ko".len()).min(self.path.len());
        self.path.get(..end).filter(|_| !self.is_external())
    }

    fn name_end(&self) -> usize {
        let name_at = self.path.rfind('/').map_or(0, |slash| slash + 1);
        name_at + self.path[name_at..].find('.').unwrap_or(self.path.len() - name_at)
    }
}

/// A path without the suffix of its compression: how `modules.order` and `modules.builtin` name it.
pub fn unpacked_path(path: &str) -> &str {
    [".xz", ".zst", ".gz"].iter().find_map(|suffix| path.strip_suffix(suffix)).unwrap_or(path)
}
