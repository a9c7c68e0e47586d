//! rust-project.json, judged by rust-analyzer itself, which is fetched for these tests alone.

use std::{fs, path::Path, time::Duration};

use xtask::{
    build::{Stack, editor::EditorProject, project},
    host::{
        cache::{Cache, Partial},
        progress::Step,
        root::{Root, SID, TRIXIE},
        run::Run,
    },
    kernel::{KernelName, archive::Archive},
};

use crate::{
    example::example_outside,
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            an_editor_resolves_every_name_of_our_modules,
            an_editor_resolves_crates_upon_crates_of_a_stack_elsewhere,
        ],
    )
}

/// rust-analyzer of the suite whose rustc builds for this kernel: the two must be of one version,
/// or the kernel's macros are not expanded.
fn rust_analyzer(folder: &Path, stack: &Path, arguments: &[&str]) -> (bool, String) {
    let cache = Cache::open().unwrap();
    let sid = matches!(&kernel().name, KernelName::Listed(recipe, _) if recipe.root == SID);
    let root = Root::obtain(&cache, if sid { SID } else { TRIXIE }).unwrap();
    let entry = format!("tools/rust-analyzer-{}", root.suite.name);
    let tool = cache
        .entry(&entry, Partial::Discard, |aside| {
            let archive = Archive::open(&cache, &root, root.suite.name)?;
            let step = Step::begin("rust-analyzer", "8 MB", cache.log("rust-analyzer")?);
            // The newest of the suite itself, which is the one beside its rustc.
            let package = [format!("rust-analyzer/{}", root.suite.name)];
            archive.unpack(&step, &package, aside)?;
            step.done();
            Ok(())
        })
        .unwrap();
    let program = tool.join("usr/bin/rust-analyzer");
    let mut sandbox = root.sandbox().read_only(&program, "/tmp/rust-analyzer");
    for seen in [&cache.path(""), project(), stack, folder] {
        sandbox = sandbox.read_only(seen, seen);
    }
    let run: Run = sandbox.run("/tmp/rust-analyzer").args(arguments).arg(folder);
    let outcome = run.deadline(Duration::from_secs(600)).output().unwrap();
    (outcome.status.success(), format!("{}{}", outcome.stdout, outcome.stderr))
}

/// The diagnostics that mean a name which the editor does not know, or a macro that it cannot
/// expand. Others may be rust-analyzer's own faults: 1.85 takes a function that is declared in an
/// `extern` block for one of Rust's ABI.
fn unresolved(said: &str) -> Vec<&str> {
    const CODES: [&str; 8] = [
        "\"E0425\"",
        "\"E0432\"",
        "\"E0433\"",
        "\"E0559\"",
        "\"E0583\"",
        "\"E0599\"",
        "unresolved-",
        "macro-error",
    ];
    said.lines().filter(|line| CODES.iter().any(|code| line.contains(code))).collect()
}

/// Returns the words of rust-analyzer about the stack in a folder, when one text is replaced in
/// what it is told.
fn diagnostics(stack: &Path, project: &EditorProject, from: &str, to: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let json = project.json.to_string();
    assert!(json.contains(from), "{json}");
    fs::write(folder.path().join("rust-project.json"), json.replace(from, to)).unwrap();
    let (_, said) = rust_analyzer(folder.path(), stack, &["diagnostics"]);
    assert!(said.contains("diagnostic scan complete"), "{said}");
    // Of a later one than 1.85 is known only how many files it has before it.
    let before_it = said.split_once("0/").and_then(|(_, rest)| rest.split_once(' '));
    let files = before_it.and_then(|(files, _)| files.parse().ok()).unwrap_or(0);
    for name in &project.crates {
        let seen = said.contains(&format!("processing crate: {name}, "));
        assert!(seen || files >= project.crates.len(), "{name} is not seen:\n{said}");
    }
    said
}

fn an_editor_resolves_every_name_of_our_modules() {
    let project = EditorProject::of(&Cache::open().unwrap(), kernel(), &Stack::ours()).unwrap();
    assert_eq!(project.crates, ["consumer_main", "provider", "tally_main"]);
    let ours = xtask::build::project();
    let said = diagnostics(ours, &project, "", "");
    assert!(unresolved(&said).is_empty(), "{said}");

    // Without one of the things that it is told it says so.
    for (from, to, code) in [
        ("\"name\":\"provider\"", "\"name\":\"other\"", "\"E0432\""),
        ("PROVIDER_BINDINGS", "OTHER_BINDINGS", "macro-error"),
        ("libmacros", "libother", "E0432"),
    ] {
        let said = diagnostics(ours, &project, from, to);
        assert!(unresolved(&said).iter().any(|line| line.contains(code)), "{from}:\n{said}");
    }
}

fn an_editor_resolves_crates_upon_crates_of_a_stack_elsewhere() {
    let folder = example_outside();
    let stack = Stack::in_folder(folder.path()).unwrap();
    let project = EditorProject::of(&Cache::open().unwrap(), kernel(), &stack).unwrap();
    assert_eq!(project.crates, ["cloakroom", "evening_main", "ticket"]);
    let text = project.json.to_string();
    let own = folder.path().join("ticket/ticket_main.rs");
    assert!(text.contains(&own.display().to_string()), "the owner's file, not its copy: {text}");
    assert!(unresolved(&diagnostics(folder.path(), &project, "", "")).is_empty());
}
