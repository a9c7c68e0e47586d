//! Stacks that nobody here wrote: packages of Debian's that carry a module's source for DKMS,
//! fetched while the test runs.
//!
//! They were made for the suite's own kernel, so they must hold there. A newer kernel may have
//! moved on: then what does not build is told in the compiler's words.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use xtask::{
    host::{
        cache::Cache,
        progress::Step,
        root::{Root, TRIXIE},
    },
    kernel::{KernelName, archive::Archive},
    problem::Result,
};

use crate::{
    any_stack::{Temporary, run},
    harness::{Needs, Test, skip},
    kernel,
};

/// The tests of this file. A small kernel of our own lacks what they need of the kernel.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::OwnModules => [
            one_module_that_needs_one_of_the_kernels_own,
            one_module_that_needs_none,
            modules_that_stand_on_one_another,
        ],
    )
}

/// A package, and what is a stack in it.
struct Foreign {
    package: &'static str,
    /// The folder within that of the package's source.
    folder: &'static str,
    /// A line for Kbuild, where the package runs make once for each of several folders.
    kbuild: Option<&'static str>,
    /// In load order.
    modules: &'static [&'static str],
}

fn one_module_that_needs_one_of_the_kernels_own() {
    prove(&Foreign {
        package: "v4l2loopback-dkms",
        folder: "",
        kbuild: None,
        modules: &["v4l2loopback"],
    });
}

fn one_module_that_needs_none() {
    prove(&Foreign {
        package: "acpi-call-dkms",
        folder: "",
        kbuild: None,
        modules: &["acpi_call"],
    });
}

fn modules_that_stand_on_one_another() {
    prove(&Foreign {
        package: "jool-dkms",
        folder: "src",
        kbuild: Some("obj-m := mod/common/ mod/nat64/ mod/siit/\n"),
        modules: &["jool_common", "jool", "jool_siit"],
    });
}

/// Returns the stack in a package, fetched.
fn fetched(foreign: &Foreign) -> Temporary {
    let fetch = |into: &TempDir| -> Result<()> {
        let cache = Cache::open()?;
        let root = Root::obtain(&cache, TRIXIE)?;
        let step = Step::begin(foreign.package, "a second", cache.log(foreign.package)?);
        let packages = [foreign.package.to_owned()];
        Archive::open(&cache, &root, TRIXIE.name)?.unpack(&step, &packages, into.path())
    };
    let folder = tempfile::tempdir().unwrap();
    if let Err(problem) = fetch(&folder) {
        tell!("{}: {problem}", foreign.package);
        skip("its package cannot be fetched from Debian's archive");
    }
    let mut sources = folder.path().join("usr/src").read_dir().unwrap();
    let stack = sources.next().unwrap().unwrap().path().join(foreign.folder);
    if let Some(line) = foreign.kbuild {
        fs::write(stack.join("Kbuild"), line).unwrap();
    }
    Temporary::within(folder, &stack)
}

fn prove(foreign: &Foreign) {
    let stack = fetched(foreign);
    let (said, error, status) = run(&["prove"], stack.path(), &["--json"]);
    assert!(status == 0 || status == 1, "{said}{error}");
    let proof: Value = serde_json::from_str(&said).unwrap();
    let proof = &proof["kernels"][0];
    let answers = proof["answers"].as_array().unwrap();
    assert!(answers.iter().all(|answer| answer["answer"] != "differs"), "{said}");
    let fault = answers.iter().find(|answer| answer["answer"] != "holds");
    tell!("{} on {}: {}", foreign.package, kernel(), fault.unwrap_or(&proof["result"]));
    if kernel().name == KernelName::STABLE {
        assert_eq!(proof["result"], "holds", "{said}");
    }
    match answers.iter().find(|answer| answer["question"] == "build") {
        Some(build) if build["answer"] == "fails" => {
            let reason = build["reason"].as_str().unwrap();
            assert!(reason.contains(".c:") && reason.contains("error: "), "{reason}");
        }
        _ => {
            let modules = proof["modules"].as_array().unwrap().iter().map(|m| &m["name"]);
            assert_eq!(modules.collect::<Vec<_>>(), foreign.modules, "{said}");
        }
    }
}
