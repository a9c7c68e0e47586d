//! Rules about the rooms of the runner and the crates below it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{File, holds, notices_together};

/// The rooms, the highest first: a room may use those below it.
const ROOMS: [&str; 8] = ["command", "lesson", "proof", "guest", "build", "kernel", "tree", "host"];

/// The crates that a pure crate may depend on: no process, no cache, no threads, no JSON.
const PURE: [(&str, &[&str]); 3] = [
    (
        "xtask/ko/Cargo.toml",
        &[
            "crc32fast",
            "flate2",
            "liblzma",
            "memchr",
            "object",
            "rustc-demangle",
            "ruzstd",
            "serde",
            "sha2",
        ],
    ),
    ("xtask/stack/Cargo.toml", &["crc32fast", "foldhash", "ko", "object", "regex-lite", "serde"]),
    (
        "xtask/loader/Cargo.toml",
        &["ko", "object", "stack", "crypto-bigint", "p256", "p384", "sha1", "sha2", "sha3"],
    ),
];
/// The crates that any crate may depend on.
const ANYWHERE: [&str; 3] = ["bitflags", "strum", "thiserror"];

fn room(path: &str) -> Option<&str> {
    let (room, _) = path.strip_prefix("xtask/src/")?.split_once('/')?;
    Some(room)
}

/// The paths that a source names after this word, each with its line.
fn named_after(word: &str, file: &File) -> Vec<(usize, String)> {
    let bare = |line: &str| if line.trim_start().starts_with("//") { "" } else { line }.to_owned();
    let text = file.text.lines().map(bare).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (begin, word) in text.match_indices(word) {
        let line = text[..begin].matches('\n').count() + 1;
        let mut paths = Vec::new();
        read_paths(&text[begin + word.len()..], "", &mut paths);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Reads a path, or a tree of them as `use` has it, and returns what follows.
fn read_paths<'t>(text: &'t str, before: &str, found: &mut Vec<String>) -> &'t str {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let path = if before.is_empty() { word.to_owned() } else { format!("{before}/{word}") };
    if let Some(rest) = rest.strip_prefix("::") {
        return read_paths(rest, &path, found);
    }
    let Some(mut rest) = rest.strip_prefix('{').filter(|_| word.is_empty()) else {
        found.push(path);
        return rest;
    };
    while !rest.trim_start().starts_with('}') && !rest.is_empty() {
        let after = read_paths(rest, before, found);
        // `as NAME` may follow.
        let comma = after.find([',', '}']).unwrap_or(after.len());
        rest = after[comma..].strip_prefix(',').unwrap_or(&after[comma..]);
    }
    rest.trim_start().strip_prefix('}').unwrap_or_default()
}

/// The modules of its own crate that a source names, each with its line.
fn own_modules(file: &File) -> Vec<(usize, String)> {
    let first = |path: String| path.split('/').next().unwrap_or_default().to_owned();
    let named = named_after("crate::", file).into_iter();
    named.map(|(line, path)| (line, first(path))).collect()
}

#[test]
fn no_room_uses_a_room_above_it() {
    fn rule(files: &[File]) -> Vec<String> {
        let rank = |room: &str| ROOMS.iter().position(|name| *name == room);
        let mut faults = Vec::new();
        for file in files.iter().filter(|file| file.is_host_rust()) {
            let Some(here) = room(&file.path).filter(|room| *room != "bin") else { continue };
            let Some(own) = rank(here) else {
                faults.push(file.complaint(1, &format!("{here} is no room")));
                continue;
            };
            let above = own_modules(file).into_iter().filter(|(_, name)| rank(name) < Some(own));
            let above = above.filter(|(_, name)| rank(name).is_some());
            faults.extend(
                above.map(|(line, name)| file.complaint(line, &format!("{name} is above {here}"))),
            );
        }
        faults
    }
    holds(
        rule,
        &[
            ("xtask/src/host/a.rs", "use crate::{\n    host::b,\n    kernel::{c, d},\n};\n"),
            ("xtask/src/tree/b.rs", "fn c() { crate::command::d() }\n"),
            ("xtask/src/attic/c.rs", ""),
        ],
    );
}

/// Two files that use each other are read as one. A circle that is the better form would have to be
/// named here.
#[test]
fn no_files_of_a_room_use_each_other_in_a_circle() {
    fn module(file: &File) -> Option<&str> {
        // The agent is a program of its own.
        let path = file.path.strip_prefix("xtask/src/").filter(|path| !path.contains("/agent/"))?;
        let path = path.strip_suffix(".rs")?;
        Some(path.strip_suffix("/mod").unwrap_or(path))
    }
    /// The files of its room that a file uses, by its paths that do not begin with a name.
    fn used<'f>(file: &File, here: &str, all: &[&'f str]) -> Vec<&'f str> {
        let (text, _) = file.text.split_once("\nmod tests {").unwrap_or((&file.text, ""));
        let file = File::new(&file.path, text);
        let (folder, _) = here.rsplit_once('/').unwrap_or((here, ""));
        let begins = [("crate::", ""), ("self::", here), ("super::", folder)];
        let paths = begins.iter().flat_map(|(word, begin)| {
            let named = named_after(word, &file).into_iter();
            named.map(move |(_, path)| format!("{begin}/{path}"))
        });
        let file_of = |path: String| {
            let path = Path::new(path.trim_start_matches('/'));
            let mut places = path.ancestors().filter_map(Path::to_str);
            places.find_map(|place| all.iter().find(|one| **one == place))
        };
        let room = |path: &str| path.split('/').next().map(str::to_owned);
        let used = paths.filter_map(file_of).filter(|one| **one != here && room(one) == room(here));
        used.copied().collect()
    }
    fn rule(files: &[File]) -> Vec<String> {
        let modules = || files.iter().filter_map(|file| Some((module(file)?, file)));
        let all: Vec<&str> = modules().map(|(module, _)| module).collect();
        let mut left: BTreeMap<&str, Vec<&str>> =
            modules().map(|(module, file)| (module, used(file, module, &all))).collect();
        // A file that uses none of those that are left is in no circle, nor is one that none uses.
        loop {
            let used: BTreeSet<&str> = left.values().flatten().copied().collect();
            let before: BTreeSet<&str> = left.keys().copied().collect();
            left.retain(|module, uses| {
                used.contains(module) && uses.iter().any(|one| before.contains(one))
            });
            if left.len() == before.len() {
                break;
            }
        }
        left.keys().map(|module| format!("{module} is in a circle of files")).collect()
    }
    notices_together(
        rule,
        &[
            ("xtask/src/host/a.rs", "use crate::host::{\n    b::{self as other, C},\n    d,\n};\n"),
            ("xtask/src/host/b.rs", "use super::a::{A, B as C};\n"),
        ],
    );
    holds(rule, &[]);
}

#[test]
fn the_pure_crates_depend_on_nothing_that_acts() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for (path, allowed) in PURE {
            for file in files.iter().filter(|file| file.path == path) {
                let mut section = "";
                for (number, line) in file.lines() {
                    section = if line.starts_with('[') { line } else { section };
                    let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
                    let known = allowed.contains(&name) || ANYWHERE.contains(&name);
                    let entry = section == "[dependencies]" && line.contains('=');
                    let other = section.contains("dependencies.") || section.contains("build-");
                    if other || entry && !known {
                        faults.push(file.complaint(number, &format!("{name} in a pure crate")));
                    }
                }
            }
        }
        faults
    }
    holds(
        rule,
        &[
            ("xtask/ko/Cargo.toml", "[dependencies]\nrayon.workspace = true\n"),
            ("xtask/loader/Cargo.toml", "[dependencies.serde_json]\nversion = \"1\"\n"),
        ],
    );
}

/// The pure crates start no process and read no file: what they judge, they are given.
#[test]
fn the_pure_crates_only_read_what_they_are_given() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        let pure = ["xtask/ko/src/", "xtask/stack/src/", "xtask/loader/src/"];
        let pure = |file: &&File| pure.iter().any(|folder| file.path.starts_with(folder));
        for file in files.iter().filter(pure).filter(|file| !file.path.ends_with("tests.rs")) {
            for (number, line) in file.lines() {
                if line == "mod tests {" {
                    break;
                }
                let acts = ["std::fs", "std::process", "std::env", "std::net", "std::thread"];
                let acts = acts.iter().any(|path| line.contains(path)) || line.contains(" fs::");
                // A `Metadata` is what the caller read.
                if acts && !line.contains("Metadata") {
                    faults.push(file.complaint(number, "a pure crate acts"));
                }
            }
        }
        faults
    }
    holds(rule, &[("xtask/ko/src/a.rs", "use std::fs;\n")]);
}

/// A source in ARCHITECTURE.md is the end of one's path.
#[test]
fn the_sources_that_the_architecture_names_are_there() {
    fn named(page: &File) -> impl Iterator<Item = (usize, &str)> {
        let is_source = |name: &str| [".rs", ".h", ".c", ".mk"].iter().any(|e| name.ends_with(e));
        let quoted = page.lines().flat_map(|(line, text)| {
            text.split('`').skip(1).step_by(2).map(move |name| (line, name))
        });
        quoted.filter(move |(_, name)| is_source(name))
    }
    fn rule(files: &[File]) -> Vec<String> {
        let page = files.iter().filter(|file| file.path == "ARCHITECTURE.md");
        let is = |path: &str, name: &str| {
            path.strip_suffix(name).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
        };
        let gone = |(_, name): &(usize, &str)| !files.iter().any(|file| is(&file.path, name));
        let gone = page.flat_map(|page| {
            named(page).filter(gone).map(|(line, name)| page.complaint(line, &format!("no {name}")))
        });
        gone.collect()
    }
    let page = crate::project().iter().find(|file| file.path == "ARCHITECTURE.md");
    let count = page.map_or(0, |page| named(page).count());
    assert!(count >= 40, "it names {count} sources");
    holds(rule, &[("ARCHITECTURE.md", "| Where? | `kernel/gone.rs` |\n")]);
}

#[test]
fn a_file_name_means_one_thing() {
    fn rule(files: &[File]) -> Vec<String> {
        // Each crate and each room has these.
        const COMMON: [&str; 5] = ["main.rs", "lib.rs", "mod.rs", "tests.rs", "error.rs"];
        let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for file in files.iter().filter(|file| file.is_host_rust()) {
            let (folder, name) = file.path.rsplit_once('/').unwrap_or_default();
            if folder.contains("/src") && !COMMON.contains(&name) {
                seen.entry(name).or_default().push(&file.path);
            }
        }
        // Some folders say what their files do with the subject that names them: a verb about it,
        // the loader's checks of it, the comparison of it with kmod's.
        let roles = ["xtask/src/command/", "xtask/loader/src/checks/", "xtask/src/tree/kmod/"];
        let in_role = |path: &&&str| roles.iter().any(|folder| path.starts_with(folder));
        let twice =
            seen.iter().filter(|(_, paths)| paths.iter().filter(|p| !in_role(p)).count() > 1);
        twice.map(|(name, paths)| format!("{name}: {}", paths.join(", "))).collect()
    }
    assert_eq!(
        rule(&[File::new("xtask/src/host/a.rs", ""), File::new("xtask/ko/src/a.rs", "")]).len(),
        1
    );
    holds(rule, &[]);
}

/// The files of others are opened in one place, where no pipe waits and every size is bounded.
#[test]
fn only_one_place_opens_what_others_made() {
    /// The sources that open something else, and what that is.
    const OTHERS: [(&str, &str); 8] = [
        ("host/open.rs", "the place itself"),
        ("host/beneath.rs", "what a build left, below a descriptor"),
        ("host/run/said.rs", "a log of our own"),
        ("guest/run_dir.rs", "folders, to lock them"),
        ("guest/saved_state.rs", "states of our own, to lock and to sum them up"),
        ("guest/session.rs", "what QEMU wrote into our folder"),
        ("guest/shell.rs", "the pipe of QEMU's terminal"),
        ("guest/start.rs", "the system's random numbers"),
    ];
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for file in files.iter().filter(|file| file.is_host_rust()) {
            // The agent is a program of the guest.
            let Some(path) = file.path.strip_prefix("xtask/src/") else { continue };
            let other = OTHERS.iter().any(|(name, _)| *name == path);
            if other || path.contains("/agent/") || path.ends_with("tests.rs") {
                continue;
            }
            for (number, line) in file.lines().take_while(|(_, line)| *line != "mod tests {") {
                let opens = ["fs::read(", "fs::read_to_string", "File::open("];
                if opens.iter().any(|word| line.contains(word)) {
                    faults.push(file.complaint(number, "read it with host/open.rs"));
                }
            }
        }
        faults
    }
    holds(
        rule,
        &[
            ("xtask/src/tree/a.rs", "let a = fs::read(path)?;\n"),
            ("xtask/src/kernel/b.rs", "let b = File::open(path)?;\n"),
        ],
    );
}

/// The words of others reach a terminal or a form through one printer, which escapes it.
#[test]
fn only_the_printer_prints() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for file in files.iter().filter(|file| file.is_host_rust()) {
            // The agent is a program of the guest.
            let Some(path) = file.path.strip_prefix("xtask/src/") else { continue };
            if path == "printer.rs" || path.contains("/agent/") || path.ends_with("tests.rs") {
                continue;
            }
            for (number, line) in file.lines().take_while(|(_, line)| *line != "mod tests {") {
                let prints = ["println!(", "print!(", "io::stdout()", "io::stderr()"];
                if prints.iter().any(|word| line.contains(word)) {
                    faults.push(file.complaint(number, "print it with printer.rs"));
                }
                if line.contains(".display()") {
                    let plain = "a path is shown() to a reader, and to_string_lossy() in a command";
                    faults.push(file.complaint(number, plain));
                }
            }
        }
        faults
    }
    holds(
        rule,
        &[
            ("xtask/src/command/a.rs", "println!(\"{name}\");\n"),
            ("xtask/src/tree/b.rs", "format!(\"{}\", path.display())\n"),
        ],
    );
}
