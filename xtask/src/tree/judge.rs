//! A whole folder of modules, each with what it needs loaded before it.
//!
//! Packed modules cost what their packing costs, so they are unpacked side by side while those
//! before them are judged; and what came out is remembered until a file or the kernel changes.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use rayon::{iter::Either, prelude::*};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::tree::section_reader::ModuleBuffer;
use loader::{
    early_verdict,
    kernel_facts::KernelFacts,
    kernel_model::KernelModel,
    load_info::LoadRequest,
    verdict::{Answer, Verdict},
};
use stack::dependency_info::DependencyInfo;
use stack::graph::Graph;
use stack::graph::ScannedModule;
use stack::module_file::ModuleFile;

/// Part of what a remembered answer is filed under: raised when the model changes.
const MODEL: &str = "3";
/// How many unpacked modules may wait for their turn.
const WAITING_MAX: usize = 32;

/// What became of one module, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleRow {
    /// Its path within the folder.
    pub file: String,
    /// `loads`, `refused` or `unknown`.
    pub verdict: String,
    /// The error's name.
    pub errno: Option<String>,
    /// The check that decided.
    pub check: Option<String>,
    /// The last line that the kernel would log, or why nobody can know.
    pub said: Option<String>,
}

/// Judges all modules of a folder in the order in which they depend on each other; `memory` is
/// the folder for what is remembered.
pub fn judge_tree(target: &KernelFacts, files: &[ModuleFile], memory: &Path) -> Vec<ModuleRow> {
    let remembered = memory.join(format!("check-{}.json", fingerprint(target, files)));
    let known = fs::read(&remembered).ok();
    if let Some(rows) = known.and_then(|text| serde_json::from_slice(&text).ok()) {
        return rows;
    }
    let fresh = files.iter().any(|file| file.stamp.is_fresh(std::time::SystemTime::now()));
    let (mut rows, scanned) = judge_early(target, files);
    rows.extend(judge_in_order(target, &in_order(scanned)));
    if let (false, Ok(text)) = (fresh, serde_json::to_vec(&rows)) {
        // What cannot be remembered costs time on the next call, nothing else.
        let _ = fs::write(&remembered, text);
    }
    rows
}

/// Judges each file by itself, side by side: those that no other module could help are done. Of
/// the others come the ties that order them.
fn judge_early(target: &KernelFacts, files: &[ModuleFile]) -> (Vec<ModuleRow>, Vec<ScannedModule>) {
    let judged = files.par_iter().map_init(ModuleBuffer::default, |buffer, file| {
        let raw;
        let bytes = match buffer.read(&file.full) {
            Ok(bytes) => bytes,
            // What cannot be unpacked is handed to the kernel as it lies there.
            Err(_) => {
                raw = fs::read(&file.full).unwrap_or_default();
                &raw
            }
        };
        let request = LoadRequest { file: bytes, ..LoadRequest::default() };
        match early_verdict(request, target) {
            Some(verdict) => Either::Left(row(file, verdict)),
            // Without ties that can be read it has its turn like one without any.
            None => Either::Right(ScannedModule {
                file: file.clone(),
                info: DependencyInfo::read(bytes).unwrap_or_default(),
            }),
        }
    });
    let (mut rows, mut scanned): (Vec<ModuleRow>, Vec<ScannedModule>) =
        judged.partition_map(|one| one);
    rows.sort_by(|a, b| a.file.cmp(&b.file));
    scanned.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    (rows, scanned)
}

/// All that an answer depends on.
fn fingerprint(target: &KernelFacts, files: &[ModuleFile]) -> String {
    let mut hash = Sha256::new();
    let KernelFacts { exports, sysfs_names, builtin_names, .. } = target;
    let mut names: Vec<_> = exports.iter().collect();
    names.sort_by_key(|(name, _)| *name);
    let mut others: Vec<&String> = sysfs_names.iter().flatten().chain(builtin_names).collect();
    others.sort();
    let facts = (
        (&target.release, &target.vermagic, &target.options, target.this_module),
        (&target.blacklist, target.signatures_enforced, target.locked_down, target.disabled),
        (target.spectre_v2, sysfs_names.is_some(), others),
    );
    hash.update(format!("{MODEL} {facts:?}"));
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

/// The files, each after those that it needs; those that need each other in a circle as they are.
fn in_order(scanned: Vec<ScannedModule>) -> Vec<ModuleFile> {
    let graph = Graph::new(scanned);
    let mut order: Vec<usize> = (0..graph.modules().len()).collect();
    if let Ok(places) = graph.users_first() {
        order.sort_by_key(|&index| std::cmp::Reverse(places.get(index)));
    }
    order.into_iter().map(|index| graph.modules()[index].file.clone()).collect()
}

fn judge_in_order(target: &KernelFacts, files: &[ModuleFile]) -> Vec<ModuleRow> {
    let mut model = KernelModel::new(target);
    let mut rows = Vec::with_capacity(files.len());
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel(WAITING_MAX);
        for _ in 0..threads {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                let mut buffer = ModuleBuffer::default();
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let bytes = buffer.read(&file.full).map(<[u8]>::to_vec);
                    let bytes = bytes.or_else(|_| fs::read(&file.full)).ok();
                    // Nobody receives any more: the other side has ended.
                    if send.send((&file.path, bytes)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        for (path, bytes) in receive {
            waiting.insert(path, bytes);
            while let Some(file) = files.get(rows.len()) {
                let Some(bytes) = waiting.remove(&file.path) else { break };
                let file_bytes = bytes.unwrap_or_default();
                let request = LoadRequest { file: &file_bytes, ..LoadRequest::default() };
                rows.push(row(file, model.finit_module(request)));
            }
        }
    });
    rows
}

fn row(file: &ModuleFile, verdict: Verdict) -> ModuleRow {
    let check = verdict.decisive().map(|check| check.id.to_string());
    let Verdict { answer, messages, .. } = verdict;
    let (word, errno, said) = match answer {
        Answer::Loads => ("loads", None, None),
        Answer::Refused(errno) => ("refused", Some(errno.to_string()), messages.last().cloned()),
        Answer::Unknown(reason) => ("unknown", None, Some(reason)),
    };
    ModuleRow { file: file.path.clone(), verdict: word.into(), errno, check, said }
}
