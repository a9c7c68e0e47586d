//! `prove`: what it says of stacks that hold, and of each kind of stack that does not.

use std::fs;

use crate::{
    any_stack::{c_stack, run, stack},
    browser,
    harness::{Needs, Test},
};

use xtask::kernel::KernelName;

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            a_stack_that_holds_is_proven,
            each_stack_that_does_not_hold_ends_as_what_it_is,
        ],
        Needs::Only(KernelName::STOCK) => [
            a_panic_on_one_kernel_ends_no_other,
            a_stack_with_rust_is_said_to_be_that_on_a_kernel_without,
            the_page_of_a_proof_fits_any_window_and_can_be_read_in_the_dark,
        ],
    )
}

/// A module with an init and, where wanted, an exit.
fn module(before: &str, init: &str, goes: bool) -> String {
    let exit = "static void __exit x_exit(void) {}\nmodule_exit(x_exit);\n";
    format!(
        "#include <linux/module.h>\n#include <linux/panic.h>\n{before}\n\
         static int __init x_init(void) {{ {init} }}\nmodule_init(x_init);\n{}\
         MODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"x\");\n",
        if goes { exit } else { "" }
    )
}

fn a_stack_that_holds_is_proven() {
    let folder = c_stack("obj-m := upper.o lower/\n");
    let command = "grep -c lower_answer /proc/kallsyms";
    let (said, error, status) = run(&["prove"], folder.path(), &["--run", command]);
    assert_eq!(status, 0, "{said}{error}");
    for row in ["build", "lower", "upper", "run", "kernel log"] {
        let row = said.lines().find(|line| line.starts_with(&format!("{row} "))).unwrap();
        assert!(row.ends_with(" ok"), "{said}");
    }
    assert!(said.contains("holds on 1 of 1 kernels"), "{said}");
    let (said, _, status) = run(&["prove"], folder.path(), &["--run", "echo no; exit 3"]);
    assert!(status == 1 && said.contains("run: `echo no; exit 3` says: no"), "{said}");
}

/// It is long because it is a list of stacks.
fn each_stack_that_does_not_hold_ends_as_what_it_is() {
    const ALL: &str = "obj-m := a.o\n";
    let exports = "int b_gives(void); int b_gives(void) { return 0; } EXPORT_SYMBOL(b_gives);";
    let (warns, stays) =
        (module("", "WARN_ON(1); return 0;", true), module("", "return 0;", false));
    let (panics, defers) =
        (module("", "panic(\"as asked\");", true), module(exports, "return -EPROBE_DEFER;", true));
    let needs = module("int b_gives(void);", "return b_gives();", true);
    let (egg, hen) = (
        module(
            "int h(void); int e(void); int e(void) { return h(); } EXPORT_SYMBOL(e);",
            "return 0;",
            true,
        ),
        module(
            "int e(void); int h(void); int h(void) { return e(); } EXPORT_SYMBOL(h);",
            "return 0;",
            true,
        ),
    );
    // The files; for each row of the table its end; and what the reasons say.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 8] = [
        (&[("Kbuild", ALL), ("a.c", &warns)], &[("a", "WARNING")], "load a: WARNING: "),
        (
            &[("Kbuild", ALL), ("a.c", &stays)],
            &[("a", "stays")],
            "unload a: it has an init and no exit",
        ),
        (
            &[("Kbuild", ALL), ("a.c", &panics)],
            &[("a", "panic")],
            "Kernel panic - not syncing: as asked",
        ),
        (
            &[("Kbuild", "obj-m := a.o b.o\n"), ("a.c", &needs), ("b.c", &defers)],
            &[("b", "EPROBE_DEFER"), ("a", "-")],
            "load a: it needs b, which is not loaded",
        ),
        (
            &[("Kbuild", "obj-m := a.o b.o\n"), ("a.c", &egg), ("b.c", &hen)],
            &[("depmod", "cycle"), ("a", "cycle"), ("b", "cycle")],
            "dependency cycle: a -> b -> a",
        ),
        (&[("Kbuild", "")], &[("build", "nothing")], "builds no module"),
        (&[("Kbuild", "ifeq (\n")], &[("build", "no build")], "build: Kbuild:1: *** "),
        (
            &[("Kbuild", ALL), ("a.c", "#include \"gone.h\"\n")],
            &[("build", "no build")],
            "fatal error: gone.h: No such file or directory",
        ),
    ];
    for (files, rows, reason) in cases {
        let folder = stack(files);
        let (said, error, status) = run(&["prove"], folder.path(), &[]);
        assert_eq!(status, 1, "{said}{error}");
        assert!(said.contains(reason) && !said.contains("FAULT OF"), "{reason}:\n{said}");
        for (row, end) in rows {
            let row = said.lines().find(|line| line.starts_with(&format!("{row} "))).unwrap();
            assert!(row.ends_with(&format!(" {end}")), "{row:?} does not end with {end}:\n{said}");
        }
    }
    let empty = tempfile::tempdir().unwrap();
    let (_, error, status) = run(&["prove"], empty.path(), &[]);
    assert!(status == 2 && error.contains("neither Kbuild nor Makefile"), "{error}");
}

fn a_panic_on_one_kernel_ends_no_other() {
    let version = "#include <linux/version.h>";
    let init = "if (LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)) panic(\"new\"); return 0;";
    let files = [("Kbuild", "obj-m := a.o\n"), ("a.c", &*module(version, init, true))];
    let folder = stack(&files);
    let (said, error, status) = run(&["prove"], folder.path(), &["--kernel", "stable"]);
    assert_eq!(status, 1, "{said}{error}");
    let row = said.lines().find(|line| line.starts_with("a ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["a", "panic", "ok"], "{said}");
    assert!(said.contains("holds on 1 of 2 kernels"), "{said}");
}

fn a_stack_with_rust_is_said_to_be_that_on_a_kernel_without() {
    let rust = "//! One module.\nuse kernel::prelude::*;\n\
        module! { type: One, name: \"one\", authors: [\"a\"], description: \"d\", license: \"GPL\", }\n\
        struct One;\nimpl kernel::Module for One {\n\
        fn init(_: &'static ThisModule) -> Result<Self> { pr_info!(\"here\\n\"); Ok(Self) } }\n";
    let files = [
        ("Kbuild", "obj-m := one.o\n"),
        (
            "Makefile",
            "KDIR ?= /lib/modules/`uname -r`/build\ndefault:\n\t$(MAKE) -C $(KDIR) M=$$PWD\n",
        ),
        ("one.rs", rust),
    ];
    let folder = stack(&files);
    let (said, error, status) = run(&["prove"], folder.path(), &["--kernel", "stable"]);
    assert_eq!(status, 1, "{said}{error}");
    let row = said.lines().find(|line| line.starts_with("build ")).unwrap();
    assert!(row.split_whitespace().collect::<Vec<_>>().join(" ") == "build ok no Rust", "{said}");
    assert!(said.contains("one.rs is Rust, and this kernel has no CONFIG_RUST"), "{said}");
}

/// The width of the page beyond its window, how much lighter or darker the faintest text is than
/// what is behind it (the contrast ratio of WCAG 2.1), how many texts there are, and whether the
/// page is dark. What scrolls in a frame of its own is not wider than the window.
const LOOK: &str = r#"
const light = (color) => {
  const [r, g, b] = color.match(/[\d.]+/g).map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (node) => {
  const color = getComputedStyle(node).backgroundColor;
  return color === "rgba(0, 0, 0, 0)" ? behind(node.parentElement) : color;
};
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
document.querySelectorAll("details").forEach((details) => { details.open = true; });
const texts = [...document.body.querySelectorAll("*")].filter((node) =>
  !node.closest("svg, script") &&
  [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
const front = (node) => light(getComputedStyle(node).color);
const ratios = texts.map((node) => contrast(front(node), light(behind(node))));
const root = document.documentElement;
document.title = [root.scrollWidth - root.clientWidth, Math.min(...ratios).toFixed(1), texts.length,
  light(getComputedStyle(document.body).backgroundColor) < 0.1].join(" ");
"#;

fn the_page_of_a_proof_fits_any_window_and_can_be_read_in_the_dark() {
    let folder = c_stack("obj-m := upper.o lower/\n");
    let pages = tempfile::tempdir().unwrap();
    let page = pages.path().join("page.html");
    let report = page.to_string_lossy();
    let (said, error, status) = run(&["prove"], folder.path(), &["--report", &report]);
    assert_eq!(status, 0, "{said}{error}");
    let text = fs::read_to_string(&page).unwrap();
    let policy = "http-equiv=\"Content-Security-Policy\"";
    for part in ["<svg", "lower_answer", "modprobe -v upper", "the answer is 42", policy] {
        assert!(text.contains(part), "the page has no {part}");
    }
    let address = text.split("<code>ffffffff").count() - 1;
    assert_eq!(address, 1, "one symbol is exported, at one address");
    assert!(!text.contains("src=") && !text.contains("@import"), "the page stands for itself");
    // No script may run in the page, so this one is held against a copy without that rule.
    fs::write(&page, text.replace(policy, "")).unwrap();
    let dark = "--blink-settings=preferredColorScheme=0";
    let light = "--blink-settings=preferredColorScheme=1";
    for (width, scheme) in [(1300, light), (500, light), (500, dark)] {
        let title = browser::title(&page, LOOK, width, &[scheme]);
        let seen: Vec<&str> = title.split(' ').collect();
        let [wider, contrast, texts, is_dark] = seen[..] else { panic!("{title}") };
        assert_eq!((wider, is_dark), ("0", if scheme == dark { "true" } else { "false" }));
        assert!(contrast.parse::<f32>().unwrap() >= 4.5, "{title}");
        assert!(texts.parse::<u32>().unwrap() > 40, "{title}");
    }
}
