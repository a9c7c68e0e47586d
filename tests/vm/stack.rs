//! The stack on the running kernel: what it does, and what the kernel refuses.

use std::{fs, path::PathBuf, process::Command};

use stack::symvers::Symvers;
use stack::symvers_diff::{CrcComparison, compare};
use xtask::{
    build::{BuildDir, MakeTarget, Stack, project},
    guest::report::{CommandReport, Report},
};

use crate::{
    build::edited,
    guest,
    harness::{Needs, Test, differs},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            modprobe_consumer_pulls_in_the_provider,
            insmod_alone_does_not_find_the_provider,
            a_write_to_the_device_is_taken_whole_or_refused,
            the_abi_keeps_every_promise_of_its_header,
            a_provider_without_room_refuses_the_consumer,
            a_provider_with_renamed_exports_is_noticed_and_its_consumer_refused,
            a_consumer_of_another_type_is_refused_where_symbols_have_versions,
            the_stack_exports_what_is_blessed,
        ],
    )
}

/// The stack and the test modules, built once for all tests.
pub(crate) fn build_dir() -> &'static BuildDir {
    static BUILD_DIR: std::sync::OnceLock<BuildDir> = std::sync::OnceLock::new();
    BUILD_DIR.get_or_init(|| {
        let build_dir = BuildDir::open(kernel(), &Stack::for_target(MakeTarget::Tests)).unwrap();
        build_dir.build_quiet(MakeTarget::Tests).unwrap();
        build_dir
    })
}

/// Runs commands in a guest that has these modules, after `depmod -a`.
pub(crate) fn run(modules: &[PathBuf], commands: &[&str]) -> Report {
    let guest = modules.iter().fold(guest(), |guest, module| guest.module(module));
    let commands = ["depmod -a"].iter().chain(commands).copied();
    guest.run(commands).unwrap()
}

/// Returns the output of a step, by the command and by the kernel.
pub(crate) fn said(step: &CommandReport) -> String {
    let kernel: String = step.kernel.iter().map(|message| format!("{}\n", message.text)).collect();
    format!("{}{kernel}", String::from_utf8_lossy(&step.output))
}

/// Fails unless a step ended so and said all of this.
pub(crate) fn expect(report: &Report, command: &str, status: u8, parts: &[&str]) {
    let step = report.commands.iter().find(|step| step.command == command);
    let step = step.unwrap_or_else(|| panic!("{command} did not run"));
    let text = said(step);
    assert_eq!(step.status, status, "{command}:\n{text}");
    for part in parts {
        assert!(text.contains(part), "{command} did not say `{part}`:\n{text}");
    }
}

fn modprobe_consumer_pulls_in_the_provider() {
    let counters = "cat /sys/kernel/debug/provider/counters";
    let report = run(
        &build_dir().modules().unwrap(),
        &[
            "modprobe consumer start=40",
            "lsmod",
            "echo 2 > /dev/consumer; cat /dev/consumer",
            counters,
            "rmmod provider",
            "sh -c 'exec 3< /dev/consumer; rmmod consumer'",
            "modprobe -r consumer; lsmod | wc -l",
        ],
    );
    expect(
        &report,
        "modprobe consumer start=40",
        0,
        &[
            "provider: room for 16 counters",
            "consumer: /dev/consumer starts at 40, as one of 1 counters",
        ],
    );
    expect(&report, "echo 2 > /dev/consumer; cat /dev/consumer", 0, &["42\n"]);
    expect(&report, counters, 0, &["consumer 42\n"]);
    expect(&report, "rmmod provider", 1, &["Module provider is in use by: consumer"]);
    expect(&report, "sh -c 'exec 3< /dev/consumer; rmmod consumer'", 1, &["in use"]);
    expect(&report, "modprobe -r consumer; lsmod | wc -l", 0, &["1\n", "provider: unloaded"]);
}

fn insmod_alone_does_not_find_the_provider() {
    let insmod = "insmod /lib/modules/$(uname -r)/updates/consumer.ko";
    let report = run(&build_dir().modules().unwrap(), &[insmod]);
    let said = "consumer: Unknown symbol provider_add (err -2)";
    expect(&report, insmod, 1, &[said, "Unknown symbol in module"]);
}

fn a_write_to_the_device_is_taken_whole_or_refused() {
    // Through cat, which tells the errno of its write; the shell's printf does not.
    let write = |text: &str| format!("printf -- '{text}' | cat > /dev/consumer");
    let garbage: Vec<String> = ["x", "1 2", "0x10", "1e3", "-"].map(write).into();
    let large = ["99999999999999999999999", "9223372036854775807"].map(write);
    let taken = write("-8\\n");
    let mut commands = vec!["modprobe consumer start=1"];
    commands.extend(garbage.iter().chain(&large).map(String::as_str));
    commands.extend([taken.as_str(), "cat /dev/consumer"]);
    let report = run(&build_dir().modules().unwrap(), &commands);
    for command in &garbage {
        expect(&report, command, 1, &["Invalid argument"]);
    }
    for command in &large {
        expect(&report, command, 1, &["Numerical result out of range"]);
    }
    expect(&report, &taken, 0, &[]);
    expect(&report, "cat /dev/consumer", 0, &["-7\n"]);
}

fn the_abi_keeps_every_promise_of_its_header() {
    let probe = build_dir().test_module("abi_probe");
    let modules: Vec<PathBuf> = build_dir().modules().unwrap().into_iter().chain([probe]).collect();
    let report = run(
        &modules,
        &[
            "modprobe abi_probe",
            "modprobe -r abi_probe; modprobe abi_probe leak=1 && rmmod abi_probe && rmmod provider",
        ],
    );
    expect(&report, "modprobe abi_probe", 0, &["DONE: ", ", 0 failed"]);
    let leak = &report.commands.last().unwrap().command.clone();
    expect(&report, leak, 0, &["abi-probe-leak was never unregistered"]);
}

fn a_provider_without_room_refuses_the_consumer() {
    let report = run(
        &build_dir().modules().unwrap(),
        &["modprobe provider max_counters=0", "modprobe consumer"],
    );
    // And then the errno: by its name only with CONFIG_SYMBOLIC_ERRNAME, which lab lacks.
    let said = "consumer: provider refused the counter: ";
    expect(&report, "modprobe consumer", 1, &[said, "No space left on device"]);
}

/// A provider whose exports have other names: the blessed ABI tells, and so does the kernel.
fn a_provider_with_renamed_exports_is_noticed_and_its_consumer_refused() {
    let files = ["provider/provider.h", "provider/provider_main.rs", "provider/provider_exports.c"];
    let edits = files.map(|file| (file, "provider_add", "provider_plus"));
    let renamed = edited("renamed-exports", &edits);
    // Each built alone: the provider as its new self, the consumer not at all.
    let outcome = renamed.make("split").output().unwrap();
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(text.contains("cannot find function `provider_add`"), "{text}");

    renamed.export().unwrap();
    let symvers = fs::read(renamed.products().join("provider/Module.symvers")).unwrap();
    let changes =
        compare(&blessed(), &Symvers::parse(symvers).unwrap().normalized(), CrcComparison::Ignore);
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert!(
        changes.iter().any(|change| change.contains("provider_add is no longer exported")),
        "{changes:?}"
    );
    assert!(changes.iter().any(|change| change.contains("provider_plus is new")), "{changes:?}");

    let stale = [renamed.modules().unwrap()[0].clone(), build_dir().modules().unwrap()[1].clone()];
    let report = run(&stale, &["modprobe provider", "modprobe consumer"]);
    let said = "consumer: Unknown symbol provider_add (err -2)";
    expect(&report, "modprobe provider", 0, &[]);
    expect(&report, "modprobe consumer", 1, &[said]);
}

/// A consumer built against another provider's symbols: what MODVERSIONS is for.
fn a_consumer_of_another_type_is_refused_where_symbols_have_versions() {
    let edits = [
        (
            "provider/provider.h",
            "unsigned int provider_count(void)",
            "unsigned long provider_count(void)",
        ),
        (
            "provider/provider_main.rs",
            "fn provider_count() -> c_uint",
            "fn provider_count() -> c_ulong",
        ),
        (
            "provider/provider_main.rs",
            "COUNTERS.lock().len() as c_uint",
            "COUNTERS.lock().len() as c_ulong",
        ),
        (
            "consumer/counter.rs",
            "pub(crate) fn registered() -> u32",
            "pub(crate) fn registered() -> usize",
        ),
    ];
    let other = edited("other-type", &edits);
    let outcome = other.make("modules").output().unwrap();
    assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    other.export().unwrap();

    let mixed = [other.modules().unwrap()[0].clone(), build_dir().modules().unwrap()[1].clone()];
    let report = run(&mixed, &["modprobe consumer"]);
    match kernel().config().unwrap().has("MODVERSIONS") {
        true => {
            expect(
                &report,
                "modprobe consumer",
                1,
                &[
                    "consumer: disagrees about version of symbol provider_count",
                    "consumer: Unknown symbol provider_count (err -22)",
                ],
            );
            let (said, holds) = explain(&other, "provider_count");
            let sentence = "provider_count returns long unsigned int and returned unsigned int";
            assert!(said.contains(sentence) && !holds, "{said}");
            let (said, holds) = explain(&other, "provider_add");
            assert!(said.contains("the blessed type is the same") && holds, "{said}");
        }
        // Nobody notices: it loads, and calls a function of another type.
        false => expect(&report, "modprobe consumer", 0, &["consumer: /dev/consumer starts at 0"]),
    }
}

fn the_stack_exports_what_is_blessed() {
    let built = fs::read(build_dir().symvers()).unwrap();
    let built = Symvers::parse(built).unwrap().normalized().without_crates();
    let crcs = CrcComparison::between(&blessed(), &built);
    let modversions = kernel().config().unwrap().has("MODVERSIONS");
    assert_eq!(
        crcs == CrcComparison::Compare,
        modversions,
        "CRCs are compared where the kernel has them"
    );
    assert_eq!(compare(&blessed(), &built, CrcComparison::Ignore), []);
    let changes = compare(&blessed(), &built, crcs);
    if !changes.is_empty() {
        // A newer kernel's own types are in the types that CRCs are of.
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        differs("Module.symvers.expected", &changes.join("\n"));
    }
}

/// Returns the output of `symvers explain` for a symbol of a build, and whether its type is as
/// blessed.
fn explain(build_dir: &BuildDir, symbol: &str) -> (String, bool) {
    let mut explain = Command::new(env!("CARGO_BIN_EXE_xtask"));
    explain.args(["symvers", "explain", symbol, "--symvers"]).arg(build_dir.symvers());
    explain.arg("--symtypes").arg(build_dir.products());
    explain.arg("--blessed").arg(project().join("Module.symtypes.expected"));
    let said = explain.output().unwrap();
    (String::from_utf8_lossy(&said.stdout).into_owned(), said.status.success())
}

fn blessed() -> Symvers {
    let path = project().join("Module.symvers.expected");
    Symvers::parse(fs::read(path).unwrap()).unwrap()
}
