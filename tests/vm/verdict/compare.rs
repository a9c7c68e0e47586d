//! The model's predictions beside what the kernel did, and how many of them agree.

use std::{collections::BTreeMap, fmt::Write as _};

use loader::{
    errno::Errno,
    kernel_facts::KernelFacts,
    kernel_model::KernelModel,
    kernel_state::{KernelState, OnceMessage},
    load_info::LoadRequest,
    log_line::is_message,
    taints::Taints,
    verdict::{Answer, Verdict},
};

use super::{machine, machine::Ran};
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

/// What a comparison comes to.
enum Agreement {
    Agrees,
    /// The kernel ran the module's init, as predicted, and what that did is the module's own.
    Init(String),
    /// The prediction was that it cannot be decided offline.
    Unknown(String),
    Differs(String),
}

impl Compared<'_> {
    /// Whether the kernel got as far as running the module's init: it died there, or init failed
    /// after all that was predicted to be logged, which no check of the loader does silently.
    fn came_to_init(&self) -> bool {
        let Self { verdict, ran, .. } = self;
        let initcalls = [" do_one_initcall+", " do_init_module+"];
        let died = ran.messages.iter().any(|line| initcalls.iter().any(|call| line.contains(call)));
        let begun = ran.messages.iter().zip(&verdict.messages).all(|(k, p)| is_message(p, k));
        let refused = [Errno::ENOEXEC, Errno::EINVAL, Errno::ENOENT, Errno::EPERM];
        let refused = refused.iter().any(|errno| ran.errno == Some(errno.number()));
        let own = self.case.own_init && ran.errno.is_some() && !refused;
        died || (own && begun && ran.messages.len() >= verdict.messages.len())
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
        // What a module with an init of its own logs comes after all that the loader logs.
        let lengths = (verdict.messages.len(), ran.messages.len());
        let same = (lengths.0 == lengths.1 || self.case.own_init && lengths.0 < lengths.1)
            && verdict.messages.iter().zip(&ran.messages).all(|(p, k)| is_message(p, k));
        if !same {
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
        match differs.is_empty() {
            true => Agreement::Agrees,
            false => Agreement::Differs(differs),
        }
    }
}

/// Plays cases of one command line in the model and in the machine.
pub(super) fn compare<'c>(target: &KernelFacts, cases: &[&'c Case]) -> Vec<Compared<'c>> {
    let boot = cases.first().map_or("", |case| case.boot);
    let target = target.clone().with_command_line(boot);
    let loads: Vec<&[Load]> = cases.iter().map(|case| case.loads.as_slice()).collect();
    let ran = machine().run(&loads, boot);
    let mut compared = Vec::new();
    let mut model = KernelModel::new(&target);
    for (case, ran) in cases.iter().zip(ran) {
        model.state.unload_all();
        if let Some(taints) = ran.fresh {
            model = KernelModel::new(&target);
            model.state.taints = Taints(taints);
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

/// How many comparisons came to what.
#[derive(Default)]
pub(super) struct Table {
    cases: usize,
    pub(super) loads: usize,
    agree: usize,
    init: Vec<String>,
    unknown: Vec<String>,
    differ: Vec<String>,
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
                Agreement::Differs(how) => self.differ.push(format!("{id}:\n{how}")),
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
    /// model that answers "unknown" to everything must not pass.
    pub(super) fn holds(&self, what: &str, decided_min: usize) {
        let Self { cases, loads, agree, init, unknown, differ } = self;
        let (init_len, unknown_len, differ_len) = (init.len(), unknown.len(), differ.len());
        println!(
            "{what} on {}: {cases} cases, {loads} loads, {agree} agree, {init_len} agree up to \
             init, {unknown_len} unknown, {differ_len} differ",
            kernel()
        );
        for (reason, count) in self.reasons() {
            println!("  {count:>4} unknown: {reason}");
        }
        if !differ.is_empty() {
            differs(what, &differ.join("\n"));
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

/// A prediction that is wrong in one thing only must not be taken for an agreement.
pub(super) fn a_wrong_prediction_differs() {
    let case = Case::new("one", Shows(None, ""));
    let agrees = |change: fn(&mut Ran)| {
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
        let compared = Compared { case: &case, load: 0, verdict, ran, state };
        matches!(compared.agreement(), Agreement::Agrees)
    };
    assert!(agrees(|_| {}));
    assert!(!agrees(|ran| ran.errno = Some(8)));
    assert!(!agrees(|ran| ran.errno = None));
    assert!(!agrees(|ran| ran.taints = 0));
    assert!(!agrees(|ran| ran.messages.clear()));
    assert!(!agrees(|ran| ran.messages.push("one: more".into())));
    assert!(!agrees(|ran| ran.messages[0].push('!')));
    assert!(!agrees(|ran| ran.modules[0].1.push('E')));
    assert!(!agrees(|ran| ran.modules.clear()));
}
