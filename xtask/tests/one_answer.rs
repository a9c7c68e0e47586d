//! The verbs asked the same question about the same modules: none may contradict another.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set itself up has failed"
)]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

#[expect(dead_code, reason = "the corpus changes more")]
#[path = "../../tests/corpus/edit.rs"]
mod edit;

use edit::Module;

/// The number of modules that are asked about.
const MODULES: usize = 50;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// Runs a verb: its exit status, and its answer in JSON.
fn ask(folder: &Path, args: &[&str]) -> (i32, Value) {
    let mut verb = Command::new(env!("CARGO_BIN_EXE_xtask"));
    verb.args(args).arg("--json").current_dir(folder);
    let output = verb.env("XDG_CACHE_HOME", folder.join("cache")).output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), answer)
}

/// Kernels that differ in what they force, and in whether CRCs decide.
const KERNELS: [(&str, &str); 3] = [
    ("forcing", ""),
    ("strict", "# CONFIG_MODULE_FORCE_LOAD is not set\n"),
    ("versioned", "CONFIG_MODVERSIONS=y\n# CONFIG_MODULE_FORCE_LOAD is not set\n"),
];

fn write_kernels(folder: &Path) {
    for (kernel, more) in KERNELS {
        let tree = folder.join(kernel);
        fs::create_dir_all(tree.join("include/config")).unwrap();
        let config = String::from_utf8(fixture("kernel-7.3/.config")).unwrap();
        let unset = |line: &&str| {
            let own = ["MODVERSIONS", "MODULE_FORCE_LOAD"];
            more.is_empty() || !own.iter().any(|option| line.contains(option))
        };
        let kept: String = config.lines().filter(unset).map(|line| format!("{line}\n")).collect();
        fs::write(tree.join(".config"), kept + more).unwrap();
        fs::write(tree.join("Module.symvers"), fixture("kernel-7.3/Module.symvers")).unwrap();
        let release = fixture("kernel-7.3/kernel.release");
        fs::write(tree.join("include/config/kernel.release"), release).unwrap();
    }
}

/// A change of a module.
type Change = (&'static str, fn(&mut Module));

const CHANGES: [Change; 13] = [
    ("built", |_| {}),
    ("magicless", |m| m.info("vermagic", None)),
    ("release", |m| vermagic(m, |magic| magic.replacen("7.3.4", "7.3.3", 1))),
    ("flagless", |m| vermagic(m, |magic| magic.replacen("preempt ", "", 1))),
    ("trimmed", |m| vermagic(m, |magic| magic.trim_end().to_owned())),
    ("empty", |m| vermagic(m, |_| String::new())),
    ("escaped", |m| vermagic(m, |magic| magic.replacen("SMP", "\x1b[31mSMP", 1))),
    ("swapped", |m| vermagic(m, |magic| magic.replacen("SMP preempt", "preempt SMP", 1))),
    ("renamed", |m| m.call("renamed")),
    ("licenseless", |m| m.info("license", None)),
    ("proprietary", |m| m.info("license", Some("Proprietary"))),
    ("cut", |m| m.bytes.truncate(m.bytes.len() / 2)),
    ("bare", |m| m.info("name", None)),
];

fn vermagic(module: &mut Module, change: impl FnOnce(&str) -> String) {
    let magic = module.info_value("vermagic").unwrap();
    module.info("vermagic", Some(&change(&magic)));
}

/// The modules: each fixture with each change, packed, and what is no module at all.
fn write_modules(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut write = |name: String, bytes: &[u8]| {
        fs::create_dir_all(folder.join(&name).parent().unwrap()).unwrap();
        fs::write(folder.join(&name), bytes).unwrap();
        files.push(name);
    };
    for fixture_name in ["exporter-7.3", "importer-7.3", "hello-7.3"] {
        let (own, _) = fixture_name.split_once('-').unwrap();
        let bytes = fixture(&format!("{fixture_name}.ko"));
        for (id, change) in CHANGES {
            let mut module = Module::new(bytes.clone());
            change(&mut module);
            write(format!("{own}-{id}/{own}.ko"), &module.bytes);
        }
        let packed = liblzma::encode_all(bytes.as_slice(), 1).unwrap();
        write(format!("{own}-xz/{own}.ko.xz"), &packed);
        write(format!("{own}-zstd/{own}.ko.zst"), &zstd::encode_all(bytes.as_slice(), 1).unwrap());
        write(format!("{own}-torn/{own}.ko.xz"), &packed[..packed.len() / 2]);
    }
    write("exporter-old/exporter.ko".into(), &fixture("exporter-6.12.ko"));
    write("text/text.ko".into(), b"no module\n");
    write("nothing/nothing.ko".into(), b"");
    files
}

/// A check of the answer of `check`.
fn check_of<'a>(answer: &'a Value, id: &str) -> Option<&'a Value> {
    answer["modules"][0]["checks"].as_array()?.iter().find(|check| check["id"] == id)
}

fn of_file<'a>(answer: &'a Value, file: &str) -> &'a Value {
    let modules = answer["modules"].as_array().unwrap();
    modules.iter().find(|module| module["file"] == file).unwrap_or_else(|| panic!("{file}"))
}

/// Returns the contradictions over all modules of one kernel.
struct Contradictions(Vec<String>);

impl Contradictions {
    fn unless_same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, one: T, other: T) {
        if one != other {
            self.0.push(format!("{what}: {one:?} and {other:?}"));
        }
    }
}

/// Asks about one module, and compares the answers; returns how many questions were compared.
fn compare(
    found: &mut Contradictions,
    folder: &Path,
    kernel: &str,
    file: &str,
    (inspected, compared): (&Value, &Value),
) -> usize {
    let (check_status, checked) = ask(folder, &["check", "--tree", kernel, "--as-given", file]);
    let verdict = checked["modules"][0]["verdict"].as_str().unwrap_or("none").to_owned();
    let at = |what: &str| format!("{kernel} {file}: {what}");
    found.unless_same(&at("the status of check"), check_status == 0, verdict == "loads");
    let is_module = inspected["error"].is_null();
    found.unless_same(&at("read by vermagic"), is_module, compared["error"].is_null());
    if !is_module {
        found.unless_same(&at("loads although it cannot be read"), verdict == "loads", false);
        return 3;
    }
    found.unless_same(&at("the vermagic"), &inspected["vermagic"]["whole"], &compared["vermagic"]);
    let mut count = 4;
    if let Some(check) = check_of(&checked, "vermagic") {
        let passes = check["result"] == "pass";
        found.unless_same(
            &at("the vermagic is accepted"),
            Some(passes),
            compared["accepted"].as_bool(),
        );
        count += 1;
    }
    if let Some(check) = check_of(&checked, "signature") {
        let is_good = inspected["verification"]["verifies"] == "yes";
        let signed_by = check["have"].as_str().unwrap_or_default().starts_with("signed by");
        found.unless_same(&at("the signature is good"), is_good, signed_by);
        count += 1;
    }
    if verdict == "loads" {
        found.unless_same(&at("the name"), &inspected["name"], &checked["modules"][0]["name"]);
        count += 1;
    }
    count + imports(found, folder, &at(""), file, inspected, &checked)
}

/// Returns a module's unmet needs, by `order` and by `check`; and each import by `inspect` and
/// by `symvers explain`.
fn imports(
    found: &mut Contradictions,
    folder: &Path,
    at: &str,
    file: &str,
    inspected: &Value,
    checked: &Value,
) -> usize {
    let (_, ordered) = ask(folder, &["order", file, "--symvers", "forcing/Module.symvers"]);
    let missing: Vec<&str> = ordered["missing"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["weak"] != true)
        .filter_map(|one| one["symbol"].as_str())
        .collect();
    let mut count = 0;
    let said: Vec<&str> = checked["modules"][0]["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_free = inspected["license"] == "GPL";
    if let Some(check) = check_of(checked, "symbols").filter(|_| is_free) {
        let unknown = |symbol: &&&str| {
            said.iter().any(|line| line.contains(&format!("Unknown symbol {symbol} (err -2)")))
        };
        let told = missing.iter().filter(unknown).count();
        found.unless_same(&format!("{at}what nobody exports"), told, missing.len());
        if check["result"] == "pass" {
            found.unless_same(&format!("{at}all symbols are found"), 0, missing.len());
        }
        count += 2;
    }
    let import = &inspected["imports"][0];
    if let Some(symbol) = import["symbol"].as_str() {
        let symvers = ["--symvers", "forcing/Module.symvers", "--modules", file];
        let (_, explained) = ask(folder, &[&["symvers", "explain", symbol][..], &symvers].concat());
        let importer = &explained["importers"][0];
        found.unless_same(&format!("{at}the CRC of {symbol}"), &import["crc"], &importer["crc"]);
        found.unless_same(&format!("{at}weak {symbol}"), &import["weak"], &importer["weak"]);
        count += 2;
    }
    count
}

#[test]
fn verbs_give_one_answer_to_one_question() {
    let folder = tempfile::tempdir().unwrap();
    write_kernels(folder.path());
    let files = write_modules(folder.path());
    assert!(files.len() >= MODULES, "{}", files.len());
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let (mut found, mut count) = (Contradictions(Vec::new()), 0);
    for (kernel, _) in KERNELS {
        let about = |verb: &'static str| {
            ask(folder.path(), &[&[verb, "--tree", kernel][..], &names].concat())
        };
        let ((inspect_status, inspected), (vermagic_status, compared)) =
            (about("inspect"), about("vermagic"));
        assert_eq!((inspect_status, vermagic_status), (1, 1));
        for file in &names {
            let both = (of_file(&inspected, file), of_file(&compared, file));
            count += compare(&mut found, folder.path(), kernel, file, both);
        }
    }
    assert!(found.0.is_empty(), "{} of {count}:\n{}", found.0.len(), found.0.join("\n"));
    assert!(count >= 6 * MODULES * KERNELS.len(), "{count} answers were compared");
}

#[test]
fn a_file_that_is_not_there_is_a_wrong_request_to_each_verb() {
    let folder = tempfile::tempdir().unwrap();
    write_kernels(folder.path());
    let mut damaged = fs::File::create(folder.path().join("damaged")).unwrap();
    damaged.write_all(b"0x1\ta\n").unwrap();
    let absent = PathBuf::from("absent.ko");
    let absent = absent.to_str().unwrap();
    for request in [
        &["inspect", absent][..],
        &["vermagic", "--tree", "strict", absent],
        &["check", "--tree", "strict", absent],
        &["order", absent],
        &["symvers", "diff", absent, absent],
        &["symvers", "diff", "damaged", "damaged"],
        &["symvers", "explain", "a", "--symvers", absent],
        &["symvers", "explain", "a", "--symvers", "damaged"],
    ] {
        assert_eq!(ask(folder.path(), request).0, 2, "{request:?}");
    }
}
