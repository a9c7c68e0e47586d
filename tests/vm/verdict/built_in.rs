//! Names that built-in code has in /sys/module, out of the kernel's image, beside the running
//! kernel's.

use loader::{errno::Errno, kernel_model::KernelModel, load_info::LoadRequest, verdict::Answer};
use xtask::{build, kernel::facts};

use super::{
    built,
    compare::{Table, judged},
    machine, target,
};
use crate::{
    corpus::cases::{Case, Load, Shows},
    corpus::edit::Module,
    kernel,
};

/// The number of names of /sys/module that nothing tells but the running kernel: those of drivers
/// that are no modules elsewhere (`module_add_driver()`, `drivers/base/module.c`).
const UNTOLD_MAX: usize = 24;
/// Names that no `modules.builtin.modinfo` has, as their parameters are named after something else.
const RENAMED: [&str; 2] = ["rcupdate", "block"];

/// A module of a name that takes nothing.
fn named(name: &str) -> Vec<u8> {
    let mut module = Module::new(built().plain().to_vec());
    module.call(name);
    module.bytes
}

pub(super) fn names_of_built_in_code_are_known_before_the_kernel_runs() {
    let facts = facts::of_kernel(kernel(), || build::this_module(kernel())).unwrap().target;
    let running = target().sysfs_names.as_ref().unwrap();
    let claimed = facts.param_names.as_ref().unwrap();
    let wrong: Vec<&String> = claimed.iter().filter(|name| !running.contains(*name)).collect();
    assert!(wrong.is_empty(), "not in /sys/module: {wrong:?}");
    let mut untold = Vec::new();
    for name in running {
        let file = named(name);
        let request = LoadRequest { file: &file, ..LoadRequest::default() };
        match KernelModel::new(&facts).finit_module(request).answer {
            Answer::Loads => untold.push(name),
            Answer::Unknown(_) => {}
            Answer::Refused(errno) => assert_eq!(errno, Errno::EINVAL, "{name}"),
        }
    }
    tell!("{} names on {}: {} told, untold {untold:?}", running.len(), kernel(), claimed.len());
    assert!(untold.len() <= UNTOLD_MAX, "{untold:?}");
    let case = |name: &str| {
        let loads = vec![Load { file: named(name), args: "", flags: 0 }];
        Case { loads, ..Case::new(name, Shows(Some(Errno::EINVAL), "")) }
    };
    let known: Vec<&str> = RENAMED.into_iter().filter(|name| claimed.contains(*name)).collect();
    let cases: Vec<Case> = known.iter().map(|name| case(name)).collect();
    let cases: Vec<&Case> = cases.iter().collect();
    let loads: Vec<&[Load]> = cases.iter().map(|case| case.loads.as_slice()).collect();
    let mut offline = target().clone();
    (offline.sysfs_names, offline.param_names) = (None, facts.param_names.clone());
    let mut table = Table::default();
    table.take(&judged(&offline, &cases, machine().run(&loads, "")));
    table.holds("names of built-in code", known.len().max(1));
}
