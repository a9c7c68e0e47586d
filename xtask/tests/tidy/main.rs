//! The rules that hold for every file of the project, read from the files.
//!
//! A rule takes files and returns its complaints. Each test first shows its rule a file that
//! breaks it, which the rule must notice, and then all files of the project.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "it is all tests")]

mod book;
mod code;
mod minutes;
mod rooms;
mod text;

use std::{fs, path::Path, sync::OnceLock};

/// A text file, named by its path below the project's folder.
struct File {
    path: String,
    text: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    fn is(&self, extensions: &[&str]) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let extension = name.rsplit_once('.').map_or(name, |(_, extension)| extension);
        extensions.contains(&extension)
    }

    /// A Rust source that cargo builds. The others are built by a kernel's Kbuild.
    fn is_host_rust(&self) -> bool {
        let host = ["xtask/", "tests/vm/", "tests/hostile/", "tests/corpus/"];
        self.is(&["rs"])
            && host.iter().any(|folder| self.path.starts_with(folder))
            && !["/fixtures/", "xtask/new/"].iter().any(|folder| self.path.contains(folder))
    }

    fn is_kernel_side(&self) -> bool {
        self.is(&["rs", "c", "h"]) && !self.is_host_rust()
    }

    /// Its lines, numbered from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    fn complaint(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

type Rule = fn(&[File]) -> Vec<String>;

/// The rule notices each of these files, and has no complaint about the project.
#[track_caller]
fn holds(rule: Rule, broken: &[(&str, &str)]) {
    notices(rule, broken);
    let complaints = rule(project());
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The rule notices each of these files.
#[track_caller]
fn notices(rule: Rule, broken: &[(&str, &str)]) {
    for (path, text) in broken {
        assert!(!rule(&[File::new(path, text)]).is_empty(), "not noticed: {path}\n{text}");
    }
}

/// The rule notices what is wrong with these files together.
#[track_caller]
fn notices_together(rule: Rule, broken: &[(&str, &str)]) {
    let files: Vec<_> = broken.iter().map(|(path, text)| File::new(path, text)).collect();
    assert!(!rule(&files).is_empty(), "not noticed: {broken:?}");
}

/// Every text file of the project but the recorded ones.
fn project() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = Vec::new();
        collect(root, "", &mut files);
        assert!(files.len() > 150, "{} files are not the whole project", files.len());
        files
    })
}

fn collect(root: &Path, below: &str, files: &mut Vec<File>) {
    const KINDS: [&str; 12] =
        ["rs", "c", "h", "md", "svg", "dot", "js", "css", "toml", "mk", "Kbuild", "Makefile"];
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().expect("names are UTF-8");
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        // The leavings of builds and a reader's files are no part of the project.
        let made = name.starts_with('.') || name.ends_with(".mod.c") || name.contains("_generated");
        if made || ["target", "exercises"].contains(&path.as_str()) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            collect(root, &path, files);
        } else if File::new(&path, "").is(&KINDS) {
            files.push(File { text: fs::read_to_string(root.join(&path)).unwrap(), path });
        }
    }
}
