//! The dependency information of many modules: read in parallel, or remembered.

use std::{
    borrow::Borrow, collections::VecDeque, fs::File, path::Path, sync::Mutex, thread,
    time::SystemTime,
};

use super::scan_cache::{self, ScanCache};
use crate::{
    host::open,
    tree::section_reader::{FileError, ModuleBuffer, UnreadableFile},
};
use ko::compression::UNPACKED_BYTES_MAX;
use stack::{
    dependency_info::{DependencyInfo, Names},
    depmod_config::Tie,
    graph::ScannedModule,
    module_file::{ModuleFile, Stamp},
};

/// The files of a tree, read.
#[derive(Debug, Default)]
pub struct TreeScan {
    /// The modules, in the order of their files. One of which nothing could be read is among them
    /// without any dependency, as in depmod's files.
    pub modules: Vec<ScannedModule>,
    /// The files of which nothing could be read.
    pub unreadable: Vec<UnreadableFile>,
    /// The modules that were taken for no reason but the order of a directory.
    pub ties: Vec<Tie>,
    /// The files in a form that kmod does not list.
    pub not_listed: Vec<ModuleFile>,
    /// The number of them that were remembered from an earlier call.
    pub remembered: usize,
}

/// Reads every file, on as many threads as there are processors.
pub fn scan(files: Vec<ModuleFile>) -> TreeScan {
    let mut outcome = TreeScan::default();
    read_into(files, |_| None, &mut outcome);
    outcome
}

/// Reads a tree. Files that `cache_file` remembers are not opened; the others are remembered there.
pub fn scan_cached(files: Vec<ModuleFile>, cache_file: &Path) -> TreeScan {
    let mut outcome = TreeScan::default();
    let mut cache = ScanCache::load(cache_file);
    let count = files.len();
    let fresh = read_into(files, |file| cache.take(&file.path, &file.stamp), &mut outcome);
    if outcome.remembered < count {
        let settled = outcome.modules.iter().zip(fresh).filter(|(_, fresh)| !fresh);
        let entries = settled.map(|(one, _)| (one.file.path.as_str(), &one.file.stamp, &one.info));
        // A cache that cannot be written costs time on the next call, nothing else.
        let _ = scan_cache::save(cache_file, entries);
    }
    outcome
}

/// One file's dependency information, and whether the file is too fresh to be remembered.
type Read = Result<(DependencyInfo, bool), FileError>;

/// Fills the scan, and returns for each module whether it is not to be remembered: the file is too
/// fresh, or could not be read.
fn read_into(
    files: Vec<ModuleFile>,
    mut known: impl FnMut(&ModuleFile) -> Option<DependencyInfo>,
    outcome: &mut TreeScan,
) -> Vec<bool> {
    let mut results: Vec<Option<Read>> =
        files.iter().map(|file| known(file).map(|info| Ok((info, false)))).collect();
    outcome.remembered = results.iter().flatten().count();
    read_missing(&files, &mut results);
    let mut fresh_ones = Vec::with_capacity(files.len());
    for (file, result) in files.into_iter().zip(results) {
        match result {
            Some(Ok((info, fresh))) => {
                outcome.modules.push(ScannedModule { file, info });
                fresh_ones.push(fresh);
            }
            Some(Err(error)) => {
                outcome.unreadable.push(UnreadableFile { file: file.full.clone(), error });
                let info = DependencyInfo::default();
                outcome.modules.push(ScannedModule { file, info });
                fresh_ones.push(true);
            }
            None => {}
        }
    }
    fresh_ones
}

fn read_missing(files: &[ModuleFile], results: &mut [Option<Read>]) {
    let missing: Vec<usize> = (0..files.len()).filter(|&i| results[i].is_none()).collect();
    let chosen: Vec<&ModuleFile> = missing.iter().map(|&index| &files[index]).collect();
    for (index, result) in missing.into_iter().zip(map_files(&chosen, read_one)) {
        results[index] = result;
    }
}

/// Does some work for every file, on as many threads as there are processors. Each thread has a
/// buffer of its own. The results come in the order of the files.
pub fn map_files<T: Send, F: Borrow<ModuleFile> + Sync>(
    files: &[F],
    work: impl Fn(&mut ModuleBuffer, &ModuleFile) -> T + Sync,
) -> Vec<Option<T>> {
    let mut by_size: Vec<usize> = (0..files.len()).collect();
    by_size.sort_by_key(|&index| files[index].borrow().stamp.size);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(files.len());
    // The first thread takes the largest that is left, the others the smallest: a large one begun
    // last would keep all waiting for its end, and two large ones at once would cost memory.
    let queue = Mutex::new(VecDeque::from(by_size));
    let results = Mutex::new((0..files.len()).map(|_| None).collect::<Vec<_>>());
    let drain = |takes_largest: bool| {
        let mut buffer = ModuleBuffer::default();
        while let Some(index) = take(&queue, takes_largest) {
            let result = work(&mut buffer, files[index].borrow());
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

/// The same, and apart from the results the files that are no modules.
pub fn read_files<T: Send>(
    files: &[ModuleFile],
    work: impl Fn(&mut ModuleBuffer, &ModuleFile) -> Result<T, FileError> + Sync,
) -> (Vec<T>, Vec<UnreadableFile>) {
    let (mut read, mut unreadable) = (Vec::new(), Vec::new());
    for (file, result) in files.iter().zip(map_files(files, work).into_iter().flatten()) {
        match result {
            Ok(one) => read.push(one),
            Err(error) => unreadable.push(UnreadableFile { file: file.full.clone(), error }),
        }
    }
    (read, unreadable)
}

fn take(queue: &Mutex<VecDeque<usize>>, largest: bool) -> Option<usize> {
    let mut queue = queue.lock().ok()?;
    if largest { queue.pop_back() } else { queue.pop_front() }
}

fn read_one(buffer: &mut ModuleBuffer, file: &ModuleFile) -> Read {
    let (opened, _) = open::open(&file.full, UNPACKED_BYTES_MAX as u64).map_err(FileError::from)?;
    let mut info = match read_parts(buffer, &opened, file.stamp.size) {
        Some(info) => info,
        None => DependencyInfo::read(buffer.read_open_for_kmod(&opened, file.stamp.size)?)?,
    };
    info.lists_mut().into_iter().for_each(Names::shrink);
    let after = Stamp::from_metadata(&opened.metadata().map_err(FileError::from)?);
    let fresh = after != file.stamp || after.is_fresh(SystemTime::now());
    Ok((info, fresh))
}

/// Reads only the sections that matter; `None` when that does not suffice. A hostile file can put a
/// name outside them, where only zeros were read: then the whole file is read.
fn read_parts(buffer: &mut ModuleBuffer, file: &File, size: u64) -> Option<DependencyInfo> {
    let info =
        DependencyInfo::read(buffer.read_sections(file, size, DependencyInfo::reads_section)?)
            .ok()?;
    let all_named = info.exports.iter().all(|name| !name.is_empty());
    all_named.then_some(info)
}
