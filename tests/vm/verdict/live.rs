//! `check --live`: our own program in the guest, asked about the kernel that it runs on, and then
//! that kernel itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use loader::errno::Errno;
use serde_json::Value;
use xtask::guest::{Command, Guest, Session};

use super::{OWN_MAX, built, machine, own_cases, own_modules};
use crate::kernel;

/// The number of answers that must have been compared with the kernel's.
const COMPARED_MIN: usize = 30;
/// The number of the kernel's own modules that are loaded, where Debian ships them.
const OWN: usize = 16;
/// The program needs the host's C library, as it was linked with it.
const PROGRAM: &str = "XDG_CACHE_HOME=/tmp/cache ./ld.so --library-path . ./symstack";
/// Where it is told what is not below /lib/modules of the guest.
const FACTS: &str = "--config config --symvers Module.symvers --image vmlinuz";

/// The shared libraries of this program, which are those of the runner.
fn libraries() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.contains(".so")).map(PathBuf::from).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// A guest with the program, its libraries, the kernel's facts, and modules by their names.
fn guest_with(folder: &Path, modules: &[(String, Vec<u8>)]) -> Guest {
    let mut guest = machine().with_finit();
    guest = guest.file_at("symstack", env!("CARGO_BIN_EXE_xtask"));
    for library in libraries() {
        let name = library.file_name().unwrap().to_str().unwrap().to_owned();
        let to = if name.starts_with("ld-") { "ld.so".into() } else { name };
        guest = guest.file_at(to, library);
    }
    guest = guest.file_at("vmlinuz", kernel().image.clone().unwrap());
    guest = guest.file_at("config", kernel().tree.join(".config"));
    guest = guest.file_at("Module.symvers", kernel().tree.join("Module.symvers"));
    for (name, bytes) in modules {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        guest = guest.file_at(name.as_str(), path);
    }
    guest
}

/// The answers of `check --live` for files that are loaded one after the other, as they stand in
/// its JSON.
fn predicted(session: &mut Session, words: &str) -> Vec<Value> {
    let check = format!("{PROGRAM} check --live --json {FACTS}");
    let ran = session.exec(Command::new(format!("{check} {words}")).deadline(DEADLINE)).unwrap();
    let text = ran.text().to_string();
    let begin = text.find('{').unwrap_or_else(|| panic!("{text}"));
    let end = text.rfind('}').unwrap_or(begin);
    let answer: Value = serde_json::from_str(&text[begin..=end]).unwrap();
    answer["modules"].as_array().unwrap().clone()
}

const DEADLINE: std::time::Duration = std::time::Duration::from_secs(120);

/// Loads the files one after the other: each error's number.
fn loaded(session: &mut Session, files: &[&str]) -> Vec<i32> {
    let line = |(index, file): (usize, &&str)| format!("{index}\\t0\\t{file}\\t");
    let list = files.iter().enumerate().map(line).collect::<Vec<_>>().join("\\n");
    let ran = session.exec(format!("printf '{list}\\n' > list && ./finit list")).unwrap();
    let text = ran.text().to_string();
    let number = |line: &str| line.split('\t').nth(1)?.parse().ok();
    let numbers: Vec<i32> = text.lines().filter_map(number).collect();
    assert_eq!(numbers.len(), files.len(), "{text}");
    numbers
}

/// Asks about the files, loads them, and tells each difference; returns how many were decided.
fn compare(session: &mut Session, files: &[&str], wrong: &mut Vec<String>) -> usize {
    let words = format!("--as-given {}", files.join(" "));
    let predicted = predicted(session, &words);
    let numbers = loaded(session, files);
    assert_eq!(predicted.len(), numbers.len());
    let mut decided = 0;
    for ((file, answer), number) in files.iter().zip(predicted).zip(numbers) {
        let name = Errno::ALL.iter().find(|errno| errno.number() == number);
        let kernels = name.map_or_else(|| number.to_string(), ToString::to_string);
        let ours = match answer["verdict"].as_str() {
            // The result of its own init is open.
            Some("loads") if ![0, 1, 2, 8, 17, 22].contains(&number) => continue,
            Some("loads") => "0",
            Some("refused") => answer["errno"].as_str().unwrap(),
            _ => {
                tell!("unknown: {file}: {} (kernel: {kernels})", answer["reason"]);
                continue;
            }
        };
        decided += 1;
        if ours != kernels {
            wrong.push(format!("{file}: predicted {ours}, kernel {kernels}: {answer:#}"));
        }
    }
    decided
}

/// The modules of the corpus; one of them a second time beside a file that is not what is loaded.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let built = built();
    let mut modules: Vec<(String, Vec<u8>)> = built
        .modules()
        .iter()
        .map(|(name, module)| (format!("{name}.ko"), module.bytes.clone()))
        .collect();
    let takes = built.modules().iter().find(|(name, _)| *name == "takes").unwrap().1.bytes.clone();
    modules.push(("alone/takes.ko".into(), takes.clone()));
    modules.push(("other/takes.ko".into(), takes));
    let mut other = built.gives().clone();
    other.info("srcversion", Some("0000000000000000000000"));
    let note = other.section(".note.gnu.build-id");
    let mut id = other.contents(note).to_vec();
    *id.last_mut().unwrap() ^= 1;
    other.replace(note, &id);
    modules.push(("other/gives.ko".into(), other.bytes));
    modules
}

pub(super) fn the_running_kernel_is_judged_by_what_it_has_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let mut modules = corpus();
    let mut own = Vec::new();
    if kernel().name.ships() != xtask::kernel::recipe::Ships::Nothing {
        for (index, case) in own_cases(&own_modules(&kernel().name), OWN_MAX, true)
            .into_iter()
            .filter(|case| case.loads.len() > 1)
            .take(OWN)
            .enumerate()
        {
            for (step, load) in case.loads.into_iter().enumerate() {
                own.push(format!("own/{index}-{step}.ko"));
                modules.push((own.last().unwrap().clone(), load.file));
            }
        }
    }
    let mut session = guest_with(folder.path(), &modules).start().unwrap();
    let (mut wrong, mut decided) = (Vec::new(), 0);
    let batches = [
        // Each first alone, then what it needs, then again.
        &["takes.ko", "plain.ko", "plain.ko", "gives.ko", "takes.ko", "takes.ko"][..],
        // Now all of them run, and a new process of ours sees that.
        &["takes.ko", "plain.ko", "gives.ko", "takes_any.ko", "takes_any.ko", "percpu.ko"],
    ];
    for files in batches {
        decided += compare(&mut session, files, &mut wrong);
    }
    // A module that is loaded already is not loaded for another.
    let with_needs = predicted(&mut session, "--with-deps takes.ko");
    let names: Vec<&str> = with_needs.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["takes"], "{with_needs:#?}");
    // An exporter whose file is not there, or is another build, leaves doubt and no wrong answer.
    session.exec("rmmod takes").unwrap();
    for folder in ["alone", "other"] {
        let answer = predicted(&mut session, &format!("--as-given {folder}/takes.ko"));
        let reason = answer[0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("depends on gives, which is loaded"), "{answer:#?}");
    }
    decided += compare(&mut session, &["takes.ko"], &mut wrong);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    if !own.is_empty() {
        decided += compare(&mut session, &own, &mut wrong);
        decided += compare(&mut session, &own, &mut wrong);
    }
    tell!("check --live on {}: {decided} answers as the kernel's", kernel());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(decided >= if own.is_empty() { 12 } else { COMPARED_MIN }, "{decided}");
}
