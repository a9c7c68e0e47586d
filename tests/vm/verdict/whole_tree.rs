//! All modules that Debian ships with a kernel, judged and verified without a guest.

use std::{process::Command, time::Duration};

use loader::{errno::Errno, signature::Rejection, verify_signature};
use xtask::{
    kernel::facts,
    tree::{
        judge::{Judged, ModuleRow, RowVerdict, judge_tree},
        section_reader::ModuleBuffer,
        walk,
    },
};

use super::own_modules;
use crate::kernel;

/// The number of them that cannot be decided offline: one whose name is built-in code's as well,
/// and the module that needs it.
const UNKNOWN_MAX: usize = 2;
/// The longest time that a signature may take on average.
const VERIFY_TIME_MAX: Duration = Duration::from_millis(4);
/// One in so many is verified with a changed byte, too.
const CHANGED_EACH: usize = 40;

/// `check --all` says how many signatures it has verified, and how long that took.
pub(super) fn check_says_how_long_verification_took() {
    let memory = tempfile::tempdir().unwrap();
    let folder = own_modules(&kernel().name).join("kernel/net");
    let mut check = Command::new(env!("CARGO_BIN_EXE_xtask"));
    check.args(["check", "--all"]).arg(folder).arg("--tree").arg(&kernel().tree);
    check.arg("--image").arg(kernel().image.as_ref().unwrap());
    let output = check.env("XDG_CACHE_HOME", memory.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let line = said.lines().find_map(|line| line.split_once(" signatures verified in "));
    let (count, took) = line.unwrap_or_else(|| panic!("{said}"));
    assert!(count.parse::<usize>().unwrap() > 300, "{said}");
    let (seconds, each) = took.split_once(" s of processor time, ").unwrap();
    let each = each.strip_suffix(" ms each").unwrap();
    assert!(seconds.parse::<f64>().unwrap() > 0.0 && each.parse::<f64>().unwrap() > 0.0, "{said}");
}

/// Each loads or has a reason; each signature is good, and none is with a changed byte.
pub(super) fn every_module_that_debian_ships_is_decided_and_verified() {
    let files = walk::modules(&own_modules(&kernel().name)).unwrap();
    let facts = facts::of_kernel(kernel(), || None).unwrap();
    let memory = tempfile::tempdir().unwrap();
    let Judged { rows, verified } = judge_tree(&facts.target, &files, memory.path());
    let undecided: Vec<&ModuleRow> =
        rows.iter().filter(|row| row.verdict != RowVerdict::Loads).collect();
    // It ends in what would decide.
    let says = |row: &ModuleRow| row.said.as_ref().is_some_and(|said| said.contains(": "));
    let has_reason = |row: &&ModuleRow| row.verdict == RowVerdict::Unknown && says(row);
    assert!(undecided.len() <= UNKNOWN_MAX && undecided.iter().all(has_reason), "{undecided:#?}");
    let (count, took) = verified.unwrap();
    assert_eq!((rows.len(), count), (files.len(), files.len()));
    let each = took / u32::try_from(count).unwrap();
    tell!("{count} signatures verified on {}, {each:?} each", kernel());
    assert!(each < VERIFY_TIME_MAX, "{each:?}");
    let mut buffer = ModuleBuffer::default();
    for (turn, file) in files.iter().step_by(CHANGED_EACH).enumerate() {
        let mut bytes = buffer.read(&file.full).unwrap().to_vec();
        // Somewhere in the module, which is longer than its signature.
        let at = turn * 7919 % (bytes.len() / 2);
        bytes[at] ^= 1 << (turn % 8);
        let rejected = Err(Rejection::Errno(Errno::EKEYREJECTED, Vec::new()));
        assert_eq!(verify_signature(&bytes, &facts.target), rejected, "{} at {at}", file.path);
    }
}
