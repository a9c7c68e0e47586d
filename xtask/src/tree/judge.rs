//! A whole folder of modules, each judged after those that it needs.
//!
//! Unpacking takes longer than judging, so modules are unpacked in parallel while those before
//! them are judged. The answers are remembered until a file, the kernel or this program changes.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::Read as _,
    path::Path,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use ko::{compression::UNPACKED_BYTES_MAX, kmod_unpack::form_for_kmod};
use loader::{
    decompress::{FORM_BYTES, refuses_form},
    early_verdict,
    kernel_facts::KernelFacts,
    kernel_model::KernelModel,
    kernel_state::LoadedModule,
    load_info::LoadRequest,
    verdict::{Answer, Verdict},
    verify_signature,
};
use rayon::{iter::Either, prelude::*};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stack::{
    dependency_info::DependencyInfo,
    graph::{Graph, ScannedModule},
    module_file::{ModuleFile, Stamp},
    module_name::ModuleName,
};

use super::{
    scan_cache::program_stamp,
    section_reader::{FileError, ModuleBuffer},
};

use crate::{
    host::{open, root_kmod::kmod_facts},
    problem::Result,
};

/// The number of unpacked modules that may wait for their turn.
const WAITING_MAX: usize = 32;

/// The answer for one module, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleRow {
    /// Its path within the folder.
    pub file: String,
    /// The kernel's answer.
    pub verdict: RowVerdict,
    /// The name of the kernel's error.
    pub errno: Option<String>,
    /// The check that decided.
    pub check: Option<String>,
    /// The last line that the kernel would log, the reason for which kmod refuses the file, or why
    /// there is no answer.
    pub said: Option<String>,
}

/// The kernel's answer to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowVerdict {
    /// Loads it.
    Loads,
    /// Refuses it.
    Refused,
    /// Cannot be decided offline.
    Unknown,
    /// The file could not be read, so nothing was judged.
    Unreadable,
}

impl RowVerdict {
    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Loads => "loads",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Judges a file as insmod would have it loaded: kmod may refuse it; else the kernel is given the
/// unpacked module, or the file itself where the kernel unpacks it. `raw` is what is in the file.
///
/// # Errors
/// It cannot be read.
pub fn judge_as_insmod(
    model: &mut KernelModel<'_>,
    target: &KernelFacts,
    file: &Path,
    raw: &[u8],
    args: &[u8],
) -> Result<Verdict> {
    let mut buffer = ModuleBuffer::default();
    let by_kernel = form_for_kmod(kmod_facts(), raw).ok();
    let by_kernel = by_kernel.and_then(|_| LoadRequest::compressed(raw, target));
    let request = match by_kernel {
        Some(request) => request,
        None => match buffer.read_for_kmod(file) {
            Ok(file) => LoadRequest { file, ..LoadRequest::default() },
            Err(FileError::Kmod(refusal)) => {
                let name = file.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
                let name = ModuleName::of_any_file(&name).to_string();
                return Ok(Verdict::refused_by_kmod(name, &refusal));
            }
            Err(error) => return Err(error.problem(file)),
        },
    };
    Ok(model.finit_module(LoadRequest { args, ..request }))
}

/// The findings about a folder's modules.
#[derive(Debug)]
pub struct Judged {
    /// A row for each.
    pub rows: Vec<ModuleRow>,
    /// The number of signatures that were verified, and the time of that, on all processors
    /// together; none where the answers were remembered.
    pub verified: Option<(usize, Duration)>,
}

/// Judges all modules of a folder in the order in which they depend on each other. The answers are
/// remembered in `cache_dir`, unless a file could not be read or changed meanwhile.
pub fn judge_tree(target: &KernelFacts, files: &[ModuleFile], cache_dir: &Path) -> Judged {
    let remembered = cache_dir.join(format!("check-{}.json", fingerprint(target, files)));
    let known = open::read(&remembered).ok();
    if let Some(rows) = known.and_then(|text| serde_json::from_slice(&text).ok()) {
        return Judged { rows, verified: None };
    }
    let times = Mutex::new((0, Duration::ZERO));
    let Early { mut rows, doubts, scanned } = judge_early(target, files, &times);
    // Signatures have been judged by then, and nothing else depends on them.
    let mut without_signatures = target.clone();
    without_signatures.options.signatures = false;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let later = judge_in_order(&without_signatures, doubts, &in_order(scanned), threads);
    rows.extend(later);
    let all_read = rows.iter().all(|row| row.verdict != RowVerdict::Unreadable);
    if all_read && files.iter().all(is_settled) {
        if let Ok(text) = serde_json::to_vec(&rows) {
            // Answers that cannot be stored cost time on the next call, nothing else.
            let _ = fs::write(&remembered, text);
        }
    }
    let verified = times.into_inner().unwrap_or_else(PoisonError::into_inner);
    Judged { rows, verified: Some(verified) }
}

/// This thread's processor time.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// `true` if a file is still what it was when it was found, and has been for a while.
fn is_settled(file: &ModuleFile) -> bool {
    let now = fs::metadata(&file.full).map(|metadata| Stamp::from_metadata(&metadata));
    now.is_ok_and(|now| now == file.stamp) && !file.stamp.is_fresh(SystemTime::now())
}

/// The knowledge of a folder's modules before any of them is loaded.
struct Early {
    /// The rows of those that no other module could help.
    rows: Vec<ModuleRow>,
    /// Those among them of which it cannot be decided whether they load.
    doubts: Vec<LoadedModule>,
    /// The others, with what orders them.
    scanned: Vec<ScannedModule>,
}

/// Judges each file by itself, in parallel.
fn judge_early(
    target: &KernelFacts,
    files: &[ModuleFile],
    times: &Mutex<(usize, Duration)>,
) -> Early {
    let mut without_signatures = target.clone();
    without_signatures.options.signatures = false;
    let judged = files.par_iter().map_init(ModuleBuffer::default, |buffer, file| {
        if let Some(verdict) = refused_form(target, file) {
            return Either::Left((row(file, verdict), None));
        }
        let bytes = match buffer.read_for_kmod(&file.full) {
            Ok(bytes) => bytes,
            Err(error) => return Either::Left(unreadable(file, &error)),
        };
        let request = LoadRequest { file: bytes, ..LoadRequest::default() };
        let begin = thread_time();
        let is_good = target.options.signatures && verify_signature(bytes, target).is_ok();
        if target.options.signatures {
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            *times = (times.0 + 1, times.1 + thread_time().saturating_sub(begin));
        }
        // A good signature has been judged by then.
        let target = if is_good { &without_signatures } else { target };
        match early_verdict(request, target) {
            Some((verdict, doubt)) => Either::Left((row(file, verdict), doubt)),
            // A module whose dependencies cannot be read is judged like one without any.
            None => Either::Right(ScannedModule {
                file: file.clone(),
                info: DependencyInfo::read(bytes).unwrap_or_default(),
            }),
        }
    });
    let (mut done, mut scanned): (Vec<_>, Vec<ScannedModule>) = judged.partition_map(|one| one);
    done.sort_by(|(a, _): &(ModuleRow, _), (b, _)| a.file.cmp(&b.file));
    scanned.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    let (rows, doubts): (Vec<_>, Vec<Option<LoadedModule>>) = done.into_iter().unzip();
    Early { rows, doubts: doubts.into_iter().flatten().collect(), scanned }
}

/// The verdict on a compressed file that kmod hands to the kernel, and whose form the kernel's
/// decoder lacks.
fn refused_form(target: &KernelFacts, file: &ModuleFile) -> Option<Verdict> {
    let mut head = Vec::with_capacity(FORM_BYTES);
    let (opened, _) = open::open(&file.full, UNPACKED_BYTES_MAX as u64).ok()?;
    opened.take(FORM_BYTES as u64).read_to_end(&mut head).ok()?;
    let request = LoadRequest::compressed(&head, target)?;
    refuses_form(&head, &target.options).then(|| KernelModel::new(target).finit_module(request))
}

/// A digest of everything that the answers depend on.
fn fingerprint(target: &KernelFacts, files: &[ModuleFile]) -> String {
    let mut hash = Sha256::new();
    // Every field is named, so that a new one cannot be forgotten here.
    let KernelFacts {
        release,
        rules,
        patches,
        vermagic,
        options,
        this_module,
        exports,
        blacklist,
        signatures_enforced,
        locked_down,
        lockdown_heeded,
        initcall_blacklist,
        panic_on_taint,
        boot_taints,
        ima_appraises,
        disabled,
        sysfs_names,
        param_names,
        builtin_names,
        spectre_v2,
        trust,
        certificates_known,
        keys_unread,
        btf,
    } = target;
    let sorted = |names: &std::collections::HashSet<String>| {
        let mut names: Vec<String> = names.iter().cloned().collect();
        names.sort();
        names
    };
    let [sysfs_names, param_names] =
        [sysfs_names, param_names].map(|names| names.as_ref().map(sorted));
    let names = (sysfs_names, param_names, sorted(builtin_names));
    let version = (program_stamp(), release, rules, patches, vermagic, options, this_module);
    let state = (blacklist, signatures_enforced, locked_down, disabled, spectre_v2, names);
    let words = (lockdown_heeded, initcall_blacklist, panic_on_taint, boot_taints, ima_appraises);
    let keys = (trust, certificates_known, keys_unread, btf);
    hash.update(format!("{version:?} {state:?} {words:?} {keys:?}"));
    let mut names: Vec<_> = exports.iter().collect();
    names.sort_by_key(|(name, _)| *name);
    for (name, export) in names {
        hash.update(name);
        hash.update([0, u8::from(export.gpl_only), u8::from(export.crc.is_some())]);
        hash.update(export.crc.unwrap_or(0).to_le_bytes());
        hash.update(&export.namespace);
        hash.update([0]);
    }
    for file in files {
        hash.update(format!("{}\0{:?}\0", file.path, file.stamp));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The files, each after those that it needs. Modules that need each other stay as they are.
fn in_order(scanned: Vec<ScannedModule>) -> Vec<ModuleFile> {
    let graph = Graph::new(scanned);
    let mut order: Vec<usize> = (0..graph.modules().len()).collect();
    if let Ok(places) = graph.users_first() {
        order.sort_by_key(|&index| std::cmp::Reverse(places.get(index)));
    }
    order.into_iter().map(|index| graph.modules()[index].file.clone()).collect()
}

/// Judges the files one after the other, while this many threads read those that come next.
/// `doubts` may be loaded before them.
fn judge_in_order(
    target: &KernelFacts,
    doubts: Vec<LoadedModule>,
    files: &[ModuleFile],
    threads: usize,
) -> Vec<ModuleRow> {
    let mut model = KernelModel::new(target);
    doubts.into_iter().for_each(|module| model.state.doubt(module));
    let mut rows = Vec::with_capacity(files.len());
    // A reader takes a file, then a permit for it; a judged file gives one back. The file that is
    // next to be judged was taken before all others, so it always has a permit. Where no file is
    // left, none is taken: a reader ends at once, however many there are.
    let (give, permits) = mpsc::channel();
    (0..WAITING_MAX).for_each(|_| give.send(()).unwrap_or_default());
    let queue = Mutex::new((permits, files.iter().enumerate()));
    let take = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let next = queue.1.next()?;
        queue.0.recv().ok()?;
        Some(next)
    };
    thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        for _ in 0..threads {
            let (send, take) = (send.clone(), &take);
            scope.spawn(move || {
                let mut buffer = ModuleBuffer::default();
                while let Some((index, file)) = take() {
                    let bytes = buffer.read_for_kmod(&file.full).map(<[u8]>::to_vec);
                    if send.send((index, bytes)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        for (index, bytes) in receive {
            waiting.insert(index, bytes);
            while let Some(bytes) = waiting.remove(&rows.len()) {
                let file = &files[rows.len()];
                rows.push(match bytes {
                    Ok(bytes) => {
                        let request = LoadRequest { file: &bytes, ..LoadRequest::default() };
                        row(file, model.finit_module(request))
                    }
                    Err(error) => {
                        let (row, doubt) = unreadable(file, &error);
                        doubt.into_iter().for_each(|module| model.state.doubt(module));
                        row
                    }
                });
                // After the last file no reader is left to take it.
                let _ = give.send(());
            }
        }
    });
    rows
}

/// The row of a file that does not come to the kernel: kmod refuses it, or it cannot be read here,
/// and then any symbol may be its.
fn unreadable(file: &ModuleFile, error: &FileError) -> (ModuleRow, Option<LoadedModule>) {
    if let FileError::Kmod(refusal) = error {
        return (row(file, Verdict::refused_by_kmod(file.name.to_string(), refusal)), None);
    }
    let (file, said) = (file.path.clone(), Some(error.to_string()));
    let verdict = RowVerdict::Unreadable;
    let row = ModuleRow { file, verdict, errno: None, check: None, said };
    (row, Some(LoadedModule::default()))
}

fn row(file: &ModuleFile, verdict: Verdict) -> ModuleRow {
    let check = verdict.decisive().map(|check| check.id.to_string());
    let kmods = verdict.decisive().filter(|_| verdict.is_kmods()).map(|check| check.have.clone());
    let Verdict { answer, messages, .. } = verdict;
    let (verdict, errno, said) = match answer {
        Answer::Loads => (RowVerdict::Loads, None, None),
        Answer::Refused(errno) => {
            (RowVerdict::Refused, Some(errno.to_string()), kmods.or(messages.last().cloned()))
        }
        Answer::Unknown(reason) => (RowVerdict::Unknown, None, Some(reason)),
    };
    ModuleRow { file: file.path.clone(), verdict, errno, check, said }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::walk;

    const HELLO: &[u8] = include_bytes!("../../tests/fixtures/hello-7.3.ko");

    /// A folder of the same module under many names, all changed long ago.
    fn folder(count: usize) -> (tempfile::TempDir, Vec<ModuleFile>) {
        let dir = tempfile::tempdir().unwrap();
        for index in 0..count {
            fs::write(dir.path().join(format!("m{index:03}.ko")), HELLO).unwrap();
        }
        let mut files = walk::modules(dir.path()).unwrap();
        files.iter_mut().for_each(|file| file.stamp = Stamp::default());
        (dir, files)
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_refusal_and_is_not_remembered() {
        let (dir, mut files) = folder(2);
        files[1].full = dir.path().join("gone.ko");
        let cache = tempfile::tempdir().unwrap();
        let rows = judge_tree(&KernelFacts::default(), &files, cache.path()).rows;
        let gone = rows.iter().find(|row| row.file == "m001.ko").unwrap();
        assert_eq!((gone.verdict, &gone.errno), (RowVerdict::Unreadable, &None));
        assert!(gone.said.as_ref().unwrap().contains("No such file"), "{gone:?}");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }

    #[test]
    fn any_number_of_threads_judges_more_modules_than_may_wait_and_ends() {
        let (_dir, files) = folder(3 * WAITING_MAX);
        for threads in [1, 2, WAITING_MAX + 1, 2 * WAITING_MAX] {
            let (send, ended) = mpsc::channel();
            let files = files.clone();
            let count = files.len();
            thread::spawn(move || {
                let rows = judge_in_order(&KernelFacts::default(), Vec::new(), &files, threads);
                send.send(rows.len()).unwrap();
            });
            let judged = ended.recv_timeout(Duration::from_secs(30));
            assert_eq!(judged, Ok(count), "with {threads} threads");
        }
    }

    #[test]
    fn the_fingerprint_depends_on_the_kernel_and_on_the_files() {
        let (_dir, files) = folder(2);
        let facts = KernelFacts::default();
        let other = KernelFacts { locked_down: true, ..KernelFacts::default() };
        let whole = fingerprint(&facts, &files);
        assert_eq!(whole, fingerprint(&facts, &files));
        assert_ne!(whole, fingerprint(&other, &files));
        assert_ne!(whole, fingerprint(&facts, &files[..1]));
    }
}
