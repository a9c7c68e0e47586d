//! A Rust module that uses another one as a crate: what builds, what the kernel takes and refuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ko::seal::Seal;
use stack::symvers::{Symvers, SymversEntry};
use xtask::{
    build::{BuildDir, project},
    host::cache::write_script,
    kernel::KernelName,
};

use crate::{
    build::{Edit, edited, edited_anew, must_not_build},
    corpus::cases::Load,
    harness::{Needs, Test, skip},
    kernel,
    stack::{build_dir, expect, run, said},
    verdict::all_agree,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            a_crate_is_used_through_the_kernels_symbol_table,
            the_count_of_a_generic_function_is_one_for_all,
            broken_users_of_a_crate_are_judged_as_by_the_kernel,
            every_export_of_a_crate_has_a_version_where_symbols_have_versions,
            a_crates_user_has_no_header_and_nothing_unsafe,
            a_changed_crate_builds_its_user_again,
            a_seal_is_asked_of_rustc_once_in_each_folder,
            a_crate_is_used_by_a_module_that_is_built_elsewhere_and_later,
            a_user_under_another_license_does_not_build,
            a_name_that_modpost_cannot_take_does_not_build,
            a_call_of_a_crate_costs_what_a_call_of_c_costs,
        ],
        Needs::Only(KernelName::LAB) => [an_exports_version_follows_its_type],
    )
}

/// Another layout of what a counter is, which no signature and no mangled name shows.
pub(crate) const OTHER_LAYOUT: &[Edit] = &[
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
pub(crate) fn built(name: &str, edits: &[Edit]) -> BuildDir {
    let other = edited(name, edits);
    let outcome = other.make("modules").output().unwrap();
    assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    other.export().unwrap();
    other
}

/// Returns the exports of a provider's crate: the mangled names, and the seal.
pub(crate) fn crate_exports(build_dir: &BuildDir) -> (Vec<SymversEntry>, SymversEntry) {
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
        &build_dir().modules().unwrap(),
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
fn the_count_of_a_generic_function_is_one_for_all() {
    let again = "rmmod tally; modprobe tally";
    let report =
        run(&build_dir().modules().unwrap(), &["modprobe provider", "modprobe tally", again]);
    expect(&report, "modprobe tally", 0, &["tally: 12 marks, 2 sums in all"]);
    expect(&report, again, 0, &["tally: ends at 12", "tally: 12 marks, 4 sums in all"]);
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

fn a_crates_user_has_no_header_and_nothing_unsafe() {
    let source = fs::read_to_string(project().join("tally/tally_main.rs")).unwrap();
    assert!(source.contains("use provider::"), "{source}");
    // `unsafe` as code, not as a word of a comment.
    for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for word in ["unsafe", "extern", "include!", "bindings"] {
            assert!(!line.contains(word), "{line}");
        }
    }
}

fn a_changed_crate_builds_its_user_again() {
    let stack = built("crate-again", &[]);
    let source = stack.tree().join("provider/counter.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("SUMS.fetch_add(1, Relaxed)", "SUMS.fetch_add(2, Relaxed)"))
        .unwrap();
    let outcome = stack.make("modules").output().unwrap();
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.status.success(), "{text}");
    for step in ["provider/provider_main.o", "EXPORTS provider/", "tally/tally_main.o"] {
        assert!(text.contains(step), "{step}:\n{text}");
    }
    assert!(!text.contains("consumer/consumer_main.o"), "it uses the C ABI:\n{text}");
}

fn a_seal_is_asked_of_rustc_once_in_each_folder() {
    let stack = edited_anew("crate-asked", &[]);
    let rustc = stack.tree().join("rustc");
    let script =
        "#!/bin/sh\n[ \"$1\" != -Zls=root ] || echo \"$2\" >> \"$0-asked\"\nexec rustc \"$@\"\n";
    write_script(&rustc, script).unwrap();
    let outcome = stack.make("modules").arg(format!("RUSTC={}", rustc.display())).output().unwrap();
    assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    // Each answer costs 40 ms of every edit.
    let asked = fs::read_to_string(stack.tree().join("rustc-asked")).unwrap();
    assert_eq!(asked, "provider/libprovider.rmeta\ntally/../provider/libprovider.rmeta\n");
}

/// Runs plain `make` for a module in a folder outside the project.
pub(crate) fn make_outside(folder: &Path, module: &str, more: &[&str]) -> (bool, String) {
    let make = kernel().toolchain.run("make", folder).arg("-C").arg(&kernel().kdir);
    let make = make.arg(format!("M={}", folder.join(module).display()));
    let outcome = make.arg(kernel().config().unwrap().compiler()).args(more).output().unwrap();
    (outcome.status.success(), format!("{}{}", outcome.stdout, outcome.stderr))
}

/// Metadata as a rustc of another version would have written it.
fn by_another_rustc(metadata: &[u8]) -> Vec<u8> {
    let mark = b"rustc ";
    let at = metadata.windows(mark.len()).position(|window| window == mark).unwrap();
    let mut other = metadata.to_vec();
    // `rustc 1.85.1` becomes `rustc 2.85.1`.
    assert_eq!(other[at + mark.len()], b'1');
    other[at + mark.len()] = b'2';
    other
}

/// provider and tally in folders and builds of their own, outside of the project.
struct Apart(tempfile::TempDir);

impl Apart {
    fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path();
        for (from, to) in [("provider", "first/provider"), ("tally", "second/tally")] {
            fs::create_dir_all(folder.join(to)).unwrap();
            for file in project().join(from).read_dir().unwrap().map(|file| file.unwrap()) {
                fs::copy(file.path(), folder.join(to).join(file.file_name())).unwrap();
            }
        }
        fs::create_dir(folder.join("second/provider")).unwrap();
        let crates_mk = folder.join("second/provider/crates.mk");
        fs::copy(project().join("provider/crates.mk"), crates_mk).unwrap();
        Self(outside)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn provider(&self) {
        let (holds, text) = make_outside(self.0.path(), "first/provider", &[]);
        assert!(holds, "{text}");
    }

    fn tally(&self) -> (bool, String) {
        let symvers = self.path("first/provider/Module.symvers");
        let extra = format!("KBUILD_EXTRA_SYMBOLS={}", symvers.display());
        make_outside(self.0.path(), "second/tally", &[&extra])
    }

    fn refuses_tally(&self, sentence: &str) {
        let (holds, text) = self.tally();
        assert!(!holds && text.contains(sentence), "{sentence}:\n{text}");
    }
}

fn a_crate_is_used_by_a_module_that_is_built_elsewhere_and_later() {
    let apart = Apart::new();
    apart.refuses_tally("tally uses the crate provider, and libprovider.rmeta is in none of:");
    apart.provider();
    let (holds, text) = apart.tally();
    assert!(holds && text.contains("RUSTC"), "{text}");
    let (holds, text) = apart.tally();
    assert!(holds && !text.contains("RUSTC") && !text.contains("MODPOST"), "{text}");

    metadata_of_another_build_is_refused(&apart);

    // A file that is gone is made again, by its own build.
    let metadata = apart.path("first/provider/libprovider.rmeta");
    fs::remove_file(&metadata).unwrap();
    apart.refuses_tally("libprovider.rmeta is in none of:");
    apart.provider();
    assert!(metadata.exists());
    let (holds, text) = apart.tally();
    assert!(holds, "{text}");
    let modules = ["first/provider/provider.ko", "second/tally/tally.ko"];
    let report = run(&modules.map(|module| apart.path(module)), &["modprobe tally"]);
    expect(&report, "modprobe tally", 0, &["tally: 12 marks, 2 sums in all"]);
}

/// The two files of a crate come from one build, and that by the same compiler.
fn metadata_of_another_build_is_refused(apart: &Apart) {
    let of_another_build = "are not of one build of provider (which exports provider_abi_";
    let symvers = apart.path("first/provider/Module.symvers");
    let exports = fs::read_to_string(&symvers).unwrap();
    fs::write(&symvers, exports.replace("_abi_", "_abi_0")).unwrap();
    apart.refuses_tally(of_another_build);
    fs::write(&symvers, exports).unwrap();
    let metadata = apart.path("first/provider/libprovider.rmeta");
    let whole = fs::read(&metadata).unwrap();
    // The version of the compiler is the one thing in it that every rustc can read.
    fs::write(&metadata, by_another_rustc(&whole)).unwrap();
    apart.refuses_tally("libprovider.rmeta was made by another compiler than rustc");
    fs::write(&metadata, &whole[..whole.len() / 2]).unwrap();
    apart.refuses_tally("libprovider.rmeta was made by another compiler than rustc");
    fs::write(&metadata, &whole).unwrap();

    // Metadata that is older than its object: what is beside it is of a later build.
    let source = apart.path("first/provider/counter.rs");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, format!("{text}\n/// New.\npub const NEW: u64 = 1;\n")).unwrap();
    apart.provider();
    assert_ne!(whole, fs::read(&metadata).unwrap());
    fs::write(&metadata, &whole).unwrap();
    apart.refuses_tally(of_another_build);
}

fn a_user_under_another_license_does_not_build() {
    let edit = ("tally/tally_main.rs", "license: \"GPL\"", "license: \"Proprietary\"");
    // 7.3 names the module before this, 7.2 within it.
    let said = ["GPL-incompatible module", "tally.ko", "uses GPL-only symbol 'provider_abi_"];
    must_not_build("crate-license", &[edit], &said);
}

fn a_name_that_modpost_cannot_take_does_not_build() {
    let name = "a".repeat(180);
    let item = format!(
        "/// Long.\npub mod {name} {{\n    /// Long.\n    #[inline(never)]\n    \
         pub fn {name}() -> u64 {{\n        super::sums() + 1\n    }}\n}}\n\n\
         /// Returns how many sums"
    );
    let edits = [
        ("provider/counter.rs", "/// Returns how many sums", &*item.leak()),
        ("provider/provider_main.rs", "    sums,\n", &*format!("    sums,\n    {name},\n").leak()),
    ];
    let said = "characters, 400 is the most that modpost takes beside the rest of its line";
    must_not_build("crate-name", &edits, &[said]);
}

/// A module of a stack, with one text in it replaced by another of the same length.
fn patched(module: &Path, from: &str, to: &str) -> Load {
    let mut file = fs::read(module).unwrap();
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..file.len() - from.len())
        .filter(|&at| file[at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{} has no {from}", module.display());
    for at in places {
        file[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    Load { file, args: "", flags: 0 }
}

fn broken_users_of_a_crate_are_judged_as_by_the_kernel() {
    let (ours, other) = (build_dir(), built("other-layout-judged", OTHER_LAYOUT));
    let module = |dir: &BuildDir, index: usize| dir.modules().unwrap()[index].clone();
    let (provider, tally) = (module(ours, 0), module(ours, 2));
    let whole = |path: &Path| Load { file: fs::read(path).unwrap(), args: "", flags: 0 };
    let (seal, other_seal) = (crate_exports(ours).1.symbol, crate_exports(&other).1.symbol);
    let (add, sums) = ("7Counter3add", "7counter4sums");
    let cases = vec![
        ("user alone", vec![whole(&tally)]),
        ("user twice", vec![whole(&provider), whole(&tally), whole(&tally)]),
        ("crate twice", vec![whole(&provider), whole(&module(&other, 0))]),
        ("crate changed, user not", vec![whole(&module(&other, 0)), whole(&tally)]),
        ("user changed, crate not", vec![whole(&provider), whole(&module(&other, 2))]),
        ("both changed", vec![whole(&module(&other, 0)), whole(&module(&other, 2))]),
        ("another seal wanted", vec![whole(&provider), patched(&tally, &seal, &other_seal)]),
        ("another seal offered", vec![patched(&provider, &seal, &other_seal), whole(&tally)]),
        (
            "a method that is not there",
            vec![whole(&provider), patched(&tally, add, "7Counter3sub")],
        ),
        (
            "a function no longer exported",
            vec![patched(&provider, sums, "7counter4sumz"), whole(&tally)],
        ),
        (
            "another compiler's names",
            vec![whole(&provider), patched(&tally, "_8provider7counter", "_8provides7counter")],
        ),
        (
            "a user that is not GPL",
            vec![whole(&provider), patched(&tally, "license=GPL\0", "license=BSD\0")],
        ),
        (
            "a crate for another release",
            vec![patched(&provider, "vermagic=7.", "vermagic=8."), whole(&tally)],
        ),
    ];
    let count = cases.len();
    let refused = all_agree("users of a crate", cases);
    assert!(refused >= count - 1, "only one pair loads whole: {refused} of {count}");
}

/// Both in one module, one guest and one run, by turns: only the ratio says something.
fn a_call_of_a_crate_costs_what_a_call_of_c_costs() {
    if kernel().name == KernelName::LAB {
        skip("the clock of lab does not see 20,000 calls pass");
    }
    let modules = [build_dir().modules().unwrap()[0].clone(), build_dir().test_module("call_cost")];
    let report = run(&modules, &["modprobe call_cost"]);
    expect(&report, "modprobe call_cost", 0, &["call_cost: add: ", "call_cost: read: "]);
    let text = said(report.commands.last().unwrap());
    let ratio = |what: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        let times: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        tell!("{what}{line}: {:.2}", times[1] / times[0]);
        times[1] / times[0]
    };
    // A call either way, by the symbol table; C's ABI also makes a number of the `Result`.
    let add = ratio("call_cost: add: ");
    assert!((0.5..=1.25).contains(&add), "{add}: {text}");
    // By the crate it is compiled into its caller.
    let read = ratio("call_cost: read: ");
    assert!(read < 1.0, "{read}: {text}");
}
