//! Exports of Rust functions without a C file: `export.rs` and `export.mk` of docs/14-crates.

use std::{fs, path::Path};

use stack::symvers::{Symvers, SymversEntry};
use xtask::build::project;

use crate::{
    crates::make_outside,
    harness::{Needs, Test},
    kernel,
    stack::{expect, run},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            a_function_is_exported_by_hand_in_every_class,
            exports_that_c_would_not_make_do_not_compile,
        ],
    )
}

const KBUILD: &str = "obj-m := half.o user.o\ninclude $(src)/export.mk\n";

/// Exports a function in each class.
const HALF: &str = r#"//! Halves.
use kernel::prelude::*;

#[macro_use]
mod export;

module! {
    type: Half,
    name: "half",
    license: "GPL",
}

export_symbol!(fn half_any(u32) -> u32);
export_symbol_gpl!(fn half_gpl(u32) -> u32);
export_symbol_ns_gpl!("HALF", fn half_ns(*const u64) -> u64);
export_symbol_for_modules!("user,friend*", fn half_friend());

/// Halves.
#[no_mangle]
pub extern "C" fn half_any(value: u32) -> u32 {
    value / 2
}

/// Halves.
#[no_mangle]
pub extern "C" fn half_gpl(value: u32) -> u32 {
    value / 2
}

/// # Safety
///
/// `value` points to a value.
#[no_mangle]
pub unsafe extern "C" fn half_ns(value: *const u64) -> u64 {
    // SAFETY: By the safety requirements.
    unsafe { *value / 2 }
}

/// Does nothing.
#[no_mangle]
pub extern "C" fn half_friend() {}

struct Half;

impl kernel::Module for Half {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
"#;

/// Calls all of them.
const USER: &str = r#"#include <linux/module.h>
u32 half_any(u32);
u32 half_gpl(u32);
u64 half_ns(const u64 *);
void half_friend(void);
static int __init user_init(void)
{
	u64 value = 84;

	half_friend();
	pr_info("user: %u %u %llu\n", half_any(82), half_gpl(83), half_ns(&value));
	return 0;
}
module_init(user_init);
static void __exit user_exit(void) { }
module_exit(user_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Calls half");
MODULE_IMPORT_NS("HALF");
"#;

/// Builds it with one text replaced, and returns what was said where that fails.
fn built(folder: &Path, from: &str, to: &str) -> Result<Vec<SymversEntry>, String> {
    assert!(HALF.contains(from), "{from}");
    fs::write(folder.join("Kbuild"), KBUILD).unwrap();
    fs::write(folder.join("half.rs"), HALF.replace(from, to)).unwrap();
    fs::write(folder.join("user.c"), USER).unwrap();
    for file in ["export.rs", "export.mk"] {
        let example = project().join("docs/14-crates/evening");
        fs::copy(example.join(file), folder.join(file)).unwrap();
    }
    let (holds, text) = make_outside(folder, "", &[]);
    if !holds {
        return Err(text);
    }
    assert!(!text.contains("version generation failed"), "{text}");
    let symvers = fs::read(folder.join("Module.symvers")).unwrap();
    Ok(Symvers::parse(symvers).unwrap().entries().to_vec())
}

fn a_function_is_exported_by_hand_in_every_class() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let exports = built(folder, "", "").unwrap();
    let text = fs::read_to_string(folder.join("Module.symvers")).unwrap();
    for line in [
        "\thalf_any\thalf\tEXPORT_SYMBOL\t\n",
        "\thalf_gpl\thalf\tEXPORT_SYMBOL_GPL\t\n",
        "\thalf_ns\thalf\tEXPORT_SYMBOL_GPL\tHALF\n",
        "\thalf_friend\thalf\tEXPORT_SYMBOL_GPL\tmodule:user,friend*\n",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    let report = run(&["half.ko", "user.ko"].map(|file| folder.join(file)), &["modprobe user"]);
    expect(&report, "modprobe user", 0, &["user: 41 41 42"]);

    let modversions = kernel().config().unwrap().has("MODVERSIONS");
    assert!(exports.iter().all(|entry| (entry.crc != 0) == modversions), "{exports:?}");
    // A version is of the function's own type.
    let other = HALF.replace("half_any(u32)", "half_any(u64)");
    let other = other.replace(
        "half_any(value: u32) -> u32 {\n    value / 2",
        "half_any(value: u64) -> u32 {\n    value as u32 / 2",
    );
    let others = built(folder, HALF, &other).unwrap();
    for (old, new) in exports.iter().zip(&others) {
        assert_eq!(old.symbol, new.symbol);
        let changed = modversions && old.symbol == "half_any";
        assert_eq!(old.crc != new.crc, changed, "{}", old.symbol);
    }
}

fn exports_that_c_would_not_make_do_not_compile() {
    let folder = tempfile::tempdir().unwrap();
    let any = "#[no_mangle]\npub extern \"C\" fn half_any";
    for (what, from, to, said) in [
        ("no such function", "half_any(u32)", "half_all(u32)", "E0425"),
        ("another type", "half_any(u32) -> u32", "half_any(u32) -> i32", "E0308"),
        ("another number of arguments", "half_any(u32)", "half_any()", "E0308"),
        ("another ABI", any, "#[no_mangle]\npub fn half_any", "E0308"),
        (
            "a mangled name",
            any,
            "pub extern \"C\" fn half_any",
            "half_any is exported and not #[no_mangle]",
        ),
        (
            "exported twice",
            "export_symbol_gpl!(fn half_gpl",
            "export_symbol_gpl!(fn half_any(u32) -> u32);\nexport_symbol_gpl!(fn half_gpl",
            "already defined",
        ),
        ("a namespace that is no text", "\"HALF\"", "HALF", "no rules expected"),
        (
            "a value",
            "export_symbol_gpl!(fn half_gpl(u32) -> u32)",
            "export_symbol_gpl!(half_gpl)",
            "no rules expected",
        ),
    ] {
        let text = built(folder.path(), from, to).expect_err(what);
        assert!(text.contains(said), "{what}:\n{text}");
    }
}
