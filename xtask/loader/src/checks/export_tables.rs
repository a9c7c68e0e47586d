//! The optional sections and the exports (`find_module_sections()`,
//! `check_export_symbol_sections()`, `setup_modinfo()`, `verify_exported_symbols()`).

use crate::{
    errno::Errno,
    load_info::LoadInfo,
    module_exports::{self, count},
    verdict::Finding,
};

/// `find_module_sections()`: 7.1 and later ignore the tables of earlier kernels.
pub(super) fn obsolete(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.rules.flag_table {
        return Finding::pass();
    }
    let mut ignored = Vec::new();
    for table in ["__ksymtab_gpl", "__kcrctab_gpl"] {
        if load.find_sec(table).is_some() {
            let name = load.name.clone();
            load.say(format!("{name}: ignoring obsolete section {table}"));
            ignored.push(table);
        }
    }
    Finding::pass().have(ignored.join(", "))
}

/// `find_module_sections()`: constructors of one kind only.
pub(super) fn constructors(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.constructors {
        return Finding::skip("the kernel runs no constructors (no CONFIG_CONSTRUCTORS)");
    }
    if load.find_sec(".ctors").is_some() && load.find_sec(".init_array").is_some() {
        let name = load.name.clone();
        return load
            .refuse(Errno::EINVAL, format!("{name}: has both .ctors and .init_array."))
            .want(".ctors or .init_array")
            .have("both");
    }
    obsolete_params(load);
    Finding::pass()
}

/// `find_module_sections()`: a warning only, and the last one of that function.
fn obsolete_params(load: &mut LoadInfo<'_>) {
    if load.find_sec("__obsparm").is_some() {
        let name = load.name.clone();
        load.say(format!("{name}: Ignoring obsolete parameters"));
    }
}

/// `check_export_symbol_sections()`: exported symbols need their flags (7.1).
pub(super) fn export_flags(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.constructors {
        obsolete_params(load);
    }
    if !load.kernel.rules.flag_table {
        return Finding::skip("the kernel has a table for GPL-only exports instead (before 7.1)");
    }
    if count(load, "__ksymtab") == 0 || load.find_sec("__kflagstab").is_some() {
        return Finding::pass();
    }
    let name = load.name.clone();
    load.refuse(Errno::ENOEXEC, format!("{name}: no flags for exported symbols"))
        .want("__kflagstab beside __ksymtab, as 7.1 and later build it")
        .have("a module built for a kernel before 7.1")
}

/// `check_export_symbol_sections()`: exported symbols need their CRCs.
pub(super) fn export_versions(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.modversions {
        return Finding::skip("the kernel has no versions (no CONFIG_MODVERSIONS)");
    }
    let mut lacking = count(load, "__ksymtab") > 0 && load.find_sec("__kcrctab").is_none();
    if !load.kernel.rules.flag_table {
        lacking |= count(load, "__ksymtab_gpl") > 0 && load.find_sec("__kcrctab_gpl").is_none();
    }
    if !lacking {
        return Finding::pass();
    }
    if load.force("no versions for exported symbols") {
        return Finding::pass().have("exports without CRCs: loaded by force");
    }
    Finding::fail(Errno::ENOEXEC)
        .want("CRCs for the exported symbols")
        .have("none, and no CONFIG_MODULE_FORCE_LOAD")
}

/// `setup_modinfo()`: no module may import a `module:` namespace.
pub(super) fn module_namespaces(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.rules.module_namespaces {
        return Finding::skip("the kernel does not know module: namespaces (before 6.16)");
    }
    let imported = load.modinfo_values("import_ns");
    let Some(namespace) = imported.iter().find(|name| name.strip_prefix("module:").is_some())
    else {
        return Finding::pass();
    };
    let (name, namespace) = (load.name.clone(), namespace.lossy().into_owned());
    let line = format!("{name}: module tries to import module namespace: {namespace}");
    load.refuse(Errno::EPERM, line).want("no import of a module: namespace").have(namespace)
}

/// `verify_exported_symbols()`: neither the kernel nor a loaded module exports the same name.
pub(super) fn duplicates(load: &mut LoadInfo<'_>) -> Finding {
    let Some(exports) = module_exports::read(load) else {
        return Finding::unknown("its table of exports cannot be followed");
    };
    for export in &exports {
        let found = load.state.find_symbol(load.kernel, &export.symbol, true);
        let Some(found) = found else { continue };
        let owner = found.owner.map_or("kernel", |owner| &owner.name).to_owned();
        let symbol = String::from_utf8_lossy(&export.symbol).into_owned();
        let line = format!("{}: exports duplicate symbol {symbol} (owned by {owner})", load.name);
        return load
            .refuse(Errno::ENOEXEC, line)
            .want(format!("{symbol} exported once"))
            .have(format!("{owner} exports it as well"));
    }
    let count = exports.len();
    load.exports = exports;
    let have = if count == 0 { String::new() } else { format!("{count} exports") };
    Finding::pass().have(have)
}
