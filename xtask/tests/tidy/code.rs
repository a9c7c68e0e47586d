//! Rules about sources: how they begin, how long they are, what stands before `unsafe`.

use std::collections::BTreeMap;

use crate::{File, holds};

/// Longer files and functions hold two concerns, or say in their documentation why not, in a
/// sentence with these words.
const REASON: &str = "long because";
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 60;

fn host_rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.is_host_rust())
}

#[test]
fn every_host_source_begins_with_what_it_is() {
    fn rule(files: &[File]) -> Vec<String> {
        let bare = host_rust(files).filter(|file| !file.text.starts_with("//! "));
        bare.map(|file| file.complaint(1, "it does not begin with `//! `")).collect()
    }
    holds(rule, &[("xtask/src/a.rs", "use a;\n"), ("tests/vm/b.rs", "// What it is.\n")]);
}

#[test]
fn every_kernel_side_source_begins_with_its_license() {
    fn rule(files: &[File]) -> Vec<String> {
        let kernel_side = files.iter().filter(|file| file.is_kernel_side());
        let bare = kernel_side.filter(|file| {
            let first = file.text.lines().next().unwrap_or_default();
            !first.contains("SPDX-License-Identifier: GPL-2.0")
        });
        bare.map(|file| file.complaint(1, "its first line has no SPDX identifier")).collect()
    }
    holds(rule, &[("provider/a.rs", "//! A\n"), ("docs/01-a/b.c", "int b;\n")]);
}

#[test]
fn no_file_is_longer_than_400_lines_without_a_reason() {
    fn rule(files: &[File]) -> Vec<String> {
        // The unit tests at the end of a file do not count.
        let code =
            |file: &&File| file.text.lines().take_while(|line| *line != "mod tests {").count();
        let long = host_rust(files).filter(|file| code(file) > FILE_LINES_MAX);
        let unreasoned = long.filter(|file| {
            let documentation = file.text.lines().take_while(|line| line.starts_with("//!"));
            !documentation.collect::<Vec<_>>().join(" ").contains(REASON)
        });
        unreasoned.map(|file| file.complaint(1, "it is longer than 400 lines")).collect()
    }
    holds(rule, &[("xtask/src/a.rs", &format!("//! A.\n{}", "\n".repeat(400)))]);
}

/// The functions of a file that rustfmt has formatted: the number of the first line, the lines
/// from there to the closing brace, and the documentation.
fn functions(file: &File) -> Vec<(usize, usize, String)> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        // `pub(crate) const fn name(`: nothing but such words stands before `fn`.
        let before = code.split_once("fn ").map(|(before, _)| before);
        let modifier = |word: &str| {
            word.starts_with("pub") || ["const", "async", "unsafe", "extern"].contains(&word)
        };
        let function = before.is_some_and(|before| before.split_whitespace().all(modifier))
            && !code.ends_with(';');
        let Some(last) = lines[first..].iter().position(|line| *line == format!("{indent}}}"))
        else {
            continue;
        };
        let above = lines[..first].iter().rev().map(|line| line.trim_start());
        let above: Vec<&str> = above.take_while(|line| line.starts_with(['/', '#'])).collect();
        if function {
            found.push((
                first + 1,
                last + 1,
                above.into_iter().rev().collect::<Vec<_>>().join(" "),
            ));
        }
    }
    found
}

#[test]
fn no_function_is_longer_than_60_lines_without_a_reason() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for file in host_rust(files) {
            for (first, lines, documentation) in functions(file) {
                if lines > FUNCTION_LINES_MAX && !documentation.contains(REASON) {
                    faults.push(file.complaint(first, &format!("a function of {lines} lines")));
                }
            }
        }
        faults
    }
    let long = format!("//! A.\n\npub(crate) fn a(b: u8) {{\n{}}}\n", "    b();\n".repeat(60));
    holds(rule, &[("xtask/src/a.rs", &long)]);
}

#[test]
fn no_public_type_has_its_name_twice_in_a_crate() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut faults = Vec::new();
        for file in host_rust(files) {
            let Some((name, _)) = file.path.split_once("/src/") else { continue };
            for (number, line) in file.lines() {
                let mut words = line.trim_start().split(' ');
                let kind = (words.next() == Some("pub")).then(|| words.next()).flatten();
                let is_type =
                    ["struct", "enum", "union", "trait", "type"].iter().any(|t| kind == Some(t));
                let Some(word) = words.next().filter(|_| is_type) else { continue };
                let end = word.find(|c: char| !c.is_alphanumeric()).unwrap_or(word.len());
                // Each verb has its arguments, which main.rs names with the verb.
                if &word[..end] == "Args" {
                    continue;
                }
                let here = format!("{}:{number}", file.path);
                if let Some(other) = seen.insert((name.into(), word[..end].into()), here) {
                    faults.push(
                        file.complaint(number, &format!("{} is also in {other}", &word[..end])),
                    );
                }
            }
        }
        faults
    }
    holds(rule, &[("xtask/src/a.rs", "pub struct A;\npub enum A {\n")]);
}

#[test]
fn every_unsafe_in_a_module_is_preceded_by_its_reason() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        let modules = files.iter().filter(|file| file.is_kernel_side() && file.is(&["rs"]));
        for file in modules {
            let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
            for (index, line) in lines.iter().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let uses = ["unsafe {", "unsafe impl", "unsafe extern \"C\" {"];
                if uses.iter().any(|word| code.contains(word)) && !has_reason(&lines[..index]) {
                    faults.push(file.complaint(index + 1, "no `SAFETY:` above this `unsafe`"));
                }
            }
        }
        faults
    }
    /// `true` if a comment above the statement that ends these lines says why it is sound.
    fn has_reason(above: &[&str]) -> bool {
        let comment = above.iter().rev().skip_while(|line| {
            !line.starts_with("//") && !line.is_empty() && !line.ends_with([';', '}', '{'])
        });
        let mut comment =
            comment.take_while(|line| line.starts_with("//") || line.starts_with("#["));
        comment.any(|line| line.contains("SAFETY:"))
    }
    holds(rule, &[("provider/a.rs", "let a = b;\nlet c = unsafe { d() };\n")]);
}

/// The VM tier lists its tests itself, so that it can say which are skipped; rustc silently drops
/// a function with `#[test]` there.
#[test]
fn no_test_is_lost_or_ignored() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for file in host_rust(files) {
            for (number, line) in file.lines() {
                let listed = file.path.starts_with("tests/") && line.trim() == "#[test]";
                let ignored = line.trim_start().starts_with(concat!("#[igno", "re"));
                if listed || ignored {
                    faults
                        .push(file.complaint(number, "this test never runs: list it in tests!()"));
                }
            }
        }
        faults
    }
    let ignored = concat!("    #[igno", "re = \"slow\"]\n");
    holds(rule, &[("tests/vm/a.rs", "#[test]\nfn a() {}\n"), ("xtask/src/b.rs", ignored)]);
}

/// A build writes what it likes into its folder, and a stranger wrote the sources: `fs::read` would
/// follow a link out of them, or wait for a FIFO.
#[test]
fn only_host_beneath_opens_files_of_sources_and_builds() {
    const OPENS: [&str; 12] = [
        "fs::",
        "File::",
        "OpenOptions",
        "read_file(",
        "read_text(",
        "read_given",
        "write_",
        "copy_file(",
        "files_below(",
        ".read_dir(",
        "tempfile_in(",
        "make_folder(",
    ];
    /// Makes a folder that a user names, for sources that are ours.
    const APART: &str = "xtask/src/build/fresh.rs";
    fn rule(files: &[File]) -> Vec<String> {
        let mut faults = Vec::new();
        for file in host_rust(files).filter(|file| file.path.starts_with("xtask/src/")) {
            let code = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let in_build = file.path.starts_with("xtask/src/build/") && file.path != APART;
            for (number, line) in (1..).zip(code.lines()) {
                let bare = line.trim_start();
                let prose = bare.starts_with("//") || bare.starts_with("use ");
                let prose = prose || !(in_build || line.contains(".tree()"));
                // inotify looks at folders and opens no file.
                let line = line.replace("fs::inotify", "");
                if !prose && OPENS.iter().any(|opens| line.contains(opens)) {
                    faults.push(file.complaint(number, "host/beneath.rs opens files here"));
                }
            }
        }
        faults
    }
    let elsewhere = "let a = read_file(&b.tree().join(\"c\"));\n";
    holds(
        rule,
        &[
            ("xtask/src/build/a.rs", "let a = fs::read(b);\n"),
            ("xtask/src/build/a.rs", "    let a = File::open(b)?;\n"),
            ("xtask/src/proof/a.rs", elsewhere),
        ],
    );
}
