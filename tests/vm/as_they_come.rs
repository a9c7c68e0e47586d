//! Stacks as they come: with headers beside them, in a repository of several levels, and with
//! objects and lists of symbols that none of their sources makes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use xtask::build::{BuildDir, Stack};

use crate::{
    any_stack::{Temporary, run, stack},
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            headers_and_makefiles_beside_a_stack_are_those_of_its_repository_or_of_a_root,
            objects_and_lists_that_no_source_makes_are_used_and_leftovers_are_not,
        ],
    )
}

/// A module that says a word of a header beside it.
const SAYS: &str = "#include <linux/module.h>
#include \"word.h\"
#include \"../number.h\"
static int __init says_init(void) { pr_info(WORD \" %d\\n\", NUMBER); return 0; }
static void __exit says_exit(void) { }
module_init(says_init);
module_exit(says_exit);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"says a word\");
";

/// A folder with a stack two levels below its top.
fn repository() -> (TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let says = base.path().join("drivers/says");
    fs::create_dir_all(&says).unwrap();
    fs::create_dir(base.path().join("include")).unwrap();
    for (name, text) in [
        ("common.mk", "ccflags-y += -I$(src)/../../include\n"),
        ("include/word.h", "#define WORD \"the word is first\"\n"),
        ("drivers/number.h", "#define NUMBER 41\n"),
        ("drivers/says/Kbuild", "obj-m := says.o\ninclude $(src)/../../common.mk\n"),
        ("drivers/says/says.c", SAYS),
    ] {
        fs::write(base.path().join(name), text).unwrap();
    }
    (base, says)
}

fn headers_and_makefiles_beside_a_stack_are_those_of_its_repository_or_of_a_root() {
    let (base, says) = repository();
    let top = base.path().canonicalize().unwrap();
    let (_, error, status) = run(&["build"], &says, &[]);
    let told = format!("which its sources name: --root {}", top.display());
    assert!(status == 1 && error.contains(&told), "{error}");
    let (said, error, status) = run(&["build"], &says, &["--root", top.to_str().unwrap()]);
    assert!(status == 0 && said.contains("says.ko"), "{said}{error}");
    let (_, error, status) = run(&["build"], &says, &["--root", "/usr"]);
    assert!(status == 2 && error.contains("does not lie in /usr"), "{error}");

    let git = Command::new("git").args(["init", "-q"]).current_dir(&top).status();
    assert!(git.unwrap().success());
    let temporary = Temporary::within(base, Path::new("drivers/says"));
    let command = "modprobe says; dmesg | tail -n 2";
    let (said, error, status) = run(&["vm"], &says, &["--", command]);
    assert!(status == 0 && said.contains("the word is first 41"), "{said}{error}");
    // A change beside the stack is one of the stack's.
    fs::write(top.join("drivers/number.h"), "#define NUMBER 42 +\n").unwrap();
    let (_, error, status) = run(&["build"], &says, &[]);
    assert!(status == 1 && error.contains("says.c:4"), "{error}");
    fs::write(top.join("drivers/number.h"), "#define NUMBER 42\n").unwrap();
    let (said, error, status) = run(&["vm"], &says, &["--", command]);
    assert!(status == 0 && said.contains("the word is first 42"), "{said}{error}");
    let left = fs::read_dir(top.join("drivers")).unwrap().count();
    assert_eq!(left, 2, "nothing is written beside the stack");
    drop(temporary);
}

/// The object of the build whose source the second stack does not have.
const BLOB: &str = "int blob_answer(void); int blob_answer(void) { return 40; }\n";
/// A module of the stack that shares a symbol.
const SHARES: &str = "#include <linux/module.h>
int shared_answer(void);
int shared_answer(void) { return 2; }
EXPORT_SYMBOL_GPL(shared_answer);
int blob_answer(void);
static int __init shares_init(void) { return blob_answer() == 40 ? 0 : -EINVAL; }
module_init(shares_init);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"shares an answer\");
";
/// A module that adds what an object and a module of another stack answer.
const ADDS: &str = "#include <linux/module.h>
int shared_answer(void);
int blob_answer(void);
static int __init adds_init(void) { pr_info(\"sum %d\\n\", blob_answer() + shared_answer()); return 0; }
static void __exit adds_exit(void) { }
module_init(adds_init);
module_exit(adds_exit);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"adds two answers\");
";

fn objects_and_lists_that_no_source_makes_are_used_and_leftovers_are_not() {
    let first = stack(&[
        ("Kbuild", "obj-m := shares.o\nshares-y := shares_main.o blob.o\n"),
        ("shares_main.c", SHARES),
        ("blob.c", BLOB),
    ]);
    let (_, error, status) = run(&["build"], first.path(), &[]);
    assert!(status == 0, "{error}");
    let built = BuildDir::open(kernel(), &Stack::in_folder(first.path()).unwrap()).unwrap();

    let second = stack(&[
        (
            "Kbuild",
            "obj-m := adds.o\nadds-y := adds_main.o vendor/blob.o\n\
             KBUILD_EXTRA_SYMBOLS := $(src)/vendor/Module.symvers\n",
        ),
        ("adds_main.c", ADDS),
        // modpost looks there for the sources that an object's version is of, and must find a file.
        ("vendor/.blob.o.cmd", "cmd_blob.o := true\n"),
        // Leftovers of a build in place for another kernel, which would not link.
        ("adds_main.o", "not even an object"),
        ("adds.o", "nor this"),
        ("Module.symvers", "0x00000000\tother\tadds\tEXPORT_SYMBOL\t\n"),
    ]);
    let vendor = second.path().join("vendor");
    fs::copy(built.tree().join("blob.o"), vendor.join("blob.o")).unwrap();
    fs::copy(built.symvers(), vendor.join("Module.symvers")).unwrap();
    let (said, error, status) = run(&["build"], second.path(), &[]);
    assert!(status == 0 && said.contains("adds.ko"), "{said}{error}");
    assert!(!error.contains("undefined!"), "{error}");
    let shares = built.modules().unwrap().remove(0);
    let command = "insmod shares.ko && modprobe adds && dmesg | tail -n 2";
    let with = ["--with", shares.to_str().unwrap(), "--", command];
    let (said, error, status) = run(&["vm"], second.path(), &with);
    assert!(status == 0 && said.contains("sum 42"), "{said}{error}");
}
