//! The ten commonest mistakes of docs/verdict.md: what `check` says, beside what the kernel says.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use xtask::{
    build::project,
    host::cache::Cache,
    kernel::{Kernel, KernelName, archive::Refresh},
};

use crate::{
    corpus::{
        cases::Built,
        edit::{Module, header, section},
    },
    guest,
    harness::{Needs, Test},
    verdict::{built, built_for},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Only(KernelName::Lab) => [
            the_page_of_mistakes_is_what_the_kernel_says,
        ],
    )
}

/// A mistake: the files as they are called, what to ask `check`, and what to type in the guest.
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
    let one: &[&str] = &["insmod plain.ko"];
    let both: &[&str] = &["insmod gives.ko", "insmod takes.ko"];
    let packed = Module::new(crate::corpus::cases::xz(built.plain()));
    vec![
        Mistake {
            id: "wrong-headers",
            files: vec![("plain.ko", other.plain_module().clone())],
            check: "plain.ko",
            insmod: one,
        },
        Mistake {
            id: "stale-consumer",
            files: vec![gives(), takes(|m| m.stale("gives_any"))],
            check: "gives.ko takes.ko",
            insmod: both,
        },
        Mistake {
            id: "provider-absent",
            files: vec![takes(|_| {})],
            check: "takes.ko",
            insmod: &["insmod takes.ko"],
        },
        Mistake {
            id: "order-reversed",
            files: vec![gives(), takes(|_| {})],
            check: "--as-given takes.ko gives.ko",
            insmod: &["insmod takes.ko", "insmod gives.ko"],
        },
        Mistake {
            id: "namespace-absent",
            files: vec![gives(), takes(|m| m.info("import_ns", None))],
            check: "gives.ko takes.ko",
            insmod: both,
        },
        Mistake {
            id: "proprietary",
            files: vec![gives(), takes(|m| m.info("license", Some("Proprietary")))],
            check: "gives.ko takes.ko",
            insmod: both,
        },
        Mistake {
            id: "stripped",
            files: vec![plain(|m| {
                let index = m.section(".symtab");
                m.set_section(index, section::TYPE, 1);
            })],
            check: "plain.ko",
            insmod: one,
        },
        Mistake {
            id: "duplicate",
            files: vec![
                gives(),
                ("again.ko", changed(built.again(), |m| m.swap(b"again_any\0", b"gives_any\0"))),
            ],
            check: "gives.ko again.ko",
            insmod: &["insmod gives.ko", "insmod again.ko"],
        },
        Mistake {
            id: "wrong-machine",
            files: vec![plain(|m| m.set_header(header::MACHINE, 183))],
            check: "plain.ko",
            insmod: one,
        },
        Mistake {
            id: "packed",
            files: vec![("plain.ko.xz", packed)],
            check: "--bare plain.ko.xz",
            insmod: &["busybox insmod plain.ko.xz"],
        },
    ]
}

/// What a reader would see: the answer of `check`, then the guest's.
fn block(mistake: &Mistake) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, module) in &mistake.files {
        fs::write(folder.path().join(name), &module.bytes).unwrap();
    }
    let mut text = format!("$ cargo xtask check --kernel lab {}\n", mistake.check);
    let mut check = Command::new(env!("CARGO_BIN_EXE_xtask"));
    check.args(["check", "--kernel", "lab"]).args(mistake.check.split(' '));
    let output = check.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    text.push_str(&String::from_utf8(output.stdout).unwrap());
    let files = mistake.files.iter().map(|(name, _)| folder.path().join(name));
    let report = files.fold(guest(), |guest, file| guest.file(file)).run(mistake.insmod.to_vec());
    for step in report.unwrap().commands {
        let _ = write!(text, "\n# {}\n{}", step.command, step.text());
        for line in step.kernel_text().lines() {
            let _ = writeln!(text, "[kernel] {line}");
        }
    }
    text
}

fn the_page_of_mistakes_is_what_the_kernel_says() {
    let stock =
        Kernel::obtain(&Cache::open().unwrap(), &KernelName::Stock, Refresh::Daily).unwrap();
    let page = project().join("docs/verdict.md");
    let before = fs::read_to_string(&page).unwrap();
    let mut after = before.clone();
    for mistake in mistakes(built(), &built_for(&stock)) {
        after = with_block(&after, mistake.id, &block(&mistake));
    }
    if std::env::var_os("SYMSTACK_BLESS").is_some() {
        fs::write(&page, &after).unwrap();
    }
    let now = fs::read_to_string(&page).unwrap();
    assert!(now == after, "{} differs; SYMSTACK_BLESS=1 rewrites it:\n{after}", show(&page));
}

fn show(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The page with other contents in the block of this name.
fn with_block(page: &str, id: &str, contents: &str) -> String {
    let fence = format!("```console {id}\n");
    let (head, rest) = page.split_once(&fence).unwrap_or_else(|| panic!("no block {id}"));
    let end = if rest.starts_with("```") { 0 } else { rest.find("\n```").unwrap() + 1 };
    format!("{head}{fence}{contents}{}", &rest[end..])
}
