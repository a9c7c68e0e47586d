//! A fault does not build, and says why; what changed is built again.

use std::{fs, path::Path};

use xtask::{
    build::{BuildDir, MakeTarget, SOURCES, Stack, project},
    host::cache,
};

use crate::{
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            a_prototype_that_differs_in_a_parameter_does_not_build,
            a_rust_function_that_differs_in_its_return_type_does_not_build,
            a_renamed_export_does_not_build,
            an_export_without_an_entry_in_the_table_does_not_build,
            a_call_that_the_header_does_not_declare_does_not_build,
            a_namespace_that_is_not_imported_does_not_build,
            a_symbol_for_another_module_does_not_build,
            built_alone_a_consumer_follows_its_providers_symvers,
            a_build_that_is_done_is_not_done_again,
            the_modules_pass_the_kernels_own_lints,
        ],
    )
}

/// An edit of one source: what stands there, and what is put in its place.
pub(crate) type Edit = (&'static str, &'static str, &'static str);

/// A build of its own, of edited sources. What an earlier run of the same edits built stays, and
/// Kbuild decides what it builds again: a step that failed has left no file.
pub(crate) fn edited(name: &str, edits: &[Edit]) -> BuildDir {
    let copy = project().join("target/edited").join(format!("{name}-{}", kernel().slug()));
    cache::remove_dir(&copy).unwrap();
    for source in SOURCES {
        let path = project().join(source);
        let files = match path.is_dir() {
            true => path.read_dir().unwrap().map(|file| file.unwrap().path()).collect(),
            false => vec![path],
        };
        for file in files {
            let to = copy.join(file.strip_prefix(project()).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(file, to).unwrap();
        }
    }
    for (file, from, to) in edits {
        let path = copy.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no `{from}` to edit");
        fs::write(&path, text.replace(from, to)).unwrap();
    }
    let stack = Stack::part_of(&copy, &format!("edit-{name}"), SOURCES);
    BuildDir::open(kernel(), &stack).unwrap()
}

/// The same, with nothing built in it.
pub(crate) fn edited_anew(name: &str, edits: &[Edit]) -> BuildDir {
    let build_dir = edited(name, edits);
    build_dir.empty().unwrap();
    build_dir
}

/// Builds edited sources, which must fail with each of these texts.
pub(crate) fn must_not_build(name: &str, edits: &[Edit], said: &[&str]) {
    let outcome = edited(name, edits).make("modules").output().unwrap();
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!outcome.status.success(), "{name} builds:\n{text}");
    for part in said {
        assert!(text.contains(part), "{name} fails without saying `{part}`:\n{text}");
    }
}

fn a_prototype_that_differs_in_a_parameter_does_not_build() {
    let edit = (
        "provider/provider.h",
        "provider_add(struct provider_counter *counter, s64 delta)",
        "provider_add(struct provider_counter *counter, u64 delta)",
    );
    must_not_build("parameter", &[edit], &["E0308", "exported!(provider_add)", "i64", "u64"]);
}

fn a_rust_function_that_differs_in_its_return_type_does_not_build() {
    let edit = (
        "provider/provider_main.rs",
        "pub unsafe extern \"C\" fn provider_count() -> c_uint",
        "pub unsafe extern \"C\" fn provider_count() -> u64",
    );
    must_not_build("return", &[edit], &["E0308", "exported!(provider_count)"]);
}

fn a_renamed_export_does_not_build() {
    let edits = [("provider/provider_main.rs", "fn provider_read(", "fn provider_look(")];
    must_not_build("renamed", &edits, &["E0425", "provider_read"]);
}

fn an_export_without_an_entry_in_the_table_does_not_build() {
    let edit = ("provider/provider_exports.c", "EXPORT_SYMBOL(provider_read);", "");
    must_not_build("unexported", &[edit], &["provider_read", "never used"]);
}

fn a_call_that_the_header_does_not_declare_does_not_build() {
    let edit = ("consumer/counter.rs", "bindings::provider_count()", "bindings::provider_total()");
    must_not_build("undeclared", &[edit], &["E0425", "provider_total"]);
}

fn a_namespace_that_is_not_imported_does_not_build() {
    let edit = ("consumer/consumer_main.rs", "    imports_ns: [\"PROVIDER\"],\n", "");
    let said = "uses symbol 'provider_count' from namespace 'PROVIDER', but does not import it";
    must_not_build("namespace", &[edit], &[said]);
}

fn a_symbol_for_another_module_does_not_build() {
    let edit = (
        "provider/provider_exports.c",
        "(provider_set, \"consumer\")",
        "(provider_set, \"somebody\")",
    );
    must_not_build("for-modules", &[edit], &["provider_set", "module:somebody"]);
}

/// Kbuild itself does not watch the files of KBUILD_EXTRA_SYMBOLS.
fn built_alone_a_consumer_follows_its_providers_symvers() {
    let build_dir = edited_anew("split", &[]);
    let split = |build_dir: &BuildDir| {
        let outcome = build_dir.make("split").output().unwrap();
        (outcome.status.success(), format!("{}{}", outcome.stdout, outcome.stderr))
    };
    let (holds, text) = split(&build_dir);
    assert!(holds, "{text}");
    build_dir.export().unwrap();
    let modules = build_dir.modules().unwrap();
    assert!(modules.iter().all(|module| module.exists()), "{modules:?}");

    let (holds, text) = split(&build_dir);
    assert!(holds && !text.contains("MODPOST"), "unchanged, and built again:\n{text}");

    let symvers = build_dir.tree().join("provider/Module.symvers");
    let changed = fs::read_to_string(&symvers).unwrap().replace("\tprovider_add\t", "\tgone\t");
    fs::write(&symvers, changed).unwrap();
    let (holds, text) = split(&build_dir);
    let said = "symbol 'provider_add' undefined";
    assert!(!holds && text.contains(said), "a stale consumer was kept:\n{text}");
}

fn a_build_that_is_done_is_not_done_again() {
    let build_dir = BuildDir::open(kernel(), &Stack::for_target(MakeTarget::Tests)).unwrap();
    build_dir.build_quiet(MakeTarget::Tests).unwrap();
    let again = build_dir.make("tests").output().unwrap();
    let text = format!("{}{}", again.stdout, again.stderr);
    let steps = ["RUSTC", "CC [M]", "MODPOST", "BINDGEN", "LD [M]"];
    assert!(!steps.iter().any(|step| text.contains(step)), "{text}");
}

/// Checks a build whose warnings count. Kbuild says nothing again of a file that is up to date, so
/// what was built stays only after a check that held, by the same tools.
pub(crate) fn linted(stack: &Stack, check: impl FnOnce(&BuildDir)) {
    let build_dir = BuildDir::open(kernel(), stack).unwrap();
    let tools = build_dir.make("modules").to_string();
    if build_dir.note().is_some_and(|before| before == tools) {
        build_dir.set_note(String::new()).unwrap();
    } else {
        build_dir.empty().unwrap();
    }
    check(&build_dir);
    build_dir.set_note(tools).unwrap();
}

/// `true` if an object at or below a folder was made by clippy, in this run or before.
pub(crate) fn by_clippy(folder: &Path) -> bool {
    folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        let made_by = || fs::read_to_string(&path).is_ok_and(|text| text.contains("clippy-driver"));
        if path.is_dir() {
            by_clippy(&path)
        } else {
            path.to_string_lossy().ends_with(".o.cmd") && made_by()
        }
    })
}

fn the_modules_pass_the_kernels_own_lints() {
    linted(&Stack::part_of_project("lints", SOURCES), |build_dir| {
        let outcome = build_dir.make("modules").arg("CLIPPY=1").output().unwrap();
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.status.success(), "{text}");
        for module in ["provider", "consumer", "tally"] {
            assert!(by_clippy(&build_dir.tree().join(module)), "{module}: {text}");
        }
        assert!(!text.contains("warning"), "{text}");
        let outcome = build_dir.make("fmtcheck").output().unwrap();
        assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    });
}
