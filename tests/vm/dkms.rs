//! Packages of dkms as stacks: what comes of one equals what dkms by hand comes to.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use xtask::host::{beneath::Folder, run::Output, sandbox::give_to_nobody};

use crate::{
    any_stack::{Temporary, run, stack},
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            a_package_is_built_as_dkms_by_hand_builds_it_and_holds,
            a_package_that_is_not_for_a_kernel_is_told_apart_from_all_else,
        ],
    )
}

/// A package that plain make cannot build: no Makefile at the top, a source that PRE_BUILD makes, a
/// word out of MAKE[0].
const CONF: &str = r#"PACKAGE_NAME="pair"
PACKAGE_VERSION="1.0"
WORD="of_${kernelver%%.*}"
PRE_BUILD="generate.sh ${kernelver}"
MAKE[0]="make -C ${kernel_source_dir} M=${dkms_tree}/${PACKAGE_NAME}/${PACKAGE_VERSION}/build/both WORD=$WORD"
BUILT_MODULE_NAME[0]="upper"
BUILT_MODULE_LOCATION[0]="both"
DEST_MODULE_LOCATION[0]="/kernel/extra"
BUILT_MODULE_NAME[1]="lower"
BUILT_MODULE_LOCATION[1]="both/"
DEST_MODULE_LOCATION[1]="/kernel/extra"
"#;
const GENERATE: &str = "#!/bin/sh\nsed \"s/RELEASE/$1/\" both/lower.c.in > both/lower.c\n";
const KBUILD: &str = "obj-m := upper.o lower.o\nccflags-y := -DWORD=$(WORD)\n";
const LOWER: &str = "#include <linux/module.h>
#include <linux/stringify.h>
const char *lower_word(void) { return \"built for RELEASE \" __stringify(WORD); }
EXPORT_SYMBOL_GPL(lower_word);
MODULE_LICENSE(\"GPL\");
MODULE_VERSION(\"1\");
MODULE_DESCRIPTION(\"the lower one\");
";
const UPPER: &str = "#include <linux/module.h>
const char *lower_word(void);
static int __init upper_init(void) { pr_info(\"%s\\n\", lower_word()); return 0; }
static void __exit upper_exit(void) { }
module_init(upper_init);
module_exit(upper_exit);
MODULE_LICENSE(\"GPL\");
MODULE_VERSION(\"1\");
MODULE_DESCRIPTION(\"the upper one\");
";

/// A package with this dkms.conf, and a script that is run before its build.
fn package(conf: &str, generate: &str) -> Temporary {
    let package = stack(&[
        ("dkms.conf", conf),
        ("generate.sh", generate),
        ("both/Kbuild", KBUILD),
        ("both/lower.c.in", LOWER),
        ("both/upper.c", UPPER),
    ]);
    let script = package.path().join("generate.sh");
    fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
    package
}

/// dkms as an administrator runs it, with its three trees in a folder.
struct ByHand {
    folder: TempDir,
}

impl ByHand {
    fn new(package: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trees = format!("dkms src modules/{}", kernel().release);
        let by_hand = Self { folder };
        let (to, from) = (by_hand.folder.path(), package.to_string_lossy());
        let copy = format!("mkdir -p {trees} && cp -r {from} src/pair-1.0");
        let copied = std::process::Command::new("sh").args(["-c", &copy]).current_dir(to).status();
        assert!(copied.unwrap().success());
        give_to_nobody(to).unwrap();
        by_hand
    }

    fn dkms(&self, verb: &str) -> Output {
        let (folder, kernel) = (self.folder.path(), kernel());
        let tree = |name: &str| folder.join(name);
        let run = kernel.toolchain.run("dkms", folder).args([verb, "-m", "pair", "-v", "1.0"]);
        let run = run.arg("-k").arg(&kernel.release).arg("--kernelsourcedir").arg(&kernel.kdir);
        let run = run.arg("--sourcetree").arg(tree("src")).arg("--dkmstree").arg(tree("dkms"));
        run.arg("--installtree").arg(tree("modules")).output().unwrap()
    }
}

/// The modules below a folder, each with what modinfo says of it.
fn modules(folder: &Path) -> Vec<(PathBuf, String)> {
    let all = Folder::open(folder).unwrap().walk().unwrap().into_iter().map(|(path, _)| path);
    let modules = all.filter(|path| path.extension().is_some_and(|end| end == "ko"));
    let facts = |path: &Path| {
        let modinfo = kernel().toolchain.run("modinfo", folder).arg(folder.join(path));
        let said = modinfo.stdout().unwrap();
        let facts = said.lines().filter(|line| !line.starts_with("filename:"));
        facts.collect::<Vec<_>>().join("\n")
    };
    modules.map(|path| (path.clone(), facts(&path))).collect()
}

fn a_package_is_built_as_dkms_by_hand_builds_it_and_holds() {
    let package = package(CONF, GENERATE);
    let release = &kernel().release;
    let word = format!("built for {release} of_{}", release.split('.').next().unwrap());
    let command = format!("dmesg | grep -q '{word}'");
    let (said, error, status) = run(&["prove"], package.path(), &["--run", &command]);
    assert_eq!(status, 0, "{said}{error}");
    for row in ["build", "lower", "upper", "run", "kernel log"] {
        let row = said.lines().find(|line| line.starts_with(&format!("{row} "))).unwrap();
        assert!(row.ends_with(" ok"), "{said}");
    }
    assert!(said.contains(", built by dkms as its dkms.conf says, holds on 1 of 1"), "{said}");
    let (said, error, status) = run(&["prove"], package.path(), &["--json"]);
    assert!(status == 0 && said.contains("\"built_by\": \"dkms\""), "{said}{error}");

    let by_hand = ByHand::new(package.path());
    for verb in ["add", "build", "install"] {
        let output = by_hand.dkms(verb);
        assert!(output.status.success(), "{verb}: {}{}", output.stdout, output.stderr);
    }
    let ours = modules(&package.products().join("modules"));
    assert_eq!(ours, modules(&by_hand.folder.path().join("modules")));
    let name = |name: &str| PathBuf::from(format!("{release}/updates/dkms/{name}.ko"));
    let names: Vec<&PathBuf> = ours.iter().map(|(path, _)| path).collect();
    assert_eq!(names, [&name("lower"), &name("upper")]);
    assert!(ours.iter().all(|(_, facts)| facts.contains(&format!("vermagic:       {release} "))));
    // As its dkms.conf has them.
    let built = package.modules();
    let order: Vec<_> = built.iter().map(|path| path.file_stem().unwrap()).collect();
    assert_eq!(order, ["upper", "lower"]);
}

fn a_package_that_is_not_for_a_kernel_is_told_apart_from_all_else() {
    let conf = format!("{CONF}BUILD_EXCLUSIVE_KERNEL_MIN=\"99\"\n");
    let not_for_it = package(&conf, GENERATE);
    let by_hand = ByHand::new(not_for_it.path());
    assert!(by_hand.dkms("add").status.success());
    assert_eq!(by_hand.dkms("build").status.code(), Some(77));

    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name).to_string_lossy().into_owned();
    let (xml, ktap, page) = (file("a.xml"), file("a.ktap"), file("a.html"));
    let forms = ["--junit", &xml, "--ktap", &ktap, "--report", &page];
    let (said, error, status) = run(&["prove"], not_for_it.path(), &forms);
    // A stack that was tried on no kernel does not hold.
    assert_eq!(status, 1, "{said}{error}");
    let row = said.lines().find(|line| line.starts_with("build ")).unwrap();
    assert!(row.ends_with(" not for it") && error.contains("not for this kernel"), "{said}{error}");
    assert!(said.contains("holds on 0 of 1 kernels, 1 that it is not for"), "{said}");
    let why = format!("says by BUILD_EXCLUSIVE that it is not for {}", kernel().release);
    for form in [xml, ktap, page] {
        assert!(fs::read_to_string(&form).unwrap().contains(&why), "{form}");
    }
    let (json, _, status) = run(&["prove"], not_for_it.path(), &["--json"]);
    let word = |field: &str, word: &str| json.contains(&format!("\"{field}\": \"{word}\""));
    assert!(word("result", "not-for-kernel") && word("answer", "not-for-kernel"), "{json}");
    assert!(status == 1 && json.contains("\"holds\": false"), "{json}");
    let (_, error, status) = run(&["build"], not_for_it.path(), &[]);
    assert!(status == 1 && error.contains(&why), "{error}");

    // Its own script ends with the same status: that is a failure.
    let fails = package(CONF, "#!/bin/sh\nexit 77\n");
    let (said, error, status) = run(&["prove"], fails.path(), &[]);
    let row = said.lines().find(|line| line.starts_with("build ")).unwrap();
    assert!(status == 1 && row.ends_with(" no build"), "{said}{error}");
}
