//! The example of docs/14-crates: C below, crates upon crates, C above; outside of the project.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;
use xtask::{build::project, guest::report::Report};

use crate::{
    harness::{Needs, Test},
    kernel,
    stack::{expect, run},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            an_example_outside_the_project_builds_each_module_alone_by_plain_make,
            crates_and_c_modules_of_one_kbuild_file_load_in_order,
            a_generic_function_that_needs_what_is_not_exported_does_not_build,
        ],
    )
}

/// The modules, each after what it needs.
const MODULES: [&str; 5] = ["press", "ticket", "cloakroom", "evening", "report"];

/// The example in a folder that has nothing of the project around it.
pub(crate) fn example_outside() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example = project().join("docs/14-crates");
    for within in ["", "press", "ticket", "cloakroom", "evening", "report"] {
        fs::create_dir_all(folder.path().join(within)).unwrap();
        let files = example.join(within).read_dir().unwrap().map(|file| file.unwrap());
        for file in files.filter(|file| file.path().is_file()) {
            fs::copy(file.path(), folder.path().join(within).join(file.file_name())).unwrap();
        }
    }
    fs::copy(project().join("provider/crates.mk"), folder.path().join("crates.mk")).unwrap();
    folder
}

/// Runs a command where the kernel's headers and toolchain are, as a user does.
fn enter(folder: &Path, command: &str) -> (bool, String) {
    let mut enter = Command::new(env!("CARGO_BIN_EXE_xtask"));
    enter.args(["enter", "--kernel", &kernel().name.to_string(), "--folder"]).arg(folder);
    let output = enter.args(["--", command]).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// Loads the example by its uppermost module, and takes it down again.
fn loads(folder: &Path, path: impl Fn(&str) -> String) -> Report {
    let report = run(
        &MODULES.map(|module| folder.join(path(module))),
        &["modprobe report", "lsmod", "rmmod ticket", "modprobe -r report; lsmod | wc -l"],
    );
    let said = [
        "evening: tickets 1 and 2, 7 in all",
        "cloakroom: all 3 hooks are taken",
        "evening: 11 in all",
        "report: 11 in all",
    ];
    expect(&report, "modprobe report", 0, &said);
    expect(&report, "rmmod ticket", 1, &["Module ticket is in use by: evening cloakroom"]);
    let torn = [1, 2, 3, 4].map(|number| format!("ticket: {number} is torn"));
    expect(&report, "modprobe -r report; lsmod | wc -l", 0, &torn.each_ref().map(|torn| &**torn));
    report
}

fn an_example_outside_the_project_builds_each_module_alone_by_plain_make() {
    let folder = example_outside();
    let folder = folder.path();
    let (holds, said) = enter(folder, "make KDIR=$KDIR");
    assert!(holds, "{said}");
    assert!(!said.contains("warning: unused") && !said.contains("WARNING"), "{said}");
    loads(folder, |module| format!("{module}/{module}.ko"));

    let (holds, said) = enter(folder, "make KDIR=$KDIR");
    let steps = ["RUSTC", "CC [M]", "MODPOST", "LD [M]"];
    assert!(holds && !steps.iter().any(|step| said.contains(step)), "done again:\n{said}");

    // A change below is built into all that stand on it, through two crates.
    let source = folder.join("ticket/ticket_main.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(
        &source,
        text.replace("number: u64,\n}", "number: u64,\n    price: u64,\n}")
            .replace("number: press::next(),", "number: press::next(),\n            price: 0,"),
    )
    .unwrap();
    let (holds, said) = enter(folder, "make KDIR=$KDIR");
    assert!(holds, "{said}");
    for module in ["ticket", "cloakroom", "evening"] {
        assert!(said.contains(&format!("RUSTC [M] {module}_main.o")), "{module}:\n{said}");
    }
    assert!(!said.contains("CC [M]  press.o"), "{said}");
    loads(folder, |module| format!("{module}/{module}.ko"));
}

fn crates_and_c_modules_of_one_kbuild_file_load_in_order() {
    let example = example_outside();
    let flat = tempfile::tempdir().unwrap();
    let mut kbuild = "obj-m := report.o\n".to_string();
    for module in MODULES {
        for file in example.path().join(module).read_dir().unwrap().map(|file| file.unwrap()) {
            if file.file_name() == "Kbuild" {
                let text = fs::read_to_string(file.path()).unwrap();
                let lines = text.lines().filter(|line| !line.starts_with("include"));
                let lines = lines.map(|line| line.replace("obj-m := ", "obj-m += "));
                kbuild.extend(lines.map(|line| line + "\n"));
            } else {
                fs::copy(file.path(), flat.path().join(file.file_name())).unwrap();
            }
        }
    }
    // Within one file no module says that it offers its crate: its users do.
    let kbuild = kbuild.replace("crates-m := ", "# ") + "include $(src)/crates.mk\n";
    let kbuild = kbuild + "include $(src)/export.mk\n";
    fs::write(flat.path().join("Kbuild"), kbuild).unwrap();
    fs::copy(example.path().join("crates.mk"), flat.path().join("crates.mk")).unwrap();
    let (holds, said) = enter(flat.path(), "make -C $KDIR M=$PWD modules");
    assert!(holds, "{said}");
    loads(flat.path(), |module| format!("{module}.ko"));
}

/// The generic function is compiled into its importer, and calls there what only its own module
/// has.
fn a_generic_function_that_needs_what_is_not_exported_does_not_build() {
    let folder = example_outside();
    let source = folder.path().join("ticket/ticket_main.rs");
    let text = fs::read_to_string(&source).unwrap();
    let edited = text
        .replace("fn press_next() -> u64;", "fn press_next() -> u64;\n        fn paper() -> u64;")
        .replace(
            "/// Returns the next number.",
            "/// Returns how much paper is left.\n    #[inline]\n    \
            pub(super) fn paper_left() -> u64 {\n        \
            // SAFETY: It asks nothing of the caller.\n        unsafe { paper() }\n    }\n\n    \
            /// Returns the next number.",
        )
        .replace(
            "WEIGHT.fetch_add(thing",
            "WEIGHT.fetch_add(press::paper_left(), Relaxed);\n        \
            WEIGHT.fetch_add(thing",
        );
    fs::write(&source, edited).unwrap();
    let paper = "#include <linux/types.h>\nu64 paper(void);\nu64 paper(void) { return 0; }\n";
    fs::write(folder.path().join("ticket/paper.c"), paper).unwrap();
    let kbuild = folder.path().join("ticket/Kbuild");
    let text = fs::read_to_string(&kbuild).unwrap();
    fs::write(&kbuild, text.replace("ticket_main.o", "ticket_main.o paper.o")).unwrap();
    let (holds, said) = enter(folder.path(), "make KDIR=$KDIR");
    let undefined =
        |line: &str| ["evening.ko", "paper", "undefined!"].iter().all(|part| line.contains(part));
    assert!(!holds && said.lines().any(undefined), "{said}");
}
