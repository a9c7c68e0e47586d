//! The documented forms of `check --json` and `check --all --json`.

use std::os::unix::ffi::OsStrExt as _;

use ko::text::Text;
use loader::verdict::{Answer, CheckResult, Outcome, Verdict};
use serde::Serialize;

use crate::{
    kernel::facts::TreeFacts,
    tree::{judge::ModuleRow, load_plan::PlannedLoad},
};

#[derive(Serialize)]
pub(super) struct CheckForm<'a> {
    format: &'static str,
    release: &'a str,
    vermagic: &'a str,
    unknown: &'a [String],
    modules: Vec<ModuleForm<'a>>,
}

#[derive(Serialize)]
struct ModuleForm<'a> {
    name: &'a str,
    file: Text<'a>,
    wanted: bool,
    verdict: &'static str,
    by: Option<&'static str>,
    reason: Option<&'a str>,
    errno: Option<String>,
    messages: &'a [String],
    taints: String,
    checks: Vec<CheckRow<'a>>,
}

#[derive(Serialize)]
struct CheckRow<'a> {
    id: &'a str,
    result: &'static str,
    reason: Option<&'a str>,
    want: &'a str,
    have: &'a str,
    hint: &'a str,
}

impl<'a> CheckForm<'a> {
    pub(super) fn new(facts: &'a TreeFacts, verdicts: &'a [(&PlannedLoad, Verdict)]) -> Self {
        let target = &facts.target;
        Self {
            format: "check/2",
            release: &target.release,
            vermagic: &target.vermagic,
            unknown: &facts.unknown,
            modules: verdicts.iter().map(|(load, verdict)| module(load, verdict)).collect(),
        }
    }
}

fn module<'a>(load: &'a PlannedLoad, verdict: &'a Verdict) -> ModuleForm<'a> {
    let (word, reason, errno) = match &verdict.answer {
        Answer::Loads => ("loads", None, None),
        Answer::Refused(errno) => ("refused", None, Some(errno.to_string())),
        Answer::Unknown(reason) => ("unknown", Some(reason.as_str()), None),
    };
    let by = errno.as_ref().map(|_| if verdict.is_kmods() { "kmod" } else { "kernel" });
    ModuleForm {
        name: &verdict.name,
        file: Text(load.file.as_os_str().as_bytes()),
        wanted: load.wanted,
        verdict: word,
        by,
        reason,
        errno,
        messages: &verdict.messages,
        taints: verdict.taints.to_string(),
        checks: verdict.checks.iter().map(check).collect(),
    }
}

fn check(check: &CheckResult) -> CheckRow<'_> {
    let (result, reason) = match &check.outcome {
        Outcome::Pass => ("pass", None),
        Outcome::Fail(_) => ("fail", None),
        Outcome::Skip(reason) | Outcome::Open(reason) => ("skip", Some(reason.as_str())),
        Outcome::Unknown(reason) => ("unknown", Some(reason.as_str())),
    };
    let CheckResult { id, want, have, hint, .. } = check;
    CheckRow { id: id.as_str(), result, reason, want, have, hint }
}

#[derive(Serialize)]
pub(super) struct AllForm<'a> {
    format: &'static str,
    release: &'a str,
    modules: &'a [ModuleRow],
}

impl<'a> AllForm<'a> {
    pub(super) fn new(release: &'a str, modules: &'a [ModuleRow]) -> Self {
        Self { format: "check-all/1", release, modules }
    }
}
