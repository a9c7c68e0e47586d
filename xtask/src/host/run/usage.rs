//! The processes of a sandbox, looked at as a whole while they run.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::fs::statvfs;

use crate::{
    host::{limits, open},
    printer::Shown as _,
};

/// The times of a look that pass until the next one: looking costs a fiftieth of one processor.
const REST: u32 = 50;
/// The shortest and the longest time between two looks: a look at thousands of processes is slow.
const EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// The disks and the memory of a sandbox as they were when it began, and the time of the next look.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The folders that may be written, with the bytes and the files that their disks had free.
    free: Option<Vec<(PathBuf, Free)>>,
    /// The machine's available memory in bytes.
    available: Option<u64>,
    next: Instant,
}

/// The free space of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Free {
    bytes: u64,
    files: u64,
}

/// The use of some processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Used {
    threads: u64,
    bytes: u64,
}

impl Watch {
    /// Begins to watch what is written to a sandbox's folders, and the processes that write it.
    /// A process in no sandbox is not watched.
    pub(super) fn begin(sandbox: Option<&[PathBuf]>) -> Self {
        let free = sandbox.map(|folders| {
            let free = folders.iter().map(|folder| Some((folder.clone(), free_of(folder)?)));
            free.flatten().collect()
        });
        Self { free, available: available(), next: Instant::now() }
    }

    /// Returns the limit that a process and all that it started are beyond, if there is one. It is
    /// looked at from time to time.
    pub(crate) fn excess(&mut self, pid: u32) -> Option<String> {
        let disks = self.free.as_ref()?;
        let begin = Instant::now();
        if begin < self.next {
            return None;
        }
        let family = family(pid, &processes());
        let used = of_processes(used_by(&family)).or_else(|| {
            let excess = of_machine(self.available?, available()?)?;
            // Others may have taken it.
            hold_unseen(&family).then_some(excess)
        });
        let excess = used.or_else(|| {
            disks.iter().find_map(|(folder, before)| {
                let excess = of_disk(*before, free_of(folder)?)?;
                Some(format!("{excess} on the disk of {}", folder.shown()))
            })
        });
        let end = Instant::now();
        self.next = end + ((end - begin) * REST).clamp(EVERY[0], EVERY[1]);
        excess
    }
}

fn free_of(folder: &PathBuf) -> Option<Free> {
    let stat = statvfs(folder).ok()?;
    Some(Free { bytes: stat.f_bfree.saturating_mul(stat.f_frsize), files: stat.f_ffree })
}

fn of_processes(used: Used) -> Option<String> {
    let memory = limits::memory();
    if used.threads >= limits::PROCESSES {
        Some(format!("more than {} processes and threads", limits::PROCESSES))
    } else {
        (used.bytes > memory).then(|| format!("more than {} of memory", limits::said(memory)))
    }
}

fn of_machine(before: u64, now: u64) -> Option<String> {
    let memory = limits::memory();
    (before.saturating_sub(now) > memory)
        .then(|| format!("more than {} of the machine's free memory", limits::said(memory)))
}

/// `true` if processes hold much memory that counts as none of theirs: pages of shared mappings
/// that no table of theirs has, because another process wrote them, and buffers of sockets.
fn hold_unseen(family: &[Entry]) -> bool {
    let read = |entry: &Entry, name: &str| open::read_text(format!("/proc/{}/{name}", entry.pid));
    let maps = family.iter().flat_map(|entry| read(entry, "maps"));
    let shared: BTreeSet<(u64, String)> =
        maps.flat_map(|maps| maps.lines().filter_map(shared_mapping).collect::<Vec<_>>()).collect();
    let shared: u64 = shared.iter().map(|(bytes, _)| bytes).sum();
    // A sandbox has a network of its own.
    let sockets = family.last().and_then(|entry| read(entry, "net/unix").ok());
    let sockets = sockets.map_or(0, |sockets| sockets.lines().count() as u64);
    shared > limits::UNSEEN || sockets > limits::SOCKETS
}

/// The size and the inode of a shared mapping without a file: proc_pid_maps(5).
fn shared_mapping(line: &str) -> Option<(u64, String)> {
    let line = line.strip_suffix("/dev/zero (deleted)")?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let (first, last) = words.first()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some((address(last)?.checked_sub(address(first)?)?, (*words.get(4)?).to_owned()))
}

/// The bytes of memory that the machine can give: proc_meminfo(5).
fn available() -> Option<u64> {
    let text = open::read_text("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

fn of_disk(before: Free, now: Free) -> Option<String> {
    if before.bytes.saturating_sub(now.bytes) > limits::DISK {
        Some(format!("more than {}", limits::said(limits::DISK)))
    } else {
        let files = before.files.saturating_sub(now.files);
        (files > limits::FILES).then(|| format!("more than {} files", limits::FILES))
    }
}

/// A process: its id, its parent's, and its threads.
#[derive(Clone, Copy, Debug)]
struct Entry {
    pid: u32,
    parent: u32,
    threads: u64,
}

/// All processes that we see.
fn processes() -> Vec<Entry> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    pids.filter_map(|pid| entry(&open::read_text(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// A process as its `stat` tells: proc_pid_stat(5).
fn entry(stat: &str) -> Option<Entry> {
    let (pid, _) = stat.split_once(' ')?;
    // The name of the program is anything, in parentheses. The state, the third, follows it.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
    Some(Entry { pid: pid.parse().ok()?, parent: number(4)?, threads: number(20)?.into() })
}

/// Returns a process with all that descend from it. In a namespace of their own, those whose parent
/// has ended are children of its first process.
fn family(pid: u32, processes: &[Entry]) -> Vec<Entry> {
    let (mut family, mut rest): (Vec<Entry>, Vec<Entry>) =
        processes.iter().partition(|entry| entry.pid == pid);
    let mut first = 0;
    while first < family.len() {
        let parents: BTreeSet<u32> = family[first..].iter().map(|entry| entry.pid).collect();
        first = family.len();
        let (children, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|entry| parents.contains(&entry.parent));
        family.extend(children);
        rest = others;
    }
    family
}

/// The bytes of memory that no file holds, of a process as its `status` tells: those of libraries
/// are the same for all.
fn memory_of(status: &str) -> u64 {
    let kilobytes = status.lines().filter_map(|line| {
        let value = ["RssAnon:", "RssShmem:"].iter().find_map(|name| line.strip_prefix(name))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    kilobytes.sum::<u64>() << 10
}

fn used_by(family: &[Entry]) -> Used {
    let status = |entry: &Entry| open::read_text(format!("/proc/{}/status", entry.pid));
    Used {
        threads: family.iter().map(|entry| entry.threads).sum(),
        bytes: family.iter().flat_map(status).map(|status| memory_of(&status)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_counted_with_all_that_descend_from_it() {
        let line = |pid: u32, parent: u32| {
            entry(&format!("{pid} (a) b) c) S {parent} {}2 0", "0 ".repeat(15))).unwrap()
        };
        let all = [line(1, 0), line(12, 11), line(10, 1), line(11, 10), line(13, 1)];
        let family = family(10, &all);
        assert_eq!(family.iter().map(|entry| entry.pid).collect::<Vec<_>>(), [10, 11, 12]);
        assert!(family.iter().all(|entry| entry.threads == 2));
        let status = "VmRSS:\t 9 kB\nRssAnon:\t   1 kB\nRssFile:\t 7 kB\nRssShmem:\t 1 kB\n";
        assert_eq!(memory_of(status), 2048);
        let used = used_by(&super::family(std::process::id(), &processes()));
        assert!(used.threads > 0 && used.bytes > 0, "{used:?}");
    }

    #[test]
    fn each_limit_is_named() {
        let used = |threads, bytes| of_processes(Used { threads, bytes });
        assert_eq!(used(limits::PROCESSES - 1, limits::memory()), None);
        assert!(used(limits::PROCESSES, 0).unwrap().contains("2048 processes"));
        assert!(used(1, limits::memory() + 1).unwrap().ends_with("GiB of memory"));
        let line = "7f00-8f00 rw-s 00000000 00:01 2049   /dev/zero (deleted)";
        assert_eq!(shared_mapping(line), Some((0x1000, "2049".into())));
        assert!(available().unwrap() > 1 << 20);
        assert_eq!(of_machine(1 << 40, (1 << 40) - limits::memory()), None);
        let excess = of_machine(1 << 40, (1 << 40) - limits::memory() - 1).unwrap();
        assert!(excess.ends_with("GiB of the machine's free memory"), "{excess}");
        let before = Free { bytes: 20 << 30, files: 5_000_000 };
        let now = |bytes, files| of_disk(before, Free { bytes, files });
        assert_eq!(now(30 << 30, 6_000_000), None);
        assert!(now(11 << 30, 5_000_000).unwrap().contains("8 GiB"));
        assert!(now(20 << 30, 3_000_000).unwrap().contains("1000000 files"));
    }
}
