//! The ten commonest mistakes of docs/verdict.md: what `check` says, beside what the kernel says.

use std::{fmt::Write as _, fs, process::Command};

use xtask::{
    build::project,
    command::lesson::BLESS,
    host::cache::Cache,
    kernel::{Kernel, KernelName, archive::Refresh},
    lesson::PageUpdate,
};

use crate::{
    corpus::{
        cases::Built,
        edit::{Module, header, section},
    },
    guest,
    harness::{Needs, Test, differs_since},
    verdict::{built, built_for},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Only(KernelName::LAB) => [
            the_page_of_mistakes_is_what_the_kernel_says,
        ],
    )
}

/// A mistake: the files under the names that they are given, what `check` is asked, and what is
/// typed in the guest.
struct Mistake {
    id: &'static str,
    files: Vec<(&'static str, Module)>,
    check: &'static str,
    insmod: &'static [&'static str],
}

fn changed(module: &Module, change: impl FnOnce(&mut Module)) -> Module {
    let mut module = module.clone();
    change(&mut module);
    module
}

fn mistakes(built: &Built, other: &Built) -> Vec<Mistake> {
    let gives = || ("gives.ko", built.gives().clone());
    let takes = |change: fn(&mut Module)| ("takes.ko", changed(built.takes(), change));
    let plain = |change: fn(&mut Module)| ("plain.ko", changed(built.plain_module(), change));
    let again = changed(built.again(), |m| m.swap(b"again_any\0", b"gives_any\0"));
    let packed = Module::new(crate::corpus::packed::xz(built.plain()));
    let untyped = |m: &mut Module| m.set_section(m.section(".symtab"), section::TYPE, 1);
    let (alone, one): (_, &[_]) = ("plain.ko", &["insmod plain.ko"]);
    let (pair, both): (_, &[_]) = ("gives.ko takes.ko", &["insmod gives.ko", "insmod takes.ko"]);
    let mistake = |id, files, check, insmod| Mistake { id, files, check, insmod };
    vec![
        mistake("wrong-headers", vec![("plain.ko", other.plain_module().clone())], alone, one),
        mistake("stale-consumer", vec![gives(), takes(|m| m.stale("gives_any"))], pair, both),
        mistake("provider-absent", vec![takes(|_| {})], "takes.ko", &["insmod takes.ko"]),
        mistake(
            "order-reversed",
            vec![gives(), takes(|_| {})],
            "--as-given takes.ko gives.ko",
            &["insmod takes.ko", "insmod gives.ko"],
        ),
        mistake(
            "namespace-absent",
            vec![gives(), takes(|m| m.info("import_ns", None))],
            pair,
            both,
        ),
        mistake(
            "proprietary",
            vec![gives(), takes(|m| m.info("license", Some("Proprietary")))],
            pair,
            both,
        ),
        mistake("stripped", vec![plain(untyped)], alone, one),
        mistake(
            "duplicate",
            vec![gives(), ("again.ko", again)],
            "gives.ko again.ko",
            &["insmod gives.ko", "insmod again.ko"],
        ),
        mistake("wrong-machine", vec![plain(|m| m.set_header(header::MACHINE, 183))], alone, one),
        mistake(
            "packed",
            vec![("plain.ko.xz", packed)],
            "--bare plain.ko.xz",
            &["busybox insmod plain.ko.xz"],
        ),
    ]
}

/// What a reader would see: the answer of `check`, then the guest's.
fn block(mistake: &Mistake) -> String {
    let Mistake { files, check, insmod, .. } = mistake;
    let folder = tempfile::tempdir().unwrap();
    for (name, module) in files {
        fs::write(folder.path().join(name), &module.bytes).unwrap();
    }
    let mut text = format!("$ cargo xtask check --kernel lab {check}\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["check", "--kernel", "lab"]).args(check.split(' '));
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    text.push_str(&String::from_utf8(output.stdout).unwrap());
    let files = files.iter().map(|(name, _)| folder.path().join(name));
    let report = files.fold(guest(), |guest, file| guest.file(file)).run(insmod.to_vec());
    for command in report.unwrap().commands {
        let _ = write!(text, "\n# {}\n{}", command.command, command.text());
        for line in command.kernel_text().lines() {
            let _ = writeln!(text, "[kernel] {line}");
        }
    }
    text
}

fn the_page_of_mistakes_is_what_the_kernel_says() {
    let stock =
        Kernel::obtain(&Cache::open().unwrap(), &KernelName::STOCK, Refresh::Daily).unwrap();
    let path = project().join("docs/verdict.md");
    let old = fs::read_to_string(&path).unwrap();
    let mistakes = mistakes(built(), &built_for(&stock));
    let with = |page: String, mistake: &Mistake| with_block(&page, mistake.id, &block(mistake));
    let new = mistakes.iter().fold(old.clone(), with);
    let (_, recorded) = old.split_once("refused by ").unwrap();
    let recorded = recorded.split(' ').next().unwrap().to_owned();
    let page = PageUpdate { path, old, new, drift: None };
    if std::env::var_os(BLESS).is_some() {
        page.write().unwrap();
    } else if !page.holds() {
        println!("cargo xtask bless verdict rewrites docs/verdict.md");
        differs_since(&recorded, "docs/verdict.md", &page.difference());
    }
}

/// The page with other contents in the block of this name.
fn with_block(page: &str, id: &str, contents: &str) -> String {
    let fence = format!("```console {id}\n");
    let (head, rest) = page.split_once(&fence).unwrap_or_else(|| panic!("no block {id}"));
    let end = if rest.starts_with("```") { 0 } else { rest.find("\n```").unwrap() + 1 };
    format!("{head}{fence}{contents}{}", &rest[end..])
}
