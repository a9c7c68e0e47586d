//! The last step before the module's own code.

use std::collections::HashSet;

use super::finalize_x86::points_to;
use crate::{errno::Errno, load_info::LoadInfo, verdict::Finding};

/// `mod_sysfs_setup()` (`kernel/module/sysfs.c`): its folder, and a file for each section.
pub(super) fn sysfs(load: &mut LoadInfo<'_>) -> Finding {
    let name = load.name.clone();
    let kernel = load.kernel;
    let is_in = |names: &Option<HashSet<String>>| names.as_ref().is_some_and(|n| n.contains(&name));
    if is_in(&kernel.sysfs_names) || kernel.sysfs_names.is_none() && is_in(&kernel.param_names) {
        return load
            .refuse(Errno::EINVAL, format!("{name}: module is already loaded"))
            .want("a name that is not in /sys/module")
            .have(format!("{name}, which is built in"));
    }
    if kernel.sysfs_names.is_none() && kernel.builtin_names.contains(&name) {
        return Finding::unknown(format!(
            "{name} is built in, and may be in /sys/module: --live tells where that kernel runs"
        ));
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

/// `do_init_module()`: from here on the module's own code decides, unless
/// `initcall_blacklisted()` (`init/main.c`) has the name of its init.
pub(super) fn init(load: &mut LoadInfo<'_>) -> Finding {
    let blacklist = &load.kernel.initcall_blacklist;
    let name = (!blacklist.is_empty()).then(|| init_name(load)).flatten();
    match name {
        Some(name) if blacklist.contains(&name) => load
            .refuse(Errno::EPERM, format!("initcall {name} blacklisted"))
            .want("an init that initcall_blacklist= does not have")
            .have(name),
        _ => Finding::open("what the module's own init returns, which only its run tells"),
    }
}

/// The name of the module's init as `find_kallsyms_symbol()` (`kernel/module/kallsyms.c`) tells it:
/// of several symbols at its place the first in the table.
fn init_name(load: &LoadInfo<'_>) -> Option<String> {
    let init_at = load.kernel.this_module?.init_at;
    let mut places = load.relas_of(load.index.this_module);
    let (section, at) = points_to(load, &places.find(|place| place.rela.offset == init_at)?)?;
    let symbols = (1..load.symbol_count()).map_while(|index| load.symbol(index));
    let there = symbols.filter(|one| usize::from(one.section) == section && one.value == at);
    let mut names = there.map(|one| load.symbol_name(&one).lossy().into_owned());
    // `is_mapping_symbol()` (`include/linux/module_symbol.h`).
    let is_own = |name: &String| {
        !name.is_empty() && ![".L", "L0", "$"].iter().any(|begin| name.starts_with(begin))
    };
    names.find(is_own)
}
