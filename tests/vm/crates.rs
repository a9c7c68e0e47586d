//! A Rust module that uses another one as a crate: what builds, what the kernel takes and refuses.

use std::fs;

use ko::seal::Seal;
use stack::symvers::{Symvers, SymversEntry};
use xtask::{build::BuildDir, kernel::KernelName};

use crate::{
    build::{Edit, edited},
    harness::{Needs, Test},
    kernel,
    stack::{build_dir, expect, run},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            a_crate_is_used_through_the_kernels_symbol_table,
            what_a_generic_function_counts_is_counted_once,
            an_importer_of_another_crate_is_refused,
            every_export_of_a_crate_has_a_version_where_symbols_have_versions,
        ],
        Needs::Only(KernelName::Lab) => [an_exports_version_follows_its_type],
    )
}

/// Another layout of what a counter is, which no signature and no mangled name shows.
const OTHER_LAYOUT: &[Edit] = &[
    (
        "provider/counter.rs",
        "    pub(super) name: CString,\n",
        "    pub(super) filler: [u64; 40],\n    pub(super) name: CString,\n",
    ),
    (
        "provider/counter.rs",
        "            name: CString::try_from(name)?,\n",
        "            filler: [0; 40],\n            name: CString::try_from(name)?,\n",
    ),
    ("provider/provider_main.rs", "Entry { name, value }", "Entry { name, value, .. }"),
];

/// Builds a stack with these edits.
fn built(name: &str, edits: &[Edit]) -> BuildDir<'static> {
    let other = edited(name, edits);
    let outcome = other.make("modules").output().unwrap();
    assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    other
}

/// What the provider of a stack exports of its crate: the mangled names, and the seal.
fn crate_exports(build_dir: &BuildDir<'_>) -> (Vec<SymversEntry>, SymversEntry) {
    let symvers = Symvers::parse(fs::read(build_dir.symvers()).unwrap()).unwrap();
    let of_crate = symvers.entries().iter().filter(|entry| entry.is_of_a_crate()).cloned();
    let (seals, names): (Vec<_>, Vec<_>) =
        of_crate.partition(|entry| Seal::parse(&entry.symbol).is_some());
    let [seal] = seals.try_into().unwrap();
    (names, seal)
}

fn a_crate_is_used_through_the_kernels_symbol_table() {
    let counters = "cat /sys/kernel/debug/provider/counters";
    let report = run(
        &build_dir().stack(),
        &["modprobe tally", counters, "rmmod provider", "modprobe -r tally; lsmod | wc -l"],
    );
    let said = [
        "tally: 12 marks, 2 sums in all",
        "tally: 42 while 30 are held",
        // The errno has a name only with CONFIG_SYMBOLIC_ERRNAME, which lab does not have.
        "tally: 12 after an overflow: ",
    ];
    expect(&report, "modprobe tally", 0, &said);
    expect(&report, counters, 0, &["tally 12\n"]);
    expect(&report, "rmmod provider", 1, &["Module provider is in use by: tally"]);
    let said = ["1\n", "tally: ends at 12", "provider: unloaded"];
    expect(&report, "modprobe -r tally; lsmod | wc -l", 0, &said);
}

/// The code of a generic function is in its importer, the statics it uses are in the exporter.
fn what_a_generic_function_counts_is_counted_once() {
    let again = "rmmod tally; modprobe tally";
    let report = run(&build_dir().stack(), &["modprobe provider", "modprobe tally", again]);
    expect(&report, "modprobe tally", 0, &["tally: 12 marks, 2 sums in all"]);
    expect(&report, again, 0, &["tally: ends at 12", "tally: 12 marks, 4 sums in all"]);
}

/// Without MODVERSIONS only the seal tells: every other name is the same.
fn an_importer_of_another_crate_is_refused() {
    let other = built("other-layout", OTHER_LAYOUT);
    let (names, seal) = crate_exports(build_dir());
    let (other_names, other_seal) = crate_exports(&other);
    let symbols = |names: &[SymversEntry]| -> Vec<_> {
        names.iter().map(|entry| entry.symbol.clone()).collect()
    };
    assert_eq!(symbols(&names), symbols(&other_names));
    assert_ne!(seal.symbol, other_seal.symbol);

    let mixed = [other.stack()[0].clone(), build_dir().stack()[2].clone()];
    let report = run(&mixed, &["modprobe provider", "modprobe tally"]);
    let unknown = format!("tally: Unknown symbol {} (err -2)", seal.symbol);
    expect(&report, "modprobe provider", 0, &[]);
    expect(&report, "modprobe tally", 1, &[&unknown, "Unknown symbol in module"]);
    if kernel().config().unwrap().has("MODVERSIONS") {
        expect(&report, "modprobe tally", 1, &["tally: disagrees about version of symbol _RNv"]);
    }
}

fn every_export_of_a_crate_has_a_version_where_symbols_have_versions() {
    let (names, seal) = crate_exports(build_dir());
    assert!(names.len() > 5, "{names:?}");
    let modversions = kernel().config().unwrap().has("MODVERSIONS");
    for entry in names.iter().chain([&seal]) {
        assert_eq!(entry.crc != 0, modversions, "{}", entry.symbol);
    }
}

fn an_exports_version_follows_its_type() {
    let (names, _) = crate_exports(build_dir());
    let (others, _) = crate_exports(&built("other-layout-versions", OTHER_LAYOUT));
    for method in ["7Counter3add", "7Counter3new", "7Counter4hold", "4Drop4drop"] {
        let crc = |entries: &[SymversEntry]| {
            entries.iter().find(|entry| entry.symbol.ends_with(method)).unwrap().crc
        };
        assert_ne!(crc(&names), crc(&others), "{method}");
    }
    let sums = |entries: &[SymversEntry]| {
        entries.iter().find(|entry| entry.symbol.ends_with("7counter4sums")).unwrap().crc
    };
    assert_eq!(sums(&names), sums(&others), "a function without the type keeps its version");
}
