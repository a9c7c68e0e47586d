//! What is asked of a running kernel: each module loaded, the user's command, each module taken
//! out again.

use std::collections::HashSet;

use ko::text::Text;

use super::{
    KernelProof, ProofStep, held,
    point::{Answered, Fault, Point, Subject},
    prediction::{PredictedLoad, Prediction},
};
use crate::{
    guest::{
        Command, Guest, Session,
        console::{PANIC, splats},
        report::CommandReport,
    },
    problem::{Kind, Problem},
};

/// Makes the kernel note which modules it accepts. `module_load` is traced between the loader's
/// last check and the module's init (kernel/module/main.c:load_module, 6.1 to 7.3).
const TRACE: &str = "mount -t tracefs tracefs /sys/kernel/tracing && \
                     echo 1 > /sys/kernel/tracing/events/module/module_load/enable";
/// What it noted.
const ACCEPTED: &str = "cat /sys/kernel/tracing/trace";
const LOADED: &str = "cat /proc/modules";

/// The proof in a guest, as far as it has come.
pub(super) struct InGuest<'a> {
    session: Session,
    prediction: &'a Prediction,
    points: Vec<Point>,
    /// What each command is for.
    whats: Vec<String>,
    traced: bool,
    loaded: HashSet<String>,
    /// Those that the kernel keeps.
    permanent: HashSet<String>,
    kallsyms: Vec<String>,
    /// Why the guest is no more.
    gone: Option<Fault>,
}

/// Asks everything of one guest, and adds the answers to the proof.
pub(super) fn prove(
    guest: &Guest,
    prediction: &Prediction,
    command: Option<&str>,
    proof: &mut KernelProof,
) {
    let session = match guest.start() {
        Ok(session) => session,
        Err(problem) => {
            proof.points.push(Point::new(Subject::Guest, failed(&problem)));
            return;
        }
    };
    let mut one = InGuest {
        session,
        prediction,
        points: Vec::new(),
        whats: Vec::new(),
        traced: false,
        loaded: HashSet::new(),
        permanent: HashSet::new(),
        kallsyms: Vec::new(),
        gone: None,
    };
    one.load();
    if let Some(command) = command {
        one.run(command);
    }
    one.unload();
    one.end(proof);
}

impl InGuest<'_> {
    /// Runs a command that is a step of the proof.
    fn step(&mut self, what: &str, command: impl Into<Command>) -> Option<CommandReport> {
        if self.gone.is_some() {
            return None;
        }
        self.whats.push(what.to_owned());
        match self.session.exec(command) {
            Ok(step) => Some(step),
            Err(problem) => {
                self.gone = Some(self.end_of_guest(&problem));
                None
            }
        }
    }

    /// Asks a question that a command answers.
    fn ask(
        &mut self,
        subject: Subject,
        command: &str,
        judge: impl FnOnce(&mut Self, &CommandReport) -> Answered,
    ) {
        let before = self.gone.is_some();
        let step = self.step(&subject.to_string(), command);
        let index = self.session.report().commands.len().checked_sub(1).filter(|_| !before);
        let answer = match (step, &self.gone) {
            (Some(step), _) => judge(self, &step),
            (None, Some(gone)) if before => {
                Answered::skipped("-", format!("the guest is gone: {}", gone.reason))
            }
            (None, gone) => Answered::Fails(self.kind_of_end(), gone.clone().unwrap_or_default()),
        };
        self.points.push(Point { subject, answer, step: index });
    }

    fn load(&mut self) {
        self.traced = self
            .step("have noted which modules are accepted", TRACE)
            .is_some_and(|step| step.status == 0);
        let prediction = self.prediction;
        let cycles: Vec<String> = prediction.cycles.iter().map(ToString::to_string).collect();
        self.ask(Subject::Depmod, "depmod -a", |_, step| held::depmod(&cycles, step));
        for load in &prediction.loads {
            let needs = || self.needs(load).find(|name| !self.loaded.contains(*name));
            let subject = Subject::Load(load.name.clone());
            if !cycles.is_empty() {
                self.skip(subject, "depmod finds no order".into());
            } else if let Some(name) = needs() {
                let reason = format!("it needs {name}, which is not loaded");
                self.skip(subject, reason);
            } else {
                self.load_one(load, subject);
            }
        }
        self.look();
    }

    fn skip(&mut self, subject: Subject, reason: String) {
        self.points.push(Point::new(subject, Answered::skipped("-", reason)));
    }

    /// The modules of the stack that a module uses.
    fn needs<'a>(&'a self, load: &'a PredictedLoad) -> impl Iterator<Item = &'a str> {
        let modules = self.prediction.modules.iter().filter(|module| module.name == load.name);
        modules.flat_map(|module| module.uses.iter().map(String::as_str))
    }

    fn load_one(&mut self, load: &PredictedLoad, subject: Subject) {
        let command = format!("modprobe -v {}", load.name);
        self.ask(subject, &command, |proof, step| {
            let fails = step.status != 0;
            let accepted = if fails { proof.accepted(&load.name) } else { None };
            if !fails {
                proof.loaded.insert(load.name.clone());
            }
            held::load(&load.verdict, step, accepted)
        });
    }

    /// Whether the kernel came to call a module's init, where it can be told.
    fn accepted(&mut self, name: &str) -> Option<bool> {
        let trace = self
            .step("was it accepted?", ACCEPTED)
            .filter(|step| self.traced && step.status == 0)?
            .text();
        Some(trace.lines().any(|line| {
            let name_on = line.split_once("module_load: ").map(|(_, rest)| rest);
            name_on.and_then(|rest| rest.split_whitespace().next()) == Some(name)
        }))
    }

    /// Looks at what the kernel says of the modules that are loaded.
    fn look(&mut self) {
        let Some(modules) = self.step("which modules are there?", LOADED) else { return };
        let modules = modules.text();
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        let permanent = modules.lines().filter(|line| line.contains("[permanent]"));
        self.permanent = permanent.filter_map(first).collect();
        let live: HashSet<String> = modules.lines().filter_map(first).collect();
        for point in &mut self.points {
            let Subject::Load(name) = &point.subject else { continue };
            if point.answer == Answered::Holds && !live.contains(name) {
                let reason = "modprobe says that it did it, but the kernel does not list it";
                point.answer = Answered::fails("not there", reason);
            }
        }
        self.loaded.retain(|name| live.contains(name));
        let exports = self.prediction.modules.iter().flat_map(|module| {
            module.exports.iter().map(|export| (export.symbol.as_str(), module.name.as_str()))
        });
        let exports: HashSet<(&str, &str)> = exports.collect();
        if exports.is_empty() {
            return;
        }
        let names: Vec<&str> = self.prediction.modules.iter().map(|m| m.name.as_str()).collect();
        let grep = format!("grep -E ' [A-Z] .*\\[({})\\]$' /proc/kallsyms", names.join("|"));
        let Some(said) = self.step("where are their symbols?", grep.as_str()) else { return };
        let said = said.text();
        let exported = |line: &&str| {
            let mut words = line.split_whitespace().skip(2);
            let (symbol, module) = (words.next(), words.next());
            let module = module.map(|module| module.trim_matches(['[', ']']));
            symbol.zip(module).is_some_and(|pair| exports.contains(&pair))
        };
        self.kallsyms = said.lines().filter(exported).map(str::to_owned).collect();
    }

    fn run(&mut self, command: &str) {
        self.ask(Subject::Run, command, |_, step| match step.status {
            0 => Answered::Holds,
            status => {
                let text = step.text();
                let last = Text(text.trim_end().lines().last().unwrap_or_default().as_bytes());
                Answered::fails(format!("status {status}"), format!("`{command}` says: {last}"))
            }
        });
    }

    fn unload(&mut self) {
        let prediction = self.prediction;
        for load in prediction.loads.iter().rev().filter(|load| load.of_stack) {
            let subject = Subject::Unload(load.name.clone());
            if !self.loaded.contains(&load.name) {
                self.skip(subject, "it is not loaded".into());
                continue;
            }
            let permanent = self.permanent.contains(&load.name);
            self.ask(subject, &format!("rmmod {}", load.name), |_, step| {
                held::unload(step, permanent)
            });
        }
    }

    /// Ends the guest, and judges what the kernel logged.
    fn end(self, proof: &mut KernelProof) {
        let InGuest { session, mut points, whats, kallsyms, gone, prediction, .. } = self;
        let mut report = session.report().clone();
        let log = match session.finish() {
            Ok(whole) => {
                report = whole;
                Answered::Holds
            }
            Err(problem) => failed(&problem),
        };
        for point in &mut points {
            let step = point.step.and_then(|index| report.commands.get(index));
            let complaint = step.and_then(held::complaint).filter(|_| gone.is_none());
            if let (Some(fault), true) = (complaint, point.answer.rank() < 2) {
                point.answer = Answered::Fails(Kind::DoesNotHold, fault);
            }
        }
        // The kernel's own modules are told of where they are at fault.
        let own = |name: &str| prediction.loads.iter().any(|l| !l.of_stack && l.name == name);
        points.retain(|point| {
            point.answer != Answered::Holds || !point.subject.module().is_some_and(own)
        });
        points.push(Point::new(Subject::Log, log));
        proof.points.extend(points);
        let steps = whats.into_iter().zip(report.commands);
        proof.steps = steps.map(|(what, report)| ProofStep { what, report }).collect();
        proof.kallsyms = kallsyms;
    }

    fn panicked(&self) -> bool {
        splats(&self.session.report().console, &[]).iter().any(|splat| splat.what == PANIC)
    }

    fn kind_of_end(&self) -> Kind {
        if self.panicked() { Kind::DoesNotHold } else { Kind::Host }
    }

    /// What ended the guest before its time.
    fn end_of_guest(&self, problem: &Problem) -> Fault {
        let word = if self.panicked() { "panic" } else { "hangs" };
        Fault::new(word, problem.first_line())
    }
}

/// An answer that something else ended.
pub(super) fn failed(problem: &Problem) -> Answered {
    let word = match problem.kind {
        Kind::DoesNotHold => "complains",
        Kind::Usage => "wrong",
        Kind::Host => "no answer",
    };
    Answered::Fails(problem.kind, Fault::new(word, problem.first_line()))
}
