//! The taints of a load (`module_augment_kernel_taints()`), which refuse nothing.

use crate::{
    gpl_only, kernel_state::OnceMessage, load_info::LoadInfo, taints::Taints, verdict::Finding,
};

/// `module_augment_kernel_taints()`, in its order.
pub(super) fn taints(load: &mut LoadInfo<'_>) -> Finding {
    let name = load.name.clone();
    let mut was_proprietary = load.state.taints.has(Taints::PROPRIETARY);
    if load.modinfo_value("intree").is_none() {
        if !load.state.taints.has(Taints::OUT_OF_TREE) {
            load.say(format!("{name}: loading out-of-tree module taints kernel."));
        }
        load.taint(Taints::OUT_OF_TREE);
    }
    retpoline(load);
    if load.modinfo_value("staging").is_some() {
        load.taint(Taints::STAGING);
        load.say(format!(
            "{name}: module is from the staging directory, the quality is unknown, you have been \
             warned."
        ));
    }
    if load.modinfo_value("livepatch").is_some() {
        load.taint(Taints::LIVEPATCH);
        load.say_once(
            OnceMessage::Livepatch,
            format!("{name}: tainting kernel with TAINT_LIVEPATCH"),
        );
    }
    license(load);
    if !load.kernel.rules.license_told_twice {
        was_proprietary = load.state.taints.has(Taints::PROPRIETARY);
    }
    if load.modinfo_value("test").is_some() {
        if !load.state.taints.has(Taints::TEST) {
            load.say(format!("{name}: loading test module taints kernel."));
        }
        load.taint(Taints::TEST);
    }
    if load.sig_ok == Some(false) {
        load.say_once(
            OnceMessage::Unsigned,
            format!(
                "{name}: module verification failed: signature and/or required key missing - \
                 tainting kernel"
            ),
        );
        load.taint(Taints::UNSIGNED);
    }
    match name.as_str() {
        "ndiswrapper" => load.taint_kernel(Taints::PROPRIETARY),
        "driverloader" | "lve" => load.taint(Taints::PROPRIETARY),
        _ => {}
    }
    if !was_proprietary && load.state.taints.has(Taints::PROPRIETARY) {
        load.say(format!("{name}: module license taints kernel."));
    }
    if load.kernel.spectre_v2.is_none() && lacks_retpolines(load) {
        return Finding::open(
            "whether the kernel logs two lines about its lack of retpolines, as it does on a \
             processor with Spectre V2 (--live tells)",
        );
    }
    Finding::pass().have(load.taints.to_string())
}

/// `check_modinfo_retpoline()` and `retpoline_module_ok()` (`arch/x86/kernel/cpu/bugs.c`).
fn retpoline(load: &mut LoadInfo<'_>) {
    if load.kernel.spectre_v2 == Some(true) && lacks_retpolines(load) {
        load.say("Spectre V2 : System may be vulnerable to spectre v2".into());
        let name = load.name.clone();
        load.say(format!("{name}: loading module not compiled with retpoline compiler."));
    }
}

/// `true` if the kernel has retpolines, and the module none.
fn lacks_retpolines(load: &LoadInfo<'_>) -> bool {
    load.kernel.options.retpoline && load.modinfo_value("retpoline").is_none()
}

/// `module_license_taint_check()`.
fn license(load: &mut LoadInfo<'_>) {
    let license = load.modinfo_value("license").map(|text| text.lossy().into_owned());
    let license = license.unwrap_or_else(|| "unspecified".into());
    if gpl_only::is_compatible(&license) {
        return;
    }
    if !load.state.taints.has(Taints::PROPRIETARY) {
        let name = load.name.clone();
        load.say(format!("{name}: module license '{license}' taints kernel."));
    }
    load.taint(Taints::PROPRIETARY);
}
