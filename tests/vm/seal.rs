//! The seal of a crate: with it the kernel refuses an importer of another crate, without it it does
//! not.

use stack::symvers::SymversEntry;
use xtask::problem::Kind;

use crate::{
    build::Edit,
    crates::{OTHER_LAYOUT, built, crate_exports},
    guest,
    harness::{Needs, Test},
    kernel,
    stack::{build_dir, expect, run, said},
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            an_importer_of_another_crate_is_refused,
            without_a_seal_an_importer_of_another_crate_loads_and_its_first_call_is_an_oops,
        ],
    )
}

/// Without MODVERSIONS only the seal tells: every other name is the same.
fn an_importer_of_another_crate_is_refused() {
    let other = built("other-layout", OTHER_LAYOUT);
    let (names, seal) = crate_exports(build_dir());
    let (other_names, other_seal) = crate_exports(&other);
    let symbols = |names: &[SymversEntry]| -> Vec<_> {
        names.iter().map(|entry| entry.symbol.clone()).collect()
    };
    assert_eq!(symbols(&names), symbols(&other_names));
    assert_ne!(seal.symbol, other_seal.symbol);

    let mixed = [other.modules().unwrap()[0].clone(), build_dir().modules().unwrap()[2].clone()];
    let report = run(&mixed, &["modprobe provider", "modprobe tally"]);
    let unknown = format!("tally: Unknown symbol {} (err -2)", seal.symbol);
    expect(&report, "modprobe provider", 0, &[]);
    // With MODVERSIONS other symbols fail, too, by another errno. modprobe tells the last one's.
    let also = if kernel().config().unwrap().has("MODVERSIONS") {
        "tally: disagrees about version of symbol _RNv"
    } else {
        "Unknown symbol in module"
    };
    expect(&report, "modprobe tally", 1, &[&unknown, also]);
}

/// The changes that make of `crates.mk` one without a seal.
const UNSEALED: &[Edit] = &[
    (
        "provider/crates.mk",
        "\techo 'const char $(seal) = 0; EXPORT_SYMBOL_GPL($(seal));'; } > $@",
        "\ttrue; } > $@",
    ),
    ("provider/crates.mk", "LDFLAGS_$1.o += -u $$(call crate-seal,$3)\n", ""),
];

/// Begins with what is compiled into the importer: a load through the counter's pointer.
const LOOKS_FIRST: &[Edit] = &[(
    "tally/tally_main.rs",
    "        // Two types,",
    "        pr_info!(\"begins at {}\\n\", counter.value());\n        // Two types,",
)];

/// A counter with two words before its pointer, both zero: where an importer of before looks, in
/// the `Result` of `Counter::new`, the first says `Ok` and the second is the pointer.
const LARGER: &[Edit] = &[
    (
        "provider/counter.rs",
        "pub struct Counter {\n    entry: Arc<Entry>,\n",
        "#[repr(C)]\npub struct Counter {\n    filler: [u64; 2],\n    entry: Arc<Entry>,\n",
    ),
    (
        "provider/counter.rs",
        "        Ok(Self {\n            entry: register(name)?,\n",
        "        Ok(Self {\n            filler: [0; 2],\n            entry: register(name)?,\n",
    ),
];

/// The purpose of the seal: every name is the same, so the kernel finds nothing to refuse.
fn without_a_seal_an_importer_of_another_crate_loads_and_its_first_call_is_an_oops() {
    let before = built("unsealed", &[UNSEALED, LOOKS_FIRST].concat());
    let after = built("unsealed-larger", &[UNSEALED, LARGER].concat());
    let modules = [after.modules().unwrap()[0].clone(), before.modules().unwrap()[2].clone()];
    if kernel().config().unwrap().has("MODVERSIONS") {
        let report = run(&modules, &["modprobe tally"]);
        expect(&report, "modprobe tally", 1, &["tally: disagrees about version of symbol _RNv"]);
        return;
    }
    let guest = modules.iter().fold(guest(), |guest, module| guest.module(module));
    let mut session = guest.start().unwrap();
    session.exec("depmod -a").unwrap();
    let problem = session.exec("modprobe tally").map(|step| said(&step)).unwrap_err();
    assert_eq!(problem.kind, Kind::DoesNotHold, "{problem}");
    let oops = "while `modprobe tally` ran: BUG: kernel NULL pointer dereference";
    assert!(problem.fact.contains(oops), "{problem}");
}
