//! The limits of every sandbox, of builds, QEMU and apt alike.
//!
//! | limit | held by | beyond it |
//! |---|---|---|
//! | [`PROCESSES`] | the watch of `run/usage.rs`, and `RLIMIT_NPROC` | all of it is ended |
//! | [`memory`] | the watch; `RLIMIT_AS` for each process | it is ended; no memory is given |
//! | [`UNSEEN`], [`SOCKETS`] | the watch, where as much of the machine's memory is gone | the same |
//! | [`DISK`], [`FILES`] | the watch | all of it is ended |
//! | [`FILE`] | `RLIMIT_FSIZE` | the process that writes is ended |
//! | [`TMP`] | the size of the tmpfs | nothing can be written there |
//! | [`OPEN`] | `RLIMIT_NOFILE` | nothing more can be opened |
//! | [`CAPTURE`], [`PASSED`], [`LOG`] | the reader of its output | all of it is ended |
//! | [`TIME`] | the deadline of each command | all of it is ended |
//!
//! `RLIMIT_NPROC` does not bind the host's uid 0, and no limit of a process binds all of them
//! together: so the watch looks at them as a whole, and at what the machine has left.

use std::{thread, time::Duration};

use rustix::system::sysinfo;

/// Processes and threads: `make` runs a job for each processor, a job is at most five of them, and
/// a machine may have 256 processors.
pub(super) const PROCESSES: u64 = 2048;
/// Bytes of shared mappings without a file, where the machine's memory runs out: no compiler has
/// any.
pub(super) const UNSEEN: u64 = 1 << 30;
/// Sockets, where the machine's memory runs out: each may hold 200 KiB, and a build has a few.
pub(super) const SOCKETS: u64 = 4096;
/// Bytes in one file: the vmlinux of a kernel with all debug information has 700 MiB, a guest's
/// memory 512 MiB.
pub(super) const FILE: u64 = 1 << 30;
/// Bytes in /tmp, and as many in /dev/shm: compilers keep a few files of some MiB there.
pub(super) const TMP: u64 = 512 << 20;
/// Bytes by which the free space of a disk may shrink: a kernel's source and build take 5 GiB.
pub(super) const DISK: u64 = 8 << 30;
/// Files by which the free ones of a file system may shrink: a built kernel has 150,000.
pub(super) const FILES: u64 = 1_000_000;
/// Files that a process may have open: a link of a kernel opens some hundreds.
pub(super) const OPEN: u64 = 4096;
/// Bytes of output that are collected: a kernel built with `V=1` says 40 MiB.
pub(super) const CAPTURE: u64 = 64 << 20;
/// Bytes of output that are passed on to the terminal: two hundred files with `V=1` say 1 MiB.
pub(super) const PASSED: u64 = 4 << 20;
/// Bytes of a log: it may hold the output of several steps.
pub(super) const LOG: u64 = 256 << 20;
/// Time for a command that only looks; a longer work states its own, with [`Run::deadline`].
///
/// [`Run::deadline`]: crate::host::run::Run::deadline
pub(super) const TIME: Duration = Duration::from_secs(60);

/// Bytes of memory, of one process and of all together: 4 GiB for the largest one, a link with its
/// debug information, and 1 GiB for each job of `make`; yet a quarter of the machine's is left to
/// others.
pub(super) fn memory() -> u64 {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let machine = sysinfo();
    let all = u64::from(machine.mem_unit) * machine.totalram;
    ((4 + jobs as u64) << 30).min(all / 4 * 3)
}

/// A number of bytes as it is said.
pub(super) fn said(bytes: u64) -> String {
    if bytes >= 1 << 30 { format!("{} GiB", bytes >> 30) } else { format!("{} MiB", bytes >> 20) }
}

/// The words by which a command says that it met a limit that the kernel holds, and the limit.
type Met = (&'static [&'static str], fn() -> String);

const MET: [Met; 5] = [
    (&["No space left on device"], || {
        let disk = "free some space, or set XDG_CACHE_HOME to a folder that has it";
        format!("more than {} in /tmp; if the disk is full, {disk}", said(TMP))
    }),
    (&["File size limit exceeded", "File too large"], || {
        format!("a file of more than {}", said(FILE))
    }),
    (
        &[
            "Cannot allocate memory",
            "out of memory",
            "Out of memory",
            "memory exhausted",
            "memory allocation of",
        ],
        || format!("a process with more than {} of memory", said(memory())),
    ),
    (&["fork: Resource temporarily unavailable", "Cannot fork", "fork: retry"], || {
        format!("more than {PROCESSES} processes and threads")
    }),
    (&["Too many open files"], || format!("more than {OPEN} open files")),
];

/// The sentence that names the limit which a command in a sandbox says that it met.
pub(super) fn met(output: &str) -> Option<String> {
    let found = |words: &[&str]| words.iter().any(|word| output.contains(word));
    let (_, limit) = MET.iter().find(|(words, _)| found(words))?;
    Some(format!("the sandbox does not allow {}", limit()))
}

/// The options of `prlimit` that set the limits which the kernel holds for each process.
pub(super) fn prlimit() -> String {
    let memory = memory();
    format!("--nproc={PROCESSES} --fsize={FILE} --as={memory} --nofile={OPEN} --core=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_met_is_named() {
        let make = "make[1]: *** [Makefile:3: x] File size limit exceeded";
        assert_eq!(met(make).unwrap(), "the sandbox does not allow a file of more than 1 GiB");
        assert!(met("sh: 1: Cannot fork").unwrap().ends_with("2048 processes and threads"));
        assert_eq!(met("error: expected `;`"), None);
    }
}
