//! `load_module()`: walks the checks in the kernel's order until one refuses.

use ko::{license::License, module::Module};

use crate::{
    check_id::CheckId,
    checks::{self, in_order},
    hint,
    kernel_facts::{Export, KernelFacts},
    kernel_state::{KernelState, LoadedModule, NamedExport},
    load_info::{LoadInfo, LoadRequest},
    module_exports,
    signature::{Rejection, Vouched},
    taints::Taints,
    verdict::{Answer, CheckResult, Finding, Outcome, Verdict},
};

/// Loads one file into `state`, or finds why it would be refused. `is_unpacked` says that the
/// kernel has unpacked the file itself.
pub(super) fn load_module<'a>(
    request: LoadRequest<'a>,
    is_unpacked: bool,
    kernel: &'a KernelFacts,
    state: &'a mut KernelState,
) -> Verdict {
    let mut load = LoadInfo::new(request, kernel, state);
    load.is_unpacked = is_unpacked;
    walk(load, None)
}

/// The verdict where the file and the kernel alone decide, whatever is loaded there, and the module
/// that is then in doubt; none where they do not decide.
pub fn early_verdict(
    request: LoadRequest<'_>,
    kernel: &KernelFacts,
) -> Option<(Verdict, Option<LoadedModule>)> {
    let mut state = KernelState::default();
    let verdict = walk(LoadInfo::new(request, kernel, &mut state), Some(CheckId::Loaded));
    (!verdict.loads()).then(|| (verdict, state.take_doubtful().pop()))
}

/// Verifies the signature of an unpacked module for a kernel.
///
/// # Errors
/// Why it is not: `ENODATA` for no signature, `ENOKEY` for a key that the kernel does not have,
/// `ENOPKG` for an algorithm that it does not know, `EKEYREJECTED` for a file that was changed,
/// `EBADMSG` or `EINVAL` for a damaged message; or that it cannot be decided offline.
pub fn verify_signature(file: &[u8], kernel: &KernelFacts) -> Result<Vouched, Rejection> {
    checks::verify_file(file, kernel)
}

fn walk(mut load: LoadInfo<'_>, stop_before: Option<CheckId>) -> Verdict {
    let mut checks = Vec::new();
    let mut answer = Answer::Loads;
    for &(id, run) in in_order(&load.kernel.rules) {
        if Some(id) == stop_before {
            break;
        }
        let mut finding = run(&mut load);
        let is_unknown = matches!(finding.outcome, Outcome::Unknown(_));
        if let Some(reason) = load.elf.unreadable().filter(|_| !is_unknown) {
            finding = Finding::unknown(reason);
        }
        if load.logs_too_much() {
            finding = Finding::unknown("the kernel logs more about it than its log holds");
        }
        if load.state.taints.0 & load.kernel.panic_on_taint.0 != 0 {
            finding =
                Finding::unknown("the kernel panics at its taint: boot without panic_on_taint=");
        }
        let Finding { outcome, want, have, cause } = finding;
        let hint = match outcome {
            Outcome::Fail(_) => hint::hint_for(id, cause, load.kernel),
            Outcome::Unknown(ref reason) => hint::hint_for_unknown(reason),
            Outcome::Pass | Outcome::Skip(_) | Outcome::Open(_) => String::new(),
        };
        checks.push(CheckResult { id, outcome: outcome.clone(), want, have, hint });
        match outcome {
            Outcome::Fail(errno) => answer = Answer::Refused(errno),
            Outcome::Unknown(reason) => answer = Answer::Unknown(reason),
            Outcome::Pass | Outcome::Skip(_) | Outcome::Open(_) => continue,
        }
        break;
    }
    if matches!(answer, Answer::Unknown(_)) {
        load.exports = module_exports::read(&load).unwrap_or_default();
        if load.name.is_empty() {
            read_ahead(&mut load);
        }
    }
    let LoadInfo { name, taints, messages, exports, info_name, state, .. } = load;
    let module = LoadedModule { name: name.clone(), taints, exports };
    match answer {
        Answer::Loads => state.add_module(module),
        Answer::Unknown(_) => state.doubt(module),
        Answer::Refused(_) => {}
    }
    let name = if name.is_empty() { info_name.unwrap_or_default() } else { name };
    Verdict { name, answer, messages, taints, checks }
}

/// Reads the name and the exports of a module in doubt at its signature, which the kernel checks
/// before it reads them. A module that depends on it is in doubt, too, and no other.
fn read_ahead(load: &mut LoadInfo<'_>) {
    if let Some((name, exports)) = name_and_exports(load.request.file) {
        (load.name, load.exports) = (name, exports);
    }
}

/// A module that is loaded already, as its file has it, with the taints that the kernel shows.
pub fn loaded_module(file: &[u8], taints: Taints) -> Option<LoadedModule> {
    let (name, exports) = name_and_exports(file)?;
    Some(LoadedModule { name, taints, exports })
}

fn name_and_exports(file: &[u8]) -> Option<(String, Vec<NamedExport>)> {
    let module = Module::read(file).ok()?;
    let named = |export: ko::exports::Export<'_>| NamedExport {
        symbol: export.symbol.0.bytes().to_vec(),
        export: Export {
            crc: export.crc,
            gpl_only: export.license == License::GplOnly,
            namespace: export.namespace.bytes().to_vec(),
        },
    };
    let exports = module.exports.iter().flatten().map(named).collect();
    Some((module.name().unwrap_or_default().to_string(), exports))
}
