//! `prove` of stacks that say in `symstack.toml` what they expect.

use std::{fs, process::Command};

use xtask::guest::{
    Guest,
    device::{Device, MODELS},
};

use crate::{
    any_stack::{Temporary, run, stack},
    guest,
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            parameters_arrive_and_an_init_returns_the_error_that_is_expected,
            an_expectation_that_does_not_come_true_is_red,
            the_command_line_comes_before_what_the_stack_says,
            a_module_that_needs_one_whose_init_fails_as_expected_is_red,
            a_complaint_that_is_allowed_is_told_and_no_other_is_passed_over,
            a_guest_has_the_devices_that_are_expected,
            every_device_of_the_list_is_one_of_qemus,
        ],
    )
}

/// A module that takes parameters.
const TAKES: &str = "#include <linux/module.h>
static int start; module_param(start, int, 0444);
static char *label = \"\"; module_param(label, charp, 0444);
static int __init takes_init(void) { return 0; }
static void __exit takes_exit(void) { }
module_init(takes_init);
module_exit(takes_exit);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"takes parameters\");
";
/// A module whose init fails.
const FAILS: &str = "#include <linux/module.h>
static int __init fails_init(void) { return -EIO; }
module_init(fails_init);
MODULE_LICENSE(\"GPL\");
MODULE_DESCRIPTION(\"fails\");
";

fn both() -> Temporary {
    stack(&[("Kbuild", "obj-m := takes.o fails.o\n"), ("takes.c", TAKES), ("fails.c", FAILS)])
}

/// Returns all that `prove` says of a stack that expects this, and its status.
fn proven(folder: &Temporary, expected: &str) -> (String, i32) {
    fs::write(folder.path().join("symstack.toml"), expected).unwrap();
    let (said, error, status) = run(&["prove"], folder.path(), &[]);
    (said + &error, status)
}

#[track_caller]
fn row(said: &str, name: &str, end: &str) {
    let row = said.lines().find(|line| line.starts_with(&format!("{name} ")));
    assert!(row.is_some_and(|row| row.ends_with(&format!(" {end}"))), "{name} {end}:\n{said}");
}

fn parameters_arrive_and_an_init_returns_the_error_that_is_expected() {
    let expected = r#"
run = "cd /sys/module/takes/parameters && grep -x 40 start && grep -x 'two words' label"
[modules.takes]
parameters = ["start=40", "label=two words"]
[modules.fails]
errno = "EIO"
"#;
    let folder = both();
    let (said, status) = proven(&folder, expected);
    assert_eq!(status, 0, "{said}");
    ["takes", "fails", "run", "kernel log"].iter().for_each(|name| row(&said, name, "ok"));
    // Without the parameters, and with another error: all that was green rests on the file.
    let (said, status) = proven(&folder, &expected.replace("40\"", "41\"").replace("EIO", "ENXIO"));
    assert_eq!(status, 1, "{said}");
    row(&said, "fails", "EIO");
    row(&said, "run", "status 1");
    let reason = "load fails: its init fails: Input/output error, and symstack.toml expects ENXIO";
    assert!(said.contains(reason), "{said}");
}

fn the_command_line_comes_before_what_the_stack_says() {
    let folder = stack(&[("Kbuild", "obj-m := takes.o\n"), ("takes.c", TAKES)]);
    let name = kernel().name.to_string();
    let expected = format!("kernels = [\"{name}\", \"{name}\"]\nrun = \"exit 3\"\n");
    fs::write(folder.path().join("symstack.toml"), expected).unwrap();
    let said = |rest: &[&str]| {
        let mut prove = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output = prove.args(["prove", "--stack"]).arg(folder.path()).args(rest).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let by_file = said(&[]);
    let run = by_file.lines().find(|line| line.starts_with("run "));
    assert_eq!(run.map_or(0, |run| run.matches("status 3").count()), 2, "{by_file}");
    let words = "holds on 0 of 2 kernels, by what its symstack.toml expects";
    assert!(by_file.contains(words), "{by_file}");
    let by_hand = said(&["--kernel", &name, "--run", "true"]);
    row(&by_hand, "run", "ok");
    assert!(by_hand.contains("holds on 1 of 1 kernels"), "{by_hand}");
}

fn a_module_that_needs_one_whose_init_fails_as_expected_is_red() {
    let gives = FAILS.replace(
        "static int",
        "int given(void); int given(void) { return 0; }\n\
         EXPORT_SYMBOL_GPL(given);\nstatic int",
    );
    let needs = TAKES
        .replace("return 0;", "return given();")
        .replace("static int start", "int given(void);\nstatic int start");
    let kbuild = "obj-m := gives.o needs.o\n";
    let folder = stack(&[("Kbuild", kbuild), ("gives.c", &gives), ("needs.c", &needs)]);
    let (said, status) = proven(&folder, "[modules.gives]\nerrno = \"EIO\"\n");
    assert_eq!(status, 1, "{said}");
    row(&said, "gives", "ok");
    row(&said, "needs", "no load");
    assert!(said.contains("load needs: it needs gives, which is not loaded"), "{said}");
}

fn an_expectation_that_does_not_come_true_is_red() {
    let expected = r#"
[modules.takes]
parameters = ["begin=40"]
[modules.fail]
errno = "EIO"
"#;
    let folder = both();
    let (said, status) = proven(&folder, expected);
    assert_eq!(status, 1, "{said}");
    row(&said, "takes", "parameter");
    row(&said, "fail", "not built");
    assert!(said.contains("load takes: takes: unknown parameter 'begin' ignored"), "{said}");
    assert!(said.contains("no such module; did you mean `fails`?"), "{said}");
    let (said, status) = proven(&folder, "[modules.takes]\nerrno = \"EIO\"\n");
    assert_eq!(status, 1, "{said}");
    row(&said, "takes", "loads");
    assert!(said.contains("its init returns no error, and symstack.toml expects EIO"), "{said}");
    let (said, status) = proven(&folder, "[modules.takes]\nerno = \"EIO\"\n");
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("symstack.toml:2: unknown key `erno`\nhint: did you mean `errno`?"));
}

/// A module that complains once in its init and, where wanted, again in its exit.
fn warns(again: &str) -> String {
    format!(
        "#include <linux/module.h>\n\
         static noinline void known(void) {{ WARN(1, \"as ever\\n\"); }}\n\
         static noinline void unknown(void) {{ WARN_ON(1); }}\n\
         static int __init warns_init(void) {{ known(); return 0; }}\n\
         static void __exit warns_exit(void) {{ known(); {again} }}\n\
         module_init(warns_init);\nmodule_exit(warns_exit);\n\
         static void *keep __used = unknown;\n\
         MODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"warns\");\n"
    )
}

fn a_complaint_that_is_allowed_is_told_and_no_other_is_passed_over() {
    let expected = "[[log]]\nhas = \" known+0x\"\nreason = \"an old device\"\n";
    let folder = stack(&[("Kbuild", "obj-m := warns.o\n"), ("warns.c", &warns(""))]);
    let (said, status) = proven(&folder, "");
    assert_eq!(status, 1, "{said}");
    row(&said, "warns", "WARNING");
    let (said, status) = proven(&folder, expected);
    assert_eq!(status, 0, "{said}");
    ["warns", "kernel log"].iter().for_each(|name| row(&said, name, "ok"));
    let told = said.matches("(an old device): WARNING: ").count();
    assert_eq!(told, 2, "one while it loads, one while it goes:\n{said}");
    fs::write(folder.path().join("warns.c"), warns("unknown();")).unwrap();
    let (said, status) = proven(&folder, expected);
    assert_eq!(status, 1, "{said}");
    row(&said, "warns", "WARNING");
    row(&said, "kernel log", "complains");
    assert!(said.contains("unload warns: WARNING: ") && said.contains(" unknown+0x"), "{said}");
}

fn a_guest_has_the_devices_that_are_expected() {
    // docs/specs/edu.rst of QEMU has its numbers.
    let finds = "#include <linux/module.h>\n#include <linux/pci.h>\n\
        static int __init finds_init(void) {\n\
        struct pci_dev *edu = pci_get_device(0x1234, 0x11e8, NULL);\n\
        if (!edu) return -ENODEV;\n\
        pci_dev_put(edu);\nreturn 0; }\n\
        static void __exit finds_exit(void) { }\n\
        module_init(finds_init);\nmodule_exit(finds_exit);\n\
        MODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"finds\");\n";
    let folder = stack(&[("Kbuild", "obj-m := finds.o\n"), ("finds.c", finds)]);
    let lacks = "devices = [\"e1000\"]\n[modules.finds]\nerrno = \"ENODEV\"\n";
    let (said, status) = proven(&folder, lacks);
    assert_eq!(status, 0, "{said}");
    row(&said, "finds", "ok");
    let (said, status) = proven(&folder, "devices = [\"e1000\", \"edu\"]\n");
    assert_eq!(status, 0, "{said}");
    row(&said, "finds", "ok");
}

fn every_device_of_the_list_is_one_of_qemus() {
    let list = "ls /sys/bus/pci/devices /sys/bus/usb/devices 2> /dev/null | grep -c :";
    let count = |guest: Guest| -> usize {
        guest.run([list]).unwrap().commands[0].text().trim().parse().unwrap()
    };
    let devices = MODELS.iter().map(|model| Device::of_model(model).unwrap());
    let all = devices.fold(guest(), Guest::device);
    let on_pci = MODELS.iter().filter(|model| !model.starts_with("usb-")).count();
    assert!(count(all) >= count(guest()) + on_pci, "some are missing");
}
