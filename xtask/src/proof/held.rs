//! Predictions, held against what happened.

use loader::{
    errno::Errno,
    log_line::is_message,
    verdict::{Answer, Verdict},
};

use stack::graph::Cycle;

use super::{
    expectations::FILE,
    point::{Answered, Fault, Point, Subject},
    prediction::{PredictedLoad, Prediction},
};
use crate::{
    guest::{
        console::{Allowed, Reader, gravest},
        report::CommandReport,
    },
    host::progress::say,
};

/// Errors by which parts of the kernel speak to each other, and which no program should see:
/// include/linux/errno.h.
const INTERNAL: [(&str, &str, &str); 2] = [
    (
        "Unknown error 517",
        "EPROBE_DEFER",
        "only a driver's probe is asked again later, a module's init never is",
    ),
    ("Unknown error 524", "ENOTSUPP", "a module's init should return EOPNOTSUPP"),
];

/// Would each module of the stack load?
pub(super) fn checks(prediction: &Prediction) -> impl Iterator<Item = Point> {
    prediction
        .loads
        .iter()
        .filter(|load| load.of_stack)
        .map(|load| Point::new(Subject::Check(load.name.clone()), check(load, &prediction.cycles)))
}

fn check(load: &PredictedLoad, cycles: &[Cycle]) -> Answered {
    if let Some(cycle) = cycles.iter().find(|cycle| cycle.0.contains(&load.name)) {
        return Answered::fails("cycle", cycle.to_string());
    }
    let verdict = &load.verdict;
    match &verdict.answer {
        Answer::Loads => Answered::Holds,
        Answer::Unknown(reason) => Answered::skipped("unknown", reason),
        Answer::Refused(errno) => {
            let id = verdict.decisive().map(|check| check.id.to_string()).unwrap_or_default();
            let said = match verdict.messages.last() {
                _ if verdict.is_kmods() => "the kernel is not asked".into(),
                Some(said) => format!("the kernel would log \"{said}\""),
                None => "the kernel would log nothing".into(),
            };
            let hint = verdict.decisive().map(|check| check.hint.as_str()).unwrap_or_default();
            let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
            let reason = format!("it would be refused with {errno} by {id}: {said}{hint}");
            Answered::fails(errno.to_string(), reason)
        }
    }
}

/// Does the module load, as predicted? Or does its init return the error that the stack expects?
/// `accepted` tells whether the kernel came to call the module's init, where that is known.
pub(super) fn load(load: &PredictedLoad, step: &CommandReport, accepted: Option<bool>) -> Answered {
    let PredictedLoad { verdict, expects, .. } = load;
    let expects = *expects;
    let said = modprobes_words(step);
    match (&verdict.answer, step.status == 0) {
        (Answer::Loads | Answer::Unknown(_), true) => match expects {
            None => Answered::Holds,
            Some(errno) => {
                let reason = format!("its init returns no error, and {FILE} expects {errno}");
                Answered::fails("loads", reason)
            }
        },
        (Answer::Refused(errno), true) => Answered::differs(
            "loads",
            format!("we said that it is refused with {errno}, but it loads"),
        ),
        (Answer::Refused(errno), false) => refused(verdict, *errno, step, &said),
        (Answer::Loads, false) => match accepted {
            Some(true) => init_failed(&said, expects),
            Some(false) => {
                Answered::differs("refused", format!("we said that it loads, but: {said}"))
            }
            // Only a module's own code gives such an error.
            None if internal(&said).is_some() => init_failed(&said, expects),
            // By the prediction no check of the kernel's fails.
            None if expects.is_some() => init_failed(&said, expects),
            None => Answered::fails("no load", said),
        },
        (Answer::Unknown(_), false) => match expects.filter(|_| accepted == Some(true)) {
            Some(_) => init_failed(&said, expects),
            None => Answered::fails("no load", said),
        },
    }
}

/// Returns the line by which the kernel says that it takes no notice of a parameter
/// (kernel/module/main.c:unknown_module_param_cb, 6.1 to 7.3).
pub(super) fn ignored<'s>(module: &str, step: &'s CommandReport) -> Option<&'s str> {
    let begin = format!("{module}: unknown parameter '");
    let mut own = step.kernel.iter().filter(|message| !message.from_user);
    own.find(|message| message.text.starts_with(&begin)).map(|message| message.text.as_str())
}

fn refused(verdict: &Verdict, errno: Errno, step: &CommandReport, said: &str) -> Answered {
    let differs = |reason: String| Answered::differs("otherwise", reason);
    if !is_said(errno, said) {
        return differs(format!("we said that it is refused with {errno}, but: {said}"));
    }
    let logged = |line: &&String| step.kernel.iter().any(|message| is_message(line, &message.text));
    match verdict.messages.iter().find(|line| !logged(line)) {
        Some(line) => differs(format!("we said that the kernel logs \"{line}\", but it does not")),
        None => Answered::fails(errno.to_string(), format!("as predicted: {said}")),
    }
}

/// `true` if modprobe's words are about this error.
/// Source: kmod 34, tools/modprobe.c:insmod_insert, which has words of its own for two of them.
fn is_said(errno: Errno, said: &str) -> bool {
    let own = match errno {
        Errno::EEXIST => "Module already in kernel",
        Errno::ENOENT => "Unknown symbol in module, or unknown parameter (see dmesg)",
        _ => errno.text(),
    };
    said.ends_with(own) || said.ends_with(errno.text())
}

/// The text of the error that modprobe's words end with.
fn error_text(said: &str) -> &str {
    said.rsplit_once("': ").map_or(said, |(_, text)| text)
}

/// The internal error that modprobe's words are about: its name, and why it is one.
fn internal(said: &str) -> Option<(&'static str, &'static str)> {
    let text = error_text(said);
    INTERNAL.iter().find(|(number, ..)| text == *number).map(|(_, name, why)| (*name, *why))
}

fn init_failed(said: &str, expects: Option<Errno>) -> Answered {
    let text = error_text(said);
    if expects.is_some_and(|errno| is_said(errno, text)) {
        return Answered::Holds;
    }
    if let Some((name, why)) = internal(said) {
        return Answered::fails(name, format!("its init returns {name}: {why}"));
    }
    let errno = Errno::ALL.iter().copied().find(|errno| is_said(*errno, text));
    if errno == Some(Errno::ENODEV) && expects.is_none() {
        let reason = "its init finds no device of its kind in this machine, and says ENODEV";
        return Answered::NoDevice(Fault::new("no device", reason));
    }
    let word = errno.map_or("init fails".into(), |errno| errno.to_string());
    let expects = expects.map(|errno| format!(", and {FILE} expects {errno}")).unwrap_or_default();
    Answered::fails(word, format!("its init fails: {text}{expects}"))
}

/// Returns the answer to a load that only a soft dependency asks for: modprobe goes on when it
/// fails (kmod 34, libkmod-module.c:kmod_module_probe_insert_module).
pub(super) fn ignored_by_modprobe(answer: Answered) -> Answered {
    match answer {
        Answered::Fails(_, Fault { word, reason }) | Answered::NoDevice(Fault { word, reason }) => {
            Answered::skipped(word, format!("a soft dependency, which modprobe ignores: {reason}"))
        }
        answer => answer,
    }
}

/// The last line of what a tool of kmod's said, without its own name.
fn modprobes_words(step: &CommandReport) -> String {
    let text = step.text();
    let line = text.lines().rfind(|line| line.contains("ERROR") || line.contains("FATAL"));
    let line = line.or(text.lines().last()).unwrap_or_default();
    let words = ["modprobe: ", "rmmod: ", "depmod: ", "ERROR: ", "FATAL: "];
    let bare = words.iter().fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
    if bare.is_empty() { format!("it ends with status {}", step.status) } else { bare.into() }
}

/// Does depmod find an order, as predicted?
pub(super) fn depmod(cycles: &[String], step: &CommandReport) -> Answered {
    let said = modprobes_words(step);
    match (cycles, step.status) {
        ([], 0) => Answered::Holds,
        ([], _) => Answered::differs("no order", format!("we found an order, but: {said}")),
        (cycles, 0) => {
            let reason = format!("we found a cycle, but depmod did not: {}", cycles.join("; "));
            Answered::differs("cycle", reason)
        }
        (cycles, _) => {
            let reason = format!("{}, and then modprobe finds no module at all", cycles.join("; "));
            Answered::fails("cycle", reason)
        }
    }
}

/// Does the module go? `permanent` is what /proc/modules says of it.
pub(super) fn unload(step: &CommandReport, permanent: bool) -> Answered {
    match step.status {
        0 => Answered::Holds,
        _ if permanent => {
            Answered::fails("stays", "it has an init and no exit, so the kernel keeps it")
        }
        _ => Answered::fails("stays", modprobes_words(step)),
    }
}

/// Returns the kernel's complaint while a step ran, in a word and in its own words. Those that are
/// allowed are said.
pub(super) fn complaint(step: &CommandReport, allowed: &[Allowed]) -> Option<Fault> {
    let mut reader = Reader::new(allowed);
    for message in step.kernel.iter().chain(&step.late).filter(|message| !message.from_user) {
        message.text.lines().for_each(|line| reader.line(line));
    }
    for (line, reason) in reader.excused() {
        say(&format!("allowed while `{}` ran ({reason}): {line}", step.command));
    }
    gravest(&reader.end()).map(|splat| Fault::new(splat.what, splat.line.clone()))
}
