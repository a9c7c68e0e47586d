//! The last step before the module's own code.

use std::collections::HashSet;

use crate::{errno::Errno, load_info::LoadInfo, verdict::Finding};

/// `mod_sysfs_setup()` (`kernel/module/sysfs.c`): its folder, and a file for each section.
pub(super) fn sysfs(load: &mut LoadInfo<'_>) -> Finding {
    let name = load.name.clone();
    match &load.kernel.sysfs_names {
        Some(names) if names.contains(&name) => {
            return load
                .refuse(Errno::EINVAL, format!("{name}: module is already loaded"))
                .want("a name that is not in /sys/module")
                .have(format!("{name}, which is built in"));
        }
        None if load.kernel.builtin_names.contains(&name) => {
            return Finding::unknown(format!(
                "{name} is built in, and may be in /sys/module: --live tells where that kernel runs"
            ));
        }
        _ => {}
    }
    let mut seen = HashSet::new();
    for (index, section) in load.sections.iter().enumerate() {
        if section.size == 0 || !load.is_in_memory(index) {
            continue;
        }
        let section_name = load.section_name(index);
        let is_bad = section_name.is_empty() || section_name.bytes().contains(&b'/');
        if is_bad || !seen.insert(section_name) {
            return Finding::unknown(format!(
                "section {index} has the name {section_name:?}, which sysfs cannot take or has \
                 taken for another section, so that the kernel dumps its stack"
            ));
        }
    }
    Finding::pass()
}

/// `do_init_module()`: from here on the module's own code decides.
pub(super) fn init(_: &mut LoadInfo<'_>) -> Finding {
    Finding::open("what the module's own init returns, which only its run tells")
}
