//! The questions to a running kernel: each module loaded, the user's command, each module taken
//! out again, and what they left behind.
//!
//! The answers rest on nothing that a module's helpers can mount over, overwrite or remove: the
//! tools run behind the agent's guard, and what they say is held against the agent's own reading of
//! `/proc/modules`. Code in the kernel itself can lie all the same.

use std::collections::HashSet;

use ko::text::Text;

use super::{
    KernelProof, ProofStep, held,
    left_behind::{AFTERWARDS, NAMES},
    point::{Answered, Fault, Point, Subject},
    prediction::{PredictedLoad, Prediction},
};
use crate::{
    guest::{
        Command, Guest, Session,
        console::{Allowed, PANIC, splats},
        report::CommandReport,
    },
    host::process::interrupted,
    problem::{Kind, Problem},
};

/// Makes the kernel note which modules it accepts. `module_load` is traced between the loader's
/// last check and the module's init (kernel/module/main.c:load_module, 6.1 to 7.3).
const TRACE: &str = "mount -t tracefs tracefs /sys/kernel/tracing && \
                     echo 1 > /sys/kernel/tracing/events/module/module_load/enable";
/// The file of what it noted.
const ACCEPTED: &str = "/sys/kernel/tracing/trace";
const LOADED: &str = "/proc/modules";

/// The proof in a guest, as far as it has come.
pub(super) struct InGuest<'a> {
    session: Session,
    prediction: &'a Prediction,
    allowed: &'a [Allowed],
    points: Vec<Point>,
    /// The purpose of each command.
    whats: Vec<String>,
    traced: bool,
    loaded: HashSet<String>,
    /// Those whose init returned the error that the stack expects.
    failed_as_expected: HashSet<String>,
    /// Those that the kernel keeps.
    permanent: HashSet<String>,
    kallsyms: Vec<String>,
    /// The names before the first module came; none where modules of the kernel's own stay.
    names: Option<String>,
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
        allowed: guest.allowed(),
        points: Vec::new(),
        whats: Vec::new(),
        traced: false,
        loaded: HashSet::new(),
        failed_as_expected: HashSet::new(),
        permanent: HashSet::new(),
        kallsyms: Vec::new(),
        names: None,
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
        command: impl Into<Command>,
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
            (None, gone) => {
                Answered::Fails(self.kind_of_end(&subject), gone.clone().unwrap_or_default())
            }
        };
        self.points.push(Point { subject, answer, step: index });
    }

    fn load(&mut self) {
        let prediction = self.prediction;
        let cycles: Vec<String> = prediction.cycles.iter().map(ToString::to_string).collect();
        let depmod = Command::tool(&["depmod", "-a"]);
        self.ask(Subject::Depmod, depmod, |_, step| held::depmod(&cycles, step));
        self.guard();
        self.traced = self
            .step("have noted which modules are accepted", TRACE)
            .is_some_and(|step| step.status == 0);
        if prediction.loads.iter().all(|load| load.of_stack) {
            let names = self.step("which devices are there?", Command::tool(&["sh", "-c", NAMES]));
            self.names = names.map(|step| step.text());
        }
        let essential = prediction.essential();
        for load in &prediction.loads {
            let missing = |name: &&String| !self.loaded.contains(*name);
            let planned = |name: &&String| prediction.loads.iter().any(|load| load.name == **name);
            let needs = || load.needs.iter().filter(planned).find(missing);
            let subject = Subject::Load(load.name.clone());
            if !cycles.is_empty() {
                self.skip(subject, "depmod finds no order".into());
            } else if let Some(name) = needs() {
                let reason = format!("it needs {name}, which is not loaded");
                if self.failed_as_expected.contains(name) {
                    // Nothing else is red then.
                    self.points.push(Point::new(subject, Answered::fails("no load", reason)));
                } else {
                    self.skip(subject, reason);
                }
            } else {
                self.load_one(load, subject, essential.contains(load.name.as_str()));
            }
        }
        self.look();
    }

    /// Lets the agent go where no helper of a module reaches it. None has run yet.
    fn guard(&mut self) {
        if self.gone.is_none() {
            if let Err(problem) = self.session.guard() {
                self.gone = Some(self.end_of_guest(&problem));
            }
        }
    }

    fn skip(&mut self, subject: Subject, reason: String) {
        self.points.push(Point::new(subject, Answered::skipped("-", reason)));
    }

    fn load_one(&mut self, load: &PredictedLoad, subject: Subject, essential: bool) {
        let mut words = vec!["modprobe", "-v", &load.name];
        words.extend(load.parameters.iter().map(String::as_str));
        let command = Command::tool(&words);
        self.ask(subject, command, |proof, step| {
            let fails = step.status != 0;
            let accepted = if fails { proof.accepted(&load.name) } else { None };
            if !fails {
                proof.loaded.insert(load.name.clone());
            }
            let mut answer = held::load(load, step, accepted);
            if let (Answered::Holds, Some(line)) = (&answer, held::ignored(&load.name, step)) {
                answer = Answered::fails("parameter", line);
            } else if fails && answer == Answered::Holds {
                proof.failed_as_expected.insert(load.name.clone());
            }
            if essential { answer } else { held::ignored_by_modprobe(answer) }
        });
    }

    /// Returns `true` if the kernel came to call a module's init, where it can be told.
    fn accepted(&mut self, name: &str) -> Option<bool> {
        if !self.traced {
            return None;
        }
        let trace = self.step("was it accepted?", Command::read(ACCEPTED))?.text();
        Some(trace.lines().any(|line| {
            let name_on = line.split_once("module_load: ").map(|(_, rest)| rest);
            name_on.and_then(|rest| rest.split_whitespace().next()) == Some(name)
        }))
    }

    /// The lines of `/proc/modules`, each with the name that it begins with.
    fn listed(&mut self, what: &str) -> Option<Vec<(String, String)>> {
        let modules = self.step(what, Command::read(LOADED))?.text();
        let named = |line: &str| Some((line.split_whitespace().next()?.into(), line.into()));
        Some(modules.lines().filter_map(named).collect())
    }

    /// Looks at what the kernel says of the modules that are loaded.
    fn look(&mut self) {
        let Some(listed) = self.listed("which modules are there?") else { return };
        let permanent = listed.iter().filter(|(_, line)| line.contains("[permanent]"));
        self.permanent = permanent.map(|(name, _)| name.clone()).collect();
        let live: HashSet<&String> = listed.iter().map(|(name, _)| name).collect();
        for point in &mut self.points {
            let Subject::Load(name) = &point.subject else { continue };
            let expected = live.contains(name) || self.failed_as_expected.contains(name);
            if point.answer == Answered::Holds && !expected {
                let mut loads = self.prediction.loads.iter();
                let reason = if loads.any(|load| load.name == *name && load.built_in) {
                    "the kernel has a module of this name built in: modprobe takes it for loaded, \
                     and does nothing"
                } else {
                    "modprobe says that it did it, but the kernel does not list it"
                };
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
        let names = self.prediction.modules.iter().map(|module| {
            // Any character stands for one that a pattern might take for more than itself.
            module.name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', ".")
        });
        let names: Vec<String> = names.collect();
        let pattern = format!(" [A-Z] .*\\[({})\\]$", names.join("|"));
        let grep = Command::tool(&["grep", "-E", &pattern, "/proc/kallsyms"]);
        let Some(said) = self.step("where are their symbols?", grep) else { return };
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
            if self.failed_as_expected.contains(&load.name) {
                continue;
            }
            let subject = Subject::Unload(load.name.clone());
            if !self.loaded.contains(&load.name) {
                self.skip(subject, "it is not loaded".into());
                continue;
            }
            let permanent = self.permanent.contains(&load.name);
            let command = Command::tool(&["rmmod", &load.name]);
            self.ask(subject, command, |_, step| held::unload(step, permanent));
        }
        self.look_again();
    }

    /// Holds what rmmod said against what the kernel lists, and waits for what was left behind.
    fn look_again(&mut self) {
        let went = |point: &Point| {
            matches!(point.subject, Subject::Unload(_)) && point.answer == Answered::Holds
        };
        if self.failed_as_expected.is_empty() && !self.points.iter().any(went) {
            return;
        }
        let Some(listed) = self.listed("which modules are left?") else {
            let kind = self.kind_of_end(&Subject::Afterwards);
            let end = Answered::Fails(kind, self.gone.clone().unwrap_or_default());
            self.points.push(Point::new(Subject::Afterwards, end));
            return;
        };
        for point in self.points.iter_mut().filter(|point| went(point)) {
            if listed.iter().any(|(name, _)| Some(&**name) == point.subject.module()) {
                let reason = "rmmod says that it did it, but the kernel still lists it";
                point.answer = Answered::fails("stays", reason);
            }
        }
        // A module that is still loaded keeps what is its own.
        let left = if listed.is_empty() { self.left_behind() } else { None };
        let wait = Command::tool(&["sh", "-c", AFTERWARDS]);
        self.ask(Subject::Afterwards, wait, |_, step| match step.status {
            0 if step.text().is_empty() => left.map_or(Answered::Holds, |left| {
                Answered::fails("left", format!("{left} is left behind"))
            }),
            0 => {
                let name = step.text().lines().next().unwrap_or_default().to_owned();
                let reason = format!("the thread {name} goes on in code that is gone");
                Answered::fails("thread", reason)
            }
            status => {
                let reason = format!("the wait for what was left behind ended with {status}");
                Answered::fails("disturbed", reason)
            }
        });
    }

    /// Returns the first name that was not there before the stack came.
    fn left_behind(&mut self) -> Option<String> {
        let before = self.names.take()?;
        let now = self.step("which devices are left?", Command::tool(&["sh", "-c", NAMES]))?.text();
        let known: HashSet<&str> = before.lines().collect();
        let left = now.lines().find(|name| !known.contains(name));
        left.map(|name| Text(name.as_bytes()).to_string())
    }

    /// Ends the guest, and judges what the kernel logged.
    fn end(self, proof: &mut KernelProof) {
        let InGuest { session, mut points, whats, kallsyms, gone, prediction, allowed, .. } = self;
        let (report, verdict) = session.end();
        let log = verdict.map_or_else(|problem| failed(&problem), |()| Answered::Holds);
        for point in &mut points {
            let step = point.step.and_then(|index| report.commands.get(index));
            let complaint =
                step.and_then(|step| held::complaint(step, allowed)).filter(|_| gone.is_none());
            if let (Some(fault), true) = (complaint, point.answer.kind().is_none()) {
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

    /// Returns the kind of fault by which a guest ended while it was asked about `subject`: the
    /// stack's once a module of it had its turn, unless something on this machine ended it.
    fn kind_of_end(&self, subject: &Subject) -> Kind {
        let killed = |gone: &Fault| gone.reason.contains("QEMU was killed by signal");
        let by_host = interrupted().is_some() || self.gone.as_ref().is_some_and(killed);
        let before = *subject == Subject::Depmod;
        if self.panicked() || !(before || by_host) { Kind::DoesNotHold } else { Kind::Host }
    }

    /// Returns the fault that ended the guest before its time.
    fn end_of_guest(&self, problem: &Problem) -> Fault {
        let reason = problem.first_line();
        let word = match () {
            () if self.panicked() => "panic",
            () if reason.starts_with("the VM ended") => "ended",
            () => "hangs",
        };
        Fault::new(word, reason)
    }
}

/// An answer that something else ended.
pub(super) fn failed(problem: &Problem) -> Answered {
    let word = match problem.kind {
        Kind::DoesNotHold | Kind::NotForKernel => "complains",
        Kind::Usage => "wrong",
        Kind::Host => "no answer",
    };
    Answered::Fails(problem.kind, Fault::new(word, problem.first_line()))
}
