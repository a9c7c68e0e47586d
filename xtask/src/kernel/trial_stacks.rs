//! The stacks that were built in the cache: how long each is kept, and how much of them.

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use crate::host::{cache::Cache, file_system::has_extension};

/// The folder of the cache that has them.
pub(super) const FOLDER: &str = "stacks";
/// The time for which one is kept that nobody builds: its next build takes some seconds more.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Bytes that are kept of them all, those that were built last first: some hundred small stacks.
const KEPT_BYTES: u64 = 2 << 30;

/// The stacks that are kept no longer, among the entries of the cache with their sizes.
pub(super) fn spare<'e>(
    cache: &Cache,
    entries: impl Iterator<Item = (&'e str, u64)>,
) -> BTreeSet<String> {
    let stacks = entries.filter(|(entry, _)| entry.starts_with("stacks/"));
    let dated = stacks.map(|(entry, bytes)| (last_built(&cache.path(entry)), entry, bytes));
    let mut stacks: Vec<(SystemTime, &str, u64)> = dated.collect();
    stacks.sort_by_key(|(built, ..)| Reverse(*built));
    let mut sum = 0;
    let is_spare = |(built, _, bytes): &(SystemTime, &str, u64)| {
        sum += bytes;
        let age = SystemTime::now().duration_since(*built).unwrap_or_default();
        age > KEPT || sum > KEPT_BYTES
    };
    stacks.into_iter().filter(is_spare).map(|(_, entry, _)| entry.to_owned()).collect()
}

/// When a stack was last built for any kernel: its locks tell it.
fn last_built(folder: &Path) -> SystemTime {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let locks = files.filter(|path| has_extension(path, "lock"));
    let times =
        locks.chain([folder.into()]).filter_map(|path| path.metadata().ok()?.modified().ok());
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_builds_and_those_beyond_the_limit_are_spare() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        for (stack, days) in [("old", 31), ("new", 29), ("newest", 1)] {
            drop(cache.lock(&format!("stacks/{stack}/stock")).unwrap());
            let built = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
            for path in [format!("stacks/{stack}/stock.lock"), format!("stacks/{stack}")] {
                fs::File::open(cache.path(path)).unwrap().set_modified(built).unwrap();
            }
        }
        let entries = |bytes| ["stacks/new", "stacks/newest", "stacks/old"].map(|it| (it, bytes));
        let of = |bytes| Vec::from_iter(spare(&cache, entries(bytes).into_iter()));
        assert_eq!(of(1), ["stacks/old"]);
        assert_eq!(of(KEPT_BYTES / 3 * 2), ["stacks/new", "stacks/old"]);
    }
}
