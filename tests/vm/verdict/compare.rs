//! The model's predictions beside what the kernel did, and how many of them agree.

use std::{collections::BTreeMap, fmt::Write as _};

use loader::{
    errno::Errno,
    kernel_facts::KernelFacts,
    kernel_model::KernelModel,
    kernel_state::{KernelState, OnceMessage},
    load_info::LoadRequest,
    log_line::after_messages,
    taints::Taints,
    verdict::{Answer, Verdict},
};

use super::{
    machine,
    machine::{CaseRan, Ran},
};
use crate::{
    corpus::cases::{Case, Load, Shows},
    harness::differs,
    kernel,
};

/// A prediction beside what the kernel did.
pub(super) struct Compared<'c> {
    pub(super) case: &'c Case,
    pub(super) load: usize,
    pub(super) verdict: Verdict,
    pub(super) ran: Ran,
    state: Taints,
}

/// The outcome of a comparison.
enum Agreement {
    Agrees,
    /// The kernel ran the module's init, as predicted, and what that did is the module's own.
    Init(String),
    /// The prediction was that it cannot be decided offline.
    Unknown(String),
    /// The error, the taints or the modules differ: the verdict is wrong.
    Wrong(String),
    /// The lines differ alone, as they may on another release than the one they were recorded on.
    OtherText(String),
}

impl Compared<'_> {
    /// `true` if the kernel got as far as running the module's init: it died there, or init failed
    /// after all that was predicted to be logged, which no check of the loader does silently.
    fn came_to_init(&self) -> bool {
        let Self { verdict, ran, .. } = self;
        let initcalls = [" do_one_initcall+", " do_init_module+"];
        let died = ran.messages.iter().any(|line| initcalls.iter().any(|call| line.contains(call)));
        let begun = after_messages(&verdict.messages, &ran.messages).is_some();
        let refused = [Errno::ENOEXEC, Errno::EINVAL, Errno::ENOENT, Errno::EPERM];
        let refused = refused.iter().any(|errno| ran.errno == Some(errno.number()));
        let own = self.case.own_init && ran.errno.is_some() && !refused;
        died || (own && begun)
    }

    fn agreement(&self) -> Agreement {
        let Self { verdict, ran, .. } = self;
        let expected = match &verdict.answer {
            Answer::Unknown(reason) => return Agreement::Unknown(reason.clone()),
            Answer::Loads => 0,
            // The program's exit status has no room for the kernel's own numbers.
            Answer::Refused(errno) => errno.number().min(255),
        };
        if verdict.loads() && ran.errno != Some(0) && self.came_to_init() {
            let did = format!("errno {:?}, {:?}", ran.errno, ran.messages.first());
            return Agreement::Init(did);
        }
        let mut differs = String::new();
        if ran.errno != Some(expected) {
            let _ = writeln!(differs, "  errno: predicted {expected}, kernel {:?}", ran.errno);
        }
        if ran.taints != self.state.0 {
            let _ = writeln!(
                differs,
                "  taints: predicted {}, kernel {}",
                self.state,
                Taints(ran.taints)
            );
        }
        if verdict.loads() {
            let own = ran.modules.iter().find(|(name, _)| *name == verdict.name);
            let own = own.map(|(_, taints)| taints.as_str());
            if own != Some(verdict.taints.to_string().as_str()) {
                let _ =
                    writeln!(differs, "  module's: predicted {}, kernel {own:?}", verdict.taints);
            }
        }
        let is_wrong = !differs.is_empty();
        // The lines of a module's own init come after all that the loader logs.
        let rest = after_messages(&verdict.messages, &ran.messages);
        if !rest.is_some_and(|rest| rest.is_empty() || self.case.own_init) {
            let lengths = |lines: &[String]| lines.iter().map(String::len).collect::<Vec<_>>();
            let _ = writeln!(
                differs,
                "  predicted {:?} {:#?}\n  kernel {:?} {:#?}",
                lengths(&verdict.messages),
                verdict.messages,
                lengths(&ran.messages),
                ran.messages
            );
        }
        match (is_wrong, differs.is_empty()) {
            (true, _) => Agreement::Wrong(differs),
            (false, false) => Agreement::OtherText(differs),
            (false, true) => Agreement::Agrees,
        }
    }
}

/// Plays cases of one command line in the model and in the machine.
pub(super) fn compare<'c>(target: &KernelFacts, cases: &[&'c Case]) -> Vec<Compared<'c>> {
    let boot = cases.first().map_or("", |case| case.boot);
    let target = target.clone().with_command_line(boot);
    let loads: Vec<&[Load]> = cases.iter().map(|case| case.loads.as_slice()).collect();
    judged(&target, cases, machine().run(&loads, boot))
}

/// Plays cases in the model, each load beside what the machine did with it.
pub(super) fn judged<'c>(
    target: &KernelFacts,
    cases: &[&'c Case],
    ran: Vec<CaseRan>,
) -> Vec<Compared<'c>> {
    let mut compared = Vec::new();
    let mut model = KernelModel::new(target);
    for (case, ran) in cases.iter().zip(ran) {
        model.state.unload_all();
        if let Some(fresh) = ran.fresh {
            model = KernelModel::new(target);
            model.state.taints = Taints(fresh.taints);
        }
        for (load, ran) in ran.loads.into_iter().enumerate() {
            let Load { file, args, flags } = &case.loads[load];
            let request =
                LoadRequest { file, args: args.as_bytes(), flags: *flags, program: "finit" };
            let verdict = model.finit_module(request);
            if matches!(verdict.answer, Answer::Unknown(_)) {
                take_over(&mut model.state, &ran);
            }
            if verdict.loads() && ran.errno != Some(0) {
                model.state.remove(&verdict.name);
            }
            compared.push(Compared { case, load, verdict, ran, state: model.state.taints });
        }
    }
    compared
}

/// After a load of which nothing was predicted, the model goes on from what the kernel said.
fn take_over(state: &mut KernelState, ran: &Ran) {
    state.taints = Taints(ran.taints);
    state.settle(|name| ran.modules.iter().any(|(loaded, _)| loaded == name));
    let said = |text: &str| ran.messages.iter().any(|line| line.contains(text));
    for (once, text) in [
        (OnceMessage::Unsigned, "module verification failed: "),
        (OnceMessage::Livepatch, "tainting kernel with TAINT_LIVEPATCH"),
        (OnceMessage::BtfMismatch, "Kernel module BTF mismatch detected"),
        (OnceMessage::NoExtendedVersion, "no extended symbol version for "),
        (OnceMessage::LockDebugging, "Disabling lock debugging due to kernel taint"),
    ] {
        if said(text) {
            state.is_first(once);
        }
    }
}

/// The number of comparisons for each outcome.
#[derive(Default)]
pub(super) struct Table {
    cases: usize,
    pub(super) loads: usize,
    agree: usize,
    init: Vec<String>,
    unknown: Vec<String>,
    wrong: Vec<String>,
    other_text: Vec<String>,
}

impl Table {
    pub(super) fn take(&mut self, compared: &[Compared<'_>]) {
        for one in compared {
            self.loads += 1;
            self.cases += usize::from(one.load == 0);
            let id = format!("{} load {}", one.case.id, one.load);
            match one.agreement() {
                Agreement::Agrees => self.agree += 1,
                Agreement::Init(did) => self.init.push(format!("{id}: {did}")),
                Agreement::Unknown(reason) => {
                    let hint = one.verdict.decisive().map_or("", |check| check.hint.as_str());
                    assert!(
                        reason.contains(": ") || !hint.is_empty(),
                        "what to do: {id}: {reason}"
                    );
                    let did = format!("errno {:?}, {:?}", one.ran.errno, one.ran.messages);
                    self.unknown.push(format!("{id}: {reason} (kernel: {did})"));
                }
                Agreement::Wrong(how) => self.wrong.push(format!("{id}:\n{how}")),
                Agreement::OtherText(how) => self.other_text.push(format!("{id}:\n{how}")),
            }
        }
    }

    /// Why loads were not decided, with how many of each; numbers are left out.
    fn reasons(&self) -> BTreeMap<String, usize> {
        let mut reasons = BTreeMap::new();
        for line in &self.unknown {
            let reason = line.split(": ").nth(1).unwrap_or_default();
            let reason = reason.split(" (kernel").next().unwrap_or_default();
            let words = reason.split(' ').map(|word| {
                let is_number = word.starts_with(|c: char| c.is_ascii_digit());
                if is_number { "N" } else { word }
            });
            *reasons.entry(words.collect::<Vec<_>>().join(" ")).or_default() += 1;
        }
        reasons
    }

    /// Fails where a prediction differs, or where fewer loads than `decided_min` were decided: a
    /// model that answers "unknown" to everything must not pass. A wrong verdict is never drift.
    pub(super) fn holds(&self, what: &str, decided_min: usize) {
        let Self { cases, loads, agree, init, unknown, wrong, other_text } = self;
        let (init_len, unknown_len) = (init.len(), unknown.len());
        let differ_len = wrong.len() + other_text.len();
        tell!(
            "{what} on {}: {cases} cases, {loads} loads, {agree} agree, {init_len} agree up to \
             init, {unknown_len} unknown, {differ_len} differ",
            kernel()
        );
        for (reason, count) in self.reasons() {
            tell!("  {count:>4} unknown: {reason}");
        }
        assert!(wrong.is_empty(), "{what}: wrong on {}:\n{}", kernel(), wrong.join("\n"));
        if !other_text.is_empty() {
            differs(what, &other_text.join("\n"));
        }
        let undecided = || format!("init: {init:#?}\nunknown: {unknown:#?}");
        let decided = agree + init_len;
        assert!(
            decided + differ_len >= decided_min,
            "{decided_min} are to be decided; {}",
            undecided()
        );
    }
}

/// A prediction that is wrong in one thing only must not be taken for an agreement, and only one
/// that is wrong in its lines alone for drift.
pub(super) fn a_wrong_prediction_differs() {
    let case = Case::new("one", Shows(None, ""));
    let outcome = |change: fn(&mut Ran)| {
        let verdict = Verdict {
            name: "one".into(),
            answer: Answer::Loads,
            messages: vec!["one: loading".into()],
            taints: Taints::OUT_OF_TREE,
            checks: Vec::new(),
        };
        let mut ran = Ran {
            errno: Some(0),
            taints: Taints::OUT_OF_TREE.0,
            modules: vec![("one".into(), "O".into())],
            messages: vec!["one: loading".into()],
        };
        change(&mut ran);
        let state = Taints::OUT_OF_TREE;
        Compared { case: &case, load: 0, verdict, ran, state }.agreement()
    };
    assert!(matches!(outcome(|_| {}), Agreement::Agrees));
    let is_wrong = |change| matches!(outcome(change), Agreement::Wrong(_));
    assert!(is_wrong(|ran| ran.errno = Some(8)));
    assert!(is_wrong(|ran| ran.errno = None));
    assert!(is_wrong(|ran| ran.taints = 0));
    assert!(is_wrong(|ran| ran.modules[0].1.push('E')));
    assert!(is_wrong(|ran| ran.modules.clear()));
    assert!(is_wrong(|ran| {
        ran.messages.clear();
        ran.errno = Some(8);
    }));
    let is_text = |change| matches!(outcome(change), Agreement::OtherText(_));
    assert!(is_text(|ran| ran.messages.clear()));
    assert!(is_text(|ran| ran.messages.push("one: more".into())));
    assert!(is_text(|ran| ran.messages[0].push('!')));
}
