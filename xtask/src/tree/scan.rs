//! The ties of many modules: read side by side, or remembered.

use std::{collections::VecDeque, fs::File, path::Path, sync::Mutex, thread, time::SystemTime};

use super::scan_cache::{self, Cache};
use crate::tree::section_reader::{Buffer, FileError};
use stack::{
    dependency_info::{Links, Names},
    graph::Linked,
    module_file::{ModuleFile, Stamp},
};

/// A module that could not be read.
#[derive(Debug)]
pub struct Unread {
    /// The file.
    pub file: ModuleFile,
    /// Why.
    pub error: FileError,
}

/// What became of the files of a tree.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Those that could be read, in the order in which they were given.
    pub linked: Vec<Linked>,
    /// The others.
    pub unread: Vec<Unread>,
    /// How many were remembered.
    pub remembered: usize,
}

/// Reads the ties of every file, on as many threads as there are processors.
pub fn read(files: Vec<ModuleFile>) -> Outcome {
    let mut outcome = Outcome::default();
    read_into(files, |_| None, &mut outcome);
    outcome
}

/// Reads the ties of a tree, using what `cache_file` remembers of it, and remembers the rest.
pub fn read_remembering(files: Vec<ModuleFile>, cache_file: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    let mut cache = Cache::load(cache_file);
    let count = files.len();
    let fresh = read_into(files, |file| cache.take(&file.path, &file.stamp), &mut outcome);
    if outcome.remembered < count {
        let settled = outcome.linked.iter().zip(fresh).filter(|(_, fresh)| !fresh);
        let entries = settled.map(|(one, _)| (one.file.path.as_str(), &one.file.stamp, &one.links));
        // A cache that cannot be written costs time on the next call, nothing else.
        let _ = scan_cache::save(cache_file, entries);
    }
    outcome
}

/// What reading one file gave: its ties, and whether it is too fresh to be remembered.
type Read = Result<(Links, bool), FileError>;

/// Fills the outcome, and says of each module read whether it is too fresh to be remembered.
fn read_into(
    files: Vec<ModuleFile>,
    mut known: impl FnMut(&ModuleFile) -> Option<Links>,
    outcome: &mut Outcome,
) -> Vec<bool> {
    let mut results: Vec<Option<Read>> =
        files.iter().map(|file| known(file).map(|links| Ok((links, false)))).collect();
    outcome.remembered = results.iter().flatten().count();
    read_missing(&files, &mut results);
    let mut fresh_ones = Vec::with_capacity(files.len());
    for (file, result) in files.into_iter().zip(results) {
        match result {
            Some(Ok((links, fresh))) => {
                outcome.linked.push(Linked { file, links });
                fresh_ones.push(fresh);
            }
            Some(Err(error)) => outcome.unread.push(Unread { file, error }),
            None => {}
        }
    }
    fresh_ones
}

fn read_missing(files: &[ModuleFile], results: &mut [Option<Read>]) {
    let missing: Vec<usize> = (0..files.len()).filter(|&i| results[i].is_none()).collect();
    let chosen: Vec<&ModuleFile> = missing.iter().map(|&index| &files[index]).collect();
    for (index, result) in missing.into_iter().zip(side_by_side(&chosen, read_one)) {
        results[index] = result;
    }
}

/// Does some work for every file, on as many threads as there are processors; each thread has one
/// buffer. The results come in the order of the files.
pub fn side_by_side<T: Send>(
    files: &[&ModuleFile],
    work: impl Fn(&mut Buffer, &ModuleFile) -> T + Sync,
) -> Vec<Option<T>> {
    let mut by_size: Vec<usize> = (0..files.len()).collect();
    by_size.sort_by_key(|&index| files[index].stamp.size);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(files.len());
    // The first thread takes the largest that is left, the others the smallest: a large one begun
    // last would keep all waiting for its end, and two large ones at once would cost memory.
    let queue = Mutex::new(VecDeque::from(by_size));
    let results = Mutex::new((0..files.len()).map(|_| None).collect::<Vec<_>>());
    let drain = |takes_largest: bool| {
        let mut buffer = Buffer::default();
        while let Some(index) = take(&queue, takes_largest) {
            let result = work(&mut buffer, files[index]);
            if let Ok(mut results) = results.lock() {
                results[index] = Some(result);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| drain(false));
        }
        drain(true);
    });
    results.into_inner().unwrap_or_default()
}

fn take(queue: &Mutex<VecDeque<usize>>, largest: bool) -> Option<usize> {
    let mut queue = queue.lock().ok()?;
    if largest { queue.pop_back() } else { queue.pop_front() }
}

fn read_one(buffer: &mut Buffer, file: &ModuleFile) -> Read {
    let opened = File::open(&file.full).map_err(FileError::from)?;
    let mut links = match read_parts(buffer, &opened, file.stamp.size) {
        Some(links) => links,
        None => Links::read(buffer.read_file(&opened, file.stamp.size)?)?,
    };
    links.lists_mut().into_iter().for_each(Names::shrink);
    let after = Stamp::of(&opened.metadata().map_err(FileError::from)?);
    let fresh = after != file.stamp || after.is_fresh(SystemTime::now());
    Ok((links, fresh))
}

/// Reads the ties from parts of the file alone; `None` when they do not suffice. A name that is
/// empty is one that lies in no part read, as no linker does but a hostile hand could: the whole
/// file then tells.
fn read_parts(buffer: &mut Buffer, file: &File, size: u64) -> Option<Links> {
    let links = Links::read(buffer.read_sections(file, size, Links::looks_into)?).ok()?;
    let all_named = links.exports.iter().all(|name| !name.is_empty());
    all_named.then_some(links)
}
