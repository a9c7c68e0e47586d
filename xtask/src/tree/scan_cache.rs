//! The dependency information of a tree, kept from one call to the next.
//!
//! Each directory of modules has one cache file. An entry is used only while the path, size, times,
//! inode and device of its module file stay what they were. A file that changed while it was read,
//! or so shortly before that a second change could go unseen, is not kept. The cache file is
//! written aside and renamed, so it is complete or absent. A damaged one only means that the
//! modules are read again.

use std::{
    collections::HashMap,
    fs,
    hash::{DefaultHasher, Hasher as _},
    io,
    path::{Path, PathBuf},
};

use stack::{dependency_info::DependencyInfo, module_file::Stamp};

use crate::host::open;

/// The first bytes. After them stands the program that read the modules: another build may read
/// other facts out of the same file, or store them otherwise.
const MAGIC: &[u8] = b"symstack facts\n";

/// The entries of a cache file, by the path below the tree.
#[derive(Debug, Default)]
pub struct ScanCache {
    entries: HashMap<String, (Stamp, DependencyInfo)>,
}

/// The cache file of a tree, in a directory for caches.
pub fn file_for(cache_dir: &Path, tree: &Path) -> PathBuf {
    let whole = fs::canonicalize(tree).unwrap_or_else(|_| tree.to_owned());
    let key = digest(whole.as_os_str().as_encoded_bytes());
    cache_dir.join(format!("{key:016x}.facts"))
}

/// Returns the facts that tell this program from another build of it.
pub fn program_stamp() -> Stamp {
    let program = fs::metadata("/proc/self/exe");
    program.map(|metadata| Stamp::from_metadata(&metadata)).unwrap_or_default()
}

/// The first bytes of a cache file that this program wrote.
fn header() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    push_stamp(&mut bytes, &program_stamp());
    bytes
}

/// A checksum against torn and damaged files.
fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

impl ScanCache {
    /// Reads a cache file; an empty cache when there is none, or none that is whole.
    pub fn load(path: &Path) -> Self {
        open::read(path).ok().and_then(|bytes| Self::decode(&bytes)).unwrap_or_default()
    }

    /// Takes the entry of a file, if the file is still what it was.
    pub fn take(&mut self, path: &str, stamp: &Stamp) -> Option<DependencyInfo> {
        let known = self.entries.get(path).is_some_and(|(known, _)| known == stamp);
        if !known {
            return None;
        }
        self.entries.remove(path).map(|(_, info)| info)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let body = bytes.strip_prefix(header().as_slice())?;
        let (body, sum) = body.split_at_checked(body.len().checked_sub(8)?)?;
        if sum != digest(body).to_le_bytes() {
            return None;
        }
        let mut reader = Reader(body);
        let mut entries = HashMap::new();
        while !reader.0.is_empty() {
            let path = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
            let stamp = reader.stamp()?;
            let mut info = DependencyInfo::default();
            for list in info.lists_mut() {
                list.0 = reader.bytes()?.to_vec();
            }
            entries.insert(path, (stamp, info));
        }
        Some(Self { entries })
    }
}

/// Writes the entries of a tree.
///
/// # Errors
/// Those of the system; the old cache, if any, is then still whole.
pub fn save<'a>(
    path: &Path,
    entries: impl Iterator<Item = (&'a str, &'a Stamp, &'a DependencyInfo)>,
) -> io::Result<()> {
    let mut bytes = header();
    let header_bytes = bytes.len();
    for (path, stamp, info) in entries {
        push(&mut bytes, path.as_bytes());
        push_stamp(&mut bytes, stamp);
        info.lists().iter().for_each(|list| push(&mut bytes, &list.0));
    }
    let sum = digest(&bytes[header_bytes..]);
    bytes.extend_from_slice(&sum.to_le_bytes());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, path)).inspect_err(|_| {
        // The first error says more than one about the file left over.
        let _ = fs::remove_file(&aside);
    })
}

fn push(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(value);
}

fn push_stamp(bytes: &mut Vec<u8>, stamp: &Stamp) {
    let Stamp { size, modified_ns, changed_ns, inode, device } = *stamp;
    for number in [size, modified_ns as u64, changed_ns as u64, inode, device] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_at_checked(8)?;
        self.0 = rest;
        Some(u64::from_le_bytes(number.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn stamp(&mut self) -> Option<Stamp> {
        Some(Stamp {
            size: self.number()?,
            modified_ns: self.number()? as i64,
            changed_ns: self.number()? as i64,
            inode: self.number()?,
            device: self.number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> (tempfile::TempDir, PathBuf, Stamp) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/x.facts");
        let stamp = Stamp { size: 7, inode: 9, ..Stamp::default() };
        let mut info = DependencyInfo::default();
        info.needs.push(b"printk");
        save(&file, [("a.ko", &stamp, &info)].into_iter()).unwrap();
        (dir, file, stamp)
    }

    #[test]
    fn a_kept_scan_comes_back_while_the_file_is_the_same() {
        let (_dir, file, stamp) = stored();
        let needs = |stamp: Stamp| {
            let info = ScanCache::load(&file).take("a.ko", &stamp)?;
            Some(info.needs.iter().map(|name| name.lossy().into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(needs(stamp).unwrap(), ["printk"]);
        assert_eq!(needs(Stamp { size: 8, ..stamp }), None);
        assert_eq!(needs(Stamp { inode: 8, ..stamp }), None);
        assert_eq!(needs(Stamp { changed_ns: 8, ..stamp }), None);
    }

    #[test]
    fn a_torn_cache_is_an_empty_one() {
        let (_dir, file, stamp) = stored();
        let whole = fs::read(&file).unwrap();
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            assert_eq!(ScanCache::load(&file).take("a.ko", &stamp), None, "{length}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(ScanCache::decode(&damaged).is_none(), "{at}");
        }
    }
}
