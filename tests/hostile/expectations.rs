//! A stranger's `symstack.toml`.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::PathBuf,
};

use tempfile::TempDir;

use crate::{
    files::{pipe, said},
    harness::{Needs, Test},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Nothing => [
        a_stacks_expectations_are_a_small_file_and_no_link_or_they_are_refused,
        a_stack_expects_nothing_of_the_host,
    ])
}

/// A stack, and where its expectations would be.
fn stack() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Kbuild"), "obj-m := a.o\n").unwrap();
    let expectations = folder.path().join("symstack.toml");
    (folder, expectations)
}

fn a_stacks_expectations_are_a_small_file_and_no_link_or_they_are_refused() {
    let (folder, path) = stack();
    let refused = |what: &str| {
        let said = said("prove --stack {}", &[folder.path()]);
        said.refuses("symstack.toml cannot be read: ");
        assert!(said.status == 2 && said.err.contains("hint: "), "{what}: {}", said.err);
        fs::remove_file(&path).unwrap();
    };
    pipe(folder.path(), "symstack.toml");
    refused("a pipe");
    let _socket = UnixListener::bind(&path).unwrap();
    refused("a socket");
    for to in ["/dev/zero", "/etc/passwd", "gone", "symstack.toml"] {
        symlink(to, &path).unwrap();
        refused(to);
    }
    fs::File::create(&path).unwrap().set_len(8 << 30).unwrap();
    refused("a large file");
}

fn a_stack_expects_nothing_of_the_host() {
    let (folder, path) = stack();
    for (text, words) in [
        ("kernels = [\"/\"]", "no kernel of the archive has the name"),
        ("devices = [\"vfio-pci,host=00:02.0\"]", "no guest may have the device"),
        ("devices = [\"virtio-blk-pci,drive=d\", \"-drive\"]", "no guest may have the device"),
        ("devices = [\"usb-host\"]", "no guest may have the device"),
        ("run = \"\\u001b]0;title\\u0007\"", "is no line of text"),
        ("[modules.a]\nparameters = [\"-C\", \"/work\"]", "is no parameter for modprobe"),
        ("\"\\u001b[2J\" = 1", "unknown key `\\u{1b}[2J`"),
        ("\"\\nhint: rm\" = 1", "unknown key `\\nhint: rm`"),
    ] {
        fs::write(&path, text).unwrap();
        let said = said("prove --stack {}", &[folder.path()]);
        said.refuses(words);
        assert_eq!((said.status, said.err.lines().count()), (2, 2), "{}", said.err);
        assert!(!said.err.contains('\x1b'));
    }
}
