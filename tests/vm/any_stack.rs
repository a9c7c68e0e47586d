//! Stacks that are not ours: any folder that `make -C KDIR M=DIR` builds, C or Rust.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use tempfile::TempDir;
use xtask::build::{BuildDir, MakeTarget, Stack};

use crate::{
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            a_stack_of_c_modules_is_built_loaded_and_ordered_and_its_folder_stays_clean,
            two_builders_of_one_stack_do_not_meet,
            a_stack_that_builds_nothing_and_one_that_is_none_are_told_apart,
            a_stack_of_rust_is_refused_on_a_kernel_without_it_in_a_clear_sentence,
            a_command_sees_the_kernels_headers_and_writes_in_its_folder_alone,
            a_guest_does_without_a_stack_and_takes_words_for_its_command_line,
        ],
    )
}

/// The lower module, in a folder of its own.
const LOWER: &str = "#include <linux/module.h>
int lower_answer(void) { return 42; }
EXPORT_SYMBOL_GPL(lower_answer);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"the lower one\");
";
/// The upper module, which reads a word that a file beside it defines.
const UPPER: &str = "#include <linux/module.h>
#include \"word.inc\"
int lower_answer(void);
static int __init upper_init(void) { pr_info(WORD \" %d\\n\", lower_answer()); return 0; }
static void __exit upper_exit(void) { }
module_init(upper_init);
module_exit(upper_exit);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"the upper one\");
";
/// Names the upper module first: the order of loading is none of Kbuild's.
const KBUILD: &str = "obj-m := upper.o lower/\n";
/// Fails when a second `make` is in the same folder.
const ONE_BUILDER: &str = "
one := $(shell mkdir $(M)/busy && sleep 1 && rmdir $(M)/busy && echo one)
$(if $(one),,$(error two builders at once))
";

/// A stack in a folder that goes away, and with it what was built of it in the cache.
pub(crate) struct Temporary {
    _folder: TempDir,
    path: PathBuf,
    stack: Stack,
}

impl Temporary {
    /// The stack at a path within a folder.
    pub(crate) fn within(folder: TempDir, path: &Path) -> Self {
        let path = folder.path().join(path);
        let stack = Stack::in_folder(&path).unwrap();
        Self { _folder: folder, path, stack }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of what was built of it.
    pub(crate) fn products(&self) -> PathBuf {
        BuildDir::open(kernel(), &self.stack).unwrap().products()
    }

    /// The modules that were built of it, in their order.
    pub(crate) fn modules(&self) -> Vec<PathBuf> {
        BuildDir::open(kernel(), &self.stack).unwrap().modules().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Ok(build_dir) = BuildDir::open(kernel(), &self.stack) {
            // A file that stays is found by nobody.
            let _ = fs::remove_dir_all(build_dir.tree().ancestors().nth(2).unwrap());
        }
    }
}

/// A stack with these files.
pub(crate) fn stack(files: &[(&str, &str)]) -> Temporary {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Temporary::within(folder, Path::new(""))
}

pub(crate) fn c_stack(kbuild: &str) -> Temporary {
    stack(&[
        ("Kbuild", kbuild),
        ("upper.c", UPPER),
        ("word.inc", "#define WORD \"the answer is\"\n"),
        ("lower/Kbuild", "obj-m := lower.o\n"),
        ("lower/lower.c", LOWER),
    ])
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns a verb's output to its standard output and its standard error, and its status.
pub(crate) fn run(verb: &[&str], folder: &Path, rest: &[&str]) -> (String, String, i32) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
    run.args(verb).arg("--stack").arg(folder).args(["--kernel", &kernel().name.to_string()]);
    let output = run.args(rest).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

fn a_stack_of_c_modules_is_built_loaded_and_ordered_and_its_folder_stays_clean() {
    let folder = c_stack(KBUILD);
    let before = names(folder.path());
    let (said, error, status) = run(&["build"], folder.path(), &[]);
    assert!(status == 0 && said.contains("upper.ko") && said.contains("lower.ko"), "{said}{error}");
    let (said, error, status) = run(&["order"], folder.path(), &[]);
    let (lower, upper) = (said.find("lower").unwrap(), said.find("upper").unwrap());
    assert!(status == 0 && lower < upper && said.contains("lower_answer"), "{said}{error}");
    let command = "modprobe upper && modprobe -r upper && dmesg | tail -n 3";
    let (said, error, status) = run(&["vm"], folder.path(), &["--", command]);
    assert!(status == 0 && said.contains("the answer is 42"), "{said}{error}");
    let (said, error, status) = run(&["check"], folder.path(), &[]);
    assert!(status == 0 && said.contains("upper.ko"), "{said}{error}");
    let (_, error, status) = run(&["symvers", "check"], folder.path(), &[]);
    assert!(status == 2 && error.contains("keeps no Module.symvers.expected"), "{error}");
    assert_eq!(names(folder.path()), before, "the folder is as its owner left it");

    let versions = kernel().config().unwrap().has("MODVERSIONS");
    let (_, error, status) = run(&["symvers", "bless"], folder.path(), &[]);
    assert_eq!(status, if versions { 0 } else { 2 }, "{error}");
    if versions {
        let (said, error, status) = run(&["symvers", "check"], folder.path(), &[]);
        assert!(status == 0 && said.contains("1 symbols are as blessed"), "{said}{error}");
    }

    // The upper one against a lower one that lost its symbol.
    fs::write(folder.path().join("lower/lower.c"), LOWER.replace("lower_answer", "other")).unwrap();
    let (_, error, status) = run(&["build"], folder.path(), &[]);
    let undefined = |line: &str| line.contains("lower_answer") && line.contains("undefined!");
    assert!(status == 1 && error.lines().any(undefined), "{error}");
}

fn two_builders_of_one_stack_do_not_meet() {
    let temporary = c_stack(&format!("{KBUILD}{ONE_BUILDER}"));
    let build = || {
        let build_dir = BuildDir::open(kernel(), &temporary.stack).unwrap();
        build_dir.build_quiet(MakeTarget::Modules)
    };
    thread::scope(|scope| {
        let builders = [scope.spawn(build), scope.spawn(build)];
        for builder in builders {
            assert_eq!(builder.join().unwrap().unwrap().len(), 2);
        }
    });
}

fn a_stack_that_builds_nothing_and_one_that_is_none_are_told_apart() {
    let folder = stack(&[("Kbuild", "")]);
    let (_, error, status) = run(&["build"], folder.path(), &[]);
    assert!(status == 1 && error.contains("builds no module"), "{error}");
    let folder = stack(&[
        ("Kbuild", "obj-y += deep/ # obj-$(CONFIG_MODULES) is set\n"),
        ("deep/Makefile", "obj-$(CONFIG_OF_NO_KERNEL) += a.o\n"),
        ("deep/a.c", ""),
    ]);
    let (_, error, status) = run(&["build"], folder.path(), &[]);
    assert!(status == 1 && error.contains("does not set CONFIG_OF_NO_KERNEL\n"), "{error}");
    let folder = stack(&[
        ("Makefile", "all:\n\t$(MAKE) -C below\n"),
        ("below/Makefile", "obj-m := a.o\n"),
        ("below/a.c", ""),
    ]);
    let (_, error, status) = run(&["build"], folder.path(), &[]);
    let below = folder.path().join("below").canonicalize().unwrap();
    assert!(status == 1 && error.contains(", and its below/Makefile does\n"), "{error}");
    assert!(error.contains(&format!("--stack {}\n", below.display())), "{error}");
    let folder = stack(&[("Kbuild", "obj-m := $(\n")]);
    let (_, error, status) = run(&["build"], folder.path(), &[]);
    assert!(status == 1 && error.contains("the modules do not build"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let (_, error, status) = run(&["build"], empty.path(), &[]);
    assert!(status == 2 && error.contains("neither Kbuild nor Makefile"), "{error}");
}

fn a_stack_of_rust_is_refused_on_a_kernel_without_it_in_a_clear_sentence() {
    let folder = stack(&[("Kbuild", "obj-m := a.o\n"), ("a.rs", "// Not even a module.\n")]);
    let (_, error, status) = run(&["build"], folder.path(), &[]);
    let refused = error.contains(&format!("a.rs is Rust, and {} has no CONFIG_RUST", kernel()));
    let has_rust = kernel().config().unwrap().has("RUST");
    assert!(status == 1 && refused != has_rust, "{error}");
}

fn a_command_sees_the_kernels_headers_and_writes_in_its_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let enter = |command: &str| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
        run.args(["enter", "--kernel", &kernel().name.to_string(), "--folder"]).arg(folder.path());
        run.args(["--", command]).output().unwrap().status.code()
    };
    assert_eq!(enter("test -f $KDIR/Module.symvers && echo x > here && exit 7"), Some(7));
    assert_eq!(names(folder.path()), ["here"]);
    assert_ne!(enter("echo x > $KDIR/there"), Some(0));
}

fn a_guest_does_without_a_stack_and_takes_words_for_its_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
    run.current_dir(folder.path()).args(["vm", "--kernel", &kernel().name.to_string()]);
    run.args(["--cmdline", "loglevel=3", "--cmdline", "mine.word=7", "--"]);
    let output = run.arg("cat /proc/cmdline; ls /lib/modules/*/updates").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(" loglevel=3 mine.word=7"), "{said}");
    assert!(!said.contains(".ko"), "{said}");
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!log.contains("no stack"), "{log}");
}
