//! Requests that would have been answered with something else: each is refused, or told as it is.

use std::{path::Path, process::Command};

/// Returns the end of a command on a machine with an empty cache, and what it says.
fn said(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn words_that_would_be_ignored_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, status, text) in [
        (&["order", "--format", "modules.alias", "bridge"][..], 2, "not of bridge alone"),
        (&["build", "--split"], 2, "symstack's own modules"),
        (&["build", "--tests"], 2, "symstack's own modules"),
        (&["new", "list", "--c"], 2, "names that begin with \"list\""),
        (&["new", "m", "--name", "obj", "--crate"], 2, "names that begin with \"obj\""),
        (&["kernels", "remove", "stock"], 2, "none is prepared"),
        (&["kernels", "prune"], 0, "there is nothing to remove"),
    ] {
        let (ended, said) = said(folder.path(), arguments);
        assert!(ended == Some(status) && said.contains(text), "{arguments:?}: {ended:?} {said}");
    }
    assert!(!folder.path().join("list").exists() && !folder.path().join("m").exists());
}
