//! The output of the verbs that need no VM print, as text and as JSON, held against the files in
//! `golden/`, and docs/json.md against the JSON among them.
//!
//! `cargo xtask bless golden` rewrites those files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "golden/doctor.rs"]
mod doctor;
#[path = "golden/kernels.rs"]
mod kernels;
#[path = "golden/proof.rs"]
mod proof;
#[path = "golden/refused.rs"]
mod refused;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[expect(dead_code, reason = "the corpus signs in more forms")]
#[path = "../../tests/corpus/sign.rs"]
mod sign;

use serde_json::Value;
use snapbox::{Data, assert::Assert};
use xtask::command::lesson::BLESS;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A folder with the fixtures under the names that modules have where they are used.
fn fixtures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("exporter-7.3.ko", "exporter.ko"),
        ("importer-7.3.ko", "importer.ko"),
        ("hello-7.3.ko", "hello.ko"),
        ("exporter-6.12.ko", "6.12/exporter.ko"),
        ("exporter-7.3.ko", "other.ko"),
        ("exporter-7.3.ko", "all/exporter.ko"),
        ("importer-7.3.ko", "all/importer.ko"),
        ("hello-7.3.ko", "all/hello.ko"),
        ("exporter-7.3.ko", "all/other.ko"),
        ("exporter-6.12.ko", "all/old.ko"),
        ("exporter-7.3.ko", "kernel/kernel/fixture/exporter.ko"),
        ("hello-7.3.ko", "kernel/kernel/hello.ko"),
        ("kernel-7.3/.config", "kernel/.config"),
        ("kernel-7.3/Module.symvers", "kernel/Module.symvers"),
        ("kernel-7.3/kernel.release", "kernel/include/config/kernel.release"),
        ("kernel-7.3/modules.order", "kernel/modules.order"),
        ("modprobe.conf", "modprobe.conf"),
        ("depmod.conf", "depmod.conf"),
        ("old.symvers", "old.symvers"),
        ("new.symvers", "new.symvers"),
        ("types-old.symtypes", "old.symtypes"),
        ("types-new.symtypes", "new.symtypes"),
    ] {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(here().join("fixtures").join(from), to).unwrap();
    }
    let hello = fs::read(folder.path().join("hello.ko")).unwrap();
    for (file, bytes) in [
        ("hello.signed", sign::signed(&hello, sign::Form::default())),
        ("signed.der", sign::certificate()),
    ] {
        fs::write(folder.path().join(file), bytes).unwrap();
    }
    let key = here().join("../loader/tests/fixtures/p256.der");
    fs::copy(&key, folder.path().join("key.der")).unwrap();
    // An image that is not packed, with the certificate that is built into it.
    let image = [b"a kernel".as_slice(), &fs::read(key).unwrap()].concat();
    fs::write(folder.path().join("kernel/vmlinuz"), image).unwrap();
    for (file, text) in [
        ("modules.builtin", ""),
        ("modules.builtin.modinfo", "printk.parmtype=time:bool\0"),
        ("modules.dep", ""),
    ] {
        fs::write(folder.path().join("kernel").join(file), text).unwrap();
    }
    for file in ["torn.ko", "all/torn.ko"] {
        fs::write(folder.path().join(file), &hello[..999]).unwrap();
    }
    folder
}

/// Files with Rust's names: a module that imports a function of the crate of importer.ko, in the
/// place of the kernel's, and what that crate exported before and after a change.
fn mangled(folder: &Path, module: &Path) {
    let kernels = b"_RNvNtCsb5MLIFMWygY_6kernel5print11call_printk";
    let crates = "_RNvCs4fqI2P2rA04_7fixture4calm";
    let mut module = fs::read(module).unwrap();
    let name = module.windows(kernels.len()).position(|bytes| bytes == kernels).unwrap();
    module[name..name + kernels.len()].fill(0);
    module[name..name + crates.len()].copy_from_slice(crates.as_bytes());
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("hello.ko"), module).unwrap();
    for (file, crc, seal) in
        [("old.symvers", "0x00000001", "1"), ("new.symvers", "0x00000002", "2")]
    {
        // A name with another hash, and else the same.
        let rebuilt = format!("_RNvCs4fqI2P2rA{seal}_7fixture5build");
        let seal = format!("fixture_abi_{}", seal.repeat(16));
        let lines = [(crc, crates), ("0x00000000", &seal), ("0x00000000", &rebuilt)]
            .map(|(crc, symbol)| format!("{crc}\t{symbol}\timporter\tEXPORT_SYMBOL_GPL\t\n"));
        fs::write(folder.join(file), lines.concat()).unwrap();
    }
}

/// Runs the program in a folder: what it prints, what it says of errors, and its exit status.
fn run(folder: &Path, line: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(line.split(' '))
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .output()
        .unwrap();
    let mut said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    // JSON stays one document; elsewhere what is beside the answer belongs to it.
    if !line.contains("--json") {
        errors.lines().for_each(|line| writeln!(said, "(standard error) {line}").unwrap());
        writeln!(said, "(exit status) {}", output.status.code().unwrap()).unwrap();
    }
    said
}

/// Each command, and the file that has what it prints.
const COMMANDS: [(&str, &str); 29] = [
    ("inspect", "inspect exporter.ko importer.ko hello.ko 6.12/exporter.ko"),
    ("inspect-signed", "inspect --tree kernel --certificate signed.der hello.signed hello.ko"),
    ("inspect-unknown", "inspect --tree kernel hello.signed"),
    ("inspect-no-module", "inspect torn.ko hello.ko absent.ko"),
    ("order", "order exporter.ko importer.ko hello.ko --symvers kernel/Module.symvers"),
    ("order-tree", "order --tree kernel"),
    ("order-twice", "order exporter.ko other.ko"),
    (
        "order-configured",
        "order greeter hello quiet-one other --tree . --depmod-config depmod.conf \
         --modprobe-config modprobe.conf",
    ),
    ("order-missing", "order importer.ko"),
    ("order-no-module", "order torn.ko hello.ko"),
    ("order-modules-dep", "order --tree . --depmod-config depmod.conf --format modules.dep"),
    ("order-modules-alias", "order --tree kernel --format modules.alias"),
    ("order-modules-softdep", "order --tree kernel --format modules.softdep"),
    ("order-modules-weakdep", "order importer.ko --format modules.weakdep"),
    ("order-dot", "order exporter.ko importer.ko --format dot"),
    ("order-svg", "order exporter.ko importer.ko --format svg"),
    ("check", "check --tree kernel importer.ko exporter.ko hello.ko"),
    ("check-refused", "check --tree kernel --as-given importer.ko 6.12/exporter.ko"),
    ("check-with-deps", "check --tree kernel --with-deps importer.ko"),
    ("check-all", "check --tree kernel --all all"),
    ("vermagic", "vermagic --tree kernel 6.12/exporter.ko exporter.ko torn.ko absent.ko"),
    ("vermagic-no-kernel", "vermagic --tree 6.12 exporter.ko"),
    ("symvers-diff", "symvers diff old.symvers new.symvers"),
    (
        "symvers-explain",
        "symvers explain fixture_add --symvers kernel/Module.symvers --modules importer.ko hello.ko",
    ),
    (
        "symvers-explain-type",
        "symvers explain provider_add --symvers old.symvers --symtypes new.symtypes \
         --blessed old.symtypes",
    ),
    ("order-rust", "order importer.ko rust/hello.ko --symvers kernel/Module.symvers"),
    ("check-rust", "check --tree kernel --certificate key.der --as-given rust/hello.ko"),
    ("symvers-diff-rust", "symvers diff rust/old.symvers rust/new.symvers"),
    (
        "symvers-explain-rust",
        "symvers explain fixture::calm --symvers rust/old.symvers --modules rust/hello.ko",
    ),
];

/// `true` if the command answers in JSON, too.
fn has_json(name: &str) -> bool {
    !name.starts_with("order-modules")
        && !["order-dot", "order-svg", "vermagic-no-kernel"].contains(&name)
}

fn golden(name: &str, extension: &str) -> PathBuf {
    here().join("golden").join(format!("{name}.{extension}"))
}

/// Holds a text against its file, or rewrites that.
fn hold(name: &str, extension: &str, text: impl Into<Data>) {
    let golden = golden(name, extension);
    if std::env::var_os(BLESS).is_some() {
        fs::write(golden, text.into().to_bytes().unwrap()).unwrap();
        return;
    }
    let found = Assert::new().normalize_paths(false).try_eq(
        Some(&golden.display()),
        text.into(),
        Data::read_from(&golden, None).raw(),
    );
    found.unwrap_or_else(|differs| panic!("{differs}\ncargo xtask bless golden rewrites it"));
}

#[test]
fn each_verb_prints_what_it_printed() {
    for (name, line) in COMMANDS {
        let folder = fixtures();
        if name.ends_with("-rust") {
            mangled(&folder.path().join("rust"), &folder.path().join("hello.ko"));
        }
        let text = format!("$ cargo xtask {line}\n{}", run(folder.path(), line));
        hold(name, "txt", text);
        if has_json(name) {
            let json = run(folder.path(), &format!("{line} --json"));
            hold(name, "json", json);
        }
    }
}

/// The fields of one answer: the path of each value that is not an object or a list.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                fields(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(list) if list.iter().any(|item| item.is_object() || item.is_array()) => {
            list.iter().for_each(|item| fields(item, &format!("{path}[]"), found));
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// The fields of each form among the golden files.
fn occurring() -> BTreeMap<String, BTreeSet<String>> {
    let mut forms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let commands = COMMANDS.into_iter().map(|(name, _)| name).filter(|name| has_json(name));
    for name in commands.chain(["prove", "kernels"]) {
        let text = fs::read_to_string(golden(name, "json")).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let form = answer["format"].as_str().unwrap().to_owned();
        fields(&answer, "", forms.entry(form).or_default());
    }
    for found in forms.values_mut() {
        // An object that is null, or a list that is empty, in one answer has fields in another.
        let is_parent = |path: &String| {
            let below = [format!("{path}."), format!("{path}[]")];
            found.iter().any(|other| below.iter().any(|below| other.starts_with(below)))
        };
        let parents: Vec<String> = found.iter().filter(|path| is_parent(path)).cloned().collect();
        parents.iter().for_each(|path| {
            found.remove(path);
        });
    }
    forms
}

/// The fields of each form in the tables of docs/json.md.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(here().join("../../docs/json.md")).unwrap();
    let mut forms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut form = String::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## `") {
            form = heading.split('`').next().unwrap().to_owned();
        }
        let Some(row) = line.strip_prefix("| `") else { continue };
        let mut before = String::new();
        for name in row.split(" | ").next().unwrap().split(['`', ' ']).filter(|n| !n.is_empty()) {
            let name = match (name.strip_prefix('.'), before.rsplit_once('.')) {
                (Some(name), Some((parent, _))) => format!("{parent}.{name}"),
                _ => name.to_owned(),
            };
            before.clone_from(&name);
            assert!(forms.entry(form.clone()).or_default().insert(name), "{line} twice in {form}");
        }
    }
    forms
}

#[test]
fn the_page_of_forms_has_each_field_that_occurs_and_no_other() {
    assert_eq!(occurring(), documented());
}
