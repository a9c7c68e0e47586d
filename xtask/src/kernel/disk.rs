//! The cache's use of the disk, and the entries that nothing needs.

use std::{collections::HashSet, fs, os::unix::fs::MetadataExt, path::Path};

use rayon::prelude::*;
use serde::Serialize;

use crate::{
    host::{
        cache::{Cache, LEFT, Lock},
        file_system::names,
    },
    kernel::{listing, trial_stacks},
    problem::Result,
};

/// The folders of the cache whose entries are told apart.
const TOLD_APART: [&str; 5] = ["kernels", "roots", "sources", "guest", trial_stacks::FOLDER];

/// A part of the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its path in the cache.
    pub entry: String,
    /// Its size on the disk.
    pub bytes: u64,
    /// `true` if nothing needs it.
    pub spare: bool,
}

/// Bytes of a mebibyte.
pub const MEBIBYTE: u64 = 1 << 20;

/// Bytes for a reader.
pub fn size(bytes: u64) -> String {
    match bytes / MEBIBYTE {
        mebibytes @ 0..1000 => format!("{mebibytes} MiB"),
        mebibytes => format!("{}.{} GiB", mebibytes >> 10, (mebibytes & 1023) * 10 / 1024),
    }
}

/// The bytes of all parts together, and of those that nothing needs.
pub fn sums(items: &[Item]) -> [u64; 2] {
    let all = items.iter().map(|item| item.bytes).sum();
    [all, items.iter().filter(|item| item.spare).map(|item| item.bytes).sum()]
}

/// All parts of the cache. `spare` says of the entries of `guest` whether nothing needs them.
///
/// # Errors
/// The cache cannot be read.
pub fn items(cache: &Cache, spare: impl Fn(&str) -> bool + Sync) -> Result<Vec<Item>> {
    let needed = listing::needed(cache);
    let mut entries: Vec<String> = Vec::new();
    for folder in names(&cache.path(""))?.into_iter().filter(|name| cache.path(name).is_dir()) {
        if !TOLD_APART.contains(&folder.as_str()) {
            entries.push(folder);
            continue;
        }
        let within = names(&cache.path(&folder))?.into_iter();
        let within = within.map(|name| format!("{folder}/{name}"));
        entries.extend(within.filter(|entry| cache.path(entry).is_dir()));
    }
    let item = |entry: String| {
        let spare = match LEFT.iter().find_map(|left| entry.strip_suffix(left)) {
            // Its lock is free when nobody works on it any more.
            Some(whole) => Lock::try_beside(&cache.path(whole)).is_ok_and(|lock| lock.is_some()),
            None => match entry.split_once('/') {
                None => false,
                Some(("guest", _)) => spare(&entry),
                // Judged together below.
                Some((trial_stacks::FOLDER, _)) => false,
                Some(_) => !needed.contains(&entry),
            },
        };
        Item { bytes: usage(&cache.path(&entry)), entry, spare }
    };
    let mut items: Vec<Item> = entries.into_par_iter().map(item).collect();
    let sizes = items.iter().map(|item| (item.entry.as_str(), item.bytes));
    let stacks = trial_stacks::spare(cache, sizes);
    items.iter_mut().for_each(|item| item.spare |= stacks.contains(&item.entry));
    Ok(items)
}

/// The bytes that a folder takes on the disk. A file of several names counts once.
fn usage(folder: &Path) -> u64 {
    fn below(path: &Path, seen: &mut HashSet<u64>) -> u64 {
        let Ok(file) = path.symlink_metadata() else { return 0 };
        if file.nlink() > 1 && !file.is_dir() && !seen.insert(file.ino()) {
            return 0;
        }
        let within = if file.is_dir() { fs::read_dir(path).ok() } else { None };
        let within = within.into_iter().flatten().flatten();
        file.blocks() * 512 + within.map(|entry| below(&entry.path(), seen)).sum::<u64>()
    }
    below(folder, &mut HashSet::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::root::{Root, TRIXIE},
        kernel::{
            candidate::Candidate,
            stock,
            table::{LAB, STOCK},
        },
    };

    #[test]
    fn entries_that_no_prepared_kernel_needs_are_spare() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let candidate =
            Candidate { release: "7.3.4+deb13-amd64".into(), version: "7.3.4-1".into() };
        let (stock, lab) = (STOCK.entry(&candidate), LAB.entry(&candidate));
        let (modules, root) = (stock::modules_entry(&candidate), Root::name(TRIXIE));
        let make = |entry: &str| fs::create_dir_all(cache.path(entry)).unwrap();
        let (source, other) = ("sources/linux-source-7.3_7.3.4-1", "sources/linux-source-7.2_1");
        let editors = "sources/linux-source-7.3_7.3.4-1_rust";
        let spare = [
            "kernels/stock-7.2.6+deb13-amd64-12345678",
            "kernels/stock-7.3.4+deb13-amd64-12345678.partial",
            "roots/sid-12345678",
            other,
            "guest/base-1",
        ];
        let kept =
            [&stock, &lab, &modules, &root, source, editors, "guest/base-2", "stacks/new", "logs"];
        spare.iter().chain(&kept).for_each(|entry| make(entry));
        fs::write(cache.path(&lab).join("enter"), format!("\"$here/../../{source}/x\" /y"))
            .unwrap();
        fs::write(cache.path("kernels/stock.offer"), "7.3.4+deb13-amd64 7.3.4-1\n").unwrap();
        fs::write(cache.path("guest/base-2/whole"), vec![1; 9000]).unwrap();
        fs::hard_link(cache.path("guest/base-2/whole"), cache.path("guest/base-2/again")).unwrap();

        let items = items(&cache, |entry| entry == "guest/base-1").unwrap();
        let of = |is_spare| {
            let mut entries: Vec<&str> = items
                .iter()
                .filter(|item| item.spare == is_spare)
                .map(|item| item.entry.as_str())
                .collect();
            entries.sort_unstable();
            entries
        };
        let sorted = |entries: &[&str]| {
            let mut entries = entries.to_vec();
            entries.sort_unstable();
            entries.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of(true), sorted(&spare));
        assert_eq!(of(false), sorted(&kept));
        let bytes = items.iter().find(|item| item.entry == "guest/base-2").unwrap().bytes;
        assert!((9000..18000).contains(&bytes), "{bytes}");

        // Without its kernel, the source is spare; what is built at the moment is not.
        fs::remove_dir_all(cache.path(&lab)).unwrap();
        let _building = cache.lock("kernels/stock-7.3.4+deb13-amd64-12345678").unwrap();
        let items = super::items(&cache, |_| false).unwrap();
        let is_spare = |entry| items.iter().find(|item| item.entry == entry).unwrap().spare;
        assert!(is_spare(source) && !is_spare(spare[1]));
    }
}
