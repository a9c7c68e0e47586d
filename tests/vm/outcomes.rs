//! Outcomes of a proof that are neither green nor red, in every form.

use std::fs;

use serde_json::Value;

use crate::{
    any_stack::{run, stack},
    harness::{Needs, Test},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::OwnModules => [a_missing_device_and_a_failing_soft_dependency_are_told_and_no_fault],
    )
}

/// A module for a device that no guest has.
const LACKS: &str = "#include <linux/module.h>
static int __init lacks_init(void) { return -ENODEV; }
module_init(lacks_init);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"finds no device\");
";
/// A module that likes to have one of the kernel's own, which is for processors of VIA's.
const LIKES: &str = "#include <linux/module.h>
MODULE_SOFTDEP(\"pre: padlock-aes\");
static int __init likes_init(void) { return 0; }
static void __exit likes_exit(void) { }
module_init(likes_init);
module_exit(likes_exit);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"likes padlock-aes\");
";

fn a_missing_device_and_a_failing_soft_dependency_are_told_and_no_fault() {
    let stack =
        stack(&[("Kbuild", "obj-m := lacks.o likes.o\n"), ("lacks.c", LACKS), ("likes.c", LIKES)]);
    let forms = tempfile::tempdir().unwrap();
    let form = |name: &str| forms.path().join(name).to_str().unwrap().to_owned();
    let (xml, ktap, page) = (form("p.xml"), form("p.ktap"), form("p.html"));
    let words = ["--json", "--junit", &xml, "--ktap", &ktap, "--report", &page];
    let (said, error, status) = run(&["prove"], stack.path(), &words);
    assert_eq!(status, 0, "{error}");
    let proof: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(proof["kernels"][0]["result"], "no-device");
    let answers = proof["kernels"][0]["answers"].as_array().unwrap();
    let answer = |question: &str, module: &str| {
        let is = |a: &&Value| a["question"] == question && a["module"] == module;
        answers.iter().find(is).unwrap_or_else(|| panic!("{question} {module}: {answers:#?}"))
    };
    let lacks = answer("load", "lacks");
    assert_eq!(lacks["answer"], "no-device", "{lacks}");
    assert!(lacks["reason"].as_str().unwrap().contains("ENODEV"), "{lacks}");
    assert_eq!(answer("load", "likes")["answer"], "holds");
    let soft = answer("load", "padlock_aes");
    assert_eq!(soft["answer"], "skipped", "{soft}");
    assert!(soft["reason"].as_str().unwrap().contains("which modprobe ignores"), "{soft}");

    let read = |file: &str| fs::read_to_string(file).unwrap();
    let (xml, ktap, page) = (read(&xml), read(&ktap), read(&page));
    assert!(xml.contains("finds no device of its kind") && xml.contains("<skipped"), "{xml}");
    assert!(!xml.contains("<failure"), "{xml}");
    let skips = |line: &str| line.contains("lacks") && line.contains("# SKIP");
    assert!(ktap.lines().any(skips) && !ktap.contains("not ok"), "{ktap}");
    assert!(page.contains("no device here"), "{page}");

    let (said, error, status) = run(&["prove"], stack.path(), &["--strict"]);
    assert_eq!(status, 1, "{said}{error}");
    assert!(said.contains("1 without its device"), "{said}");
}
