//! The verbs: dispatch only.

use std::{
    ffi::OsString,
    io::{Write as _, stdout},
    process::ExitCode,
};

use ko::text::is_command;

use super::{
    bench, build as build_verb, check, demo, doctor, editor, enter, exercise, inspect, kernels,
    lesson, new, order, prove, setup, shell, symvers, test, vermagic, vm, watch,
};
use crate::{
    build,
    host::{manifest, process, progress},
    printer,
    problem::Kind,
};

/// The text that follows the help.
pub const AFTER_HELP: &str = "Exit status: 0 it holds, 1 it does not hold, 2 a wrong request, \
    69 this machine could not do it.\n`vm` passes the status of the guest's command through.";

verbs! {
    /// All verbs, in the order of the help.
    #[expect(missing_docs, reason = "each verb's arguments say what it does")]
    pub enum Verb {
        Demo(demo::Args),
        Test(test::Args),
        Doctor(doctor::Args),
        Setup(setup::Args),
        Kernels(kernels::Args),
        New(new::Args),
        Build(build_verb::Args),
        Vm(vm::Args),
        Shell(shell::Args),
        Watch(watch::Args),
        Prove(prove::Args),
        Enter(enter::Args),
        Editor(editor::Args),
        Inspect(inspect::Args),
        Symvers(symvers::Args),
        Order(order::Args),
        Check(check::Args),
        Vermagic(vermagic::Args),
        Lesson(lesson::Args),
        Exercise(exercise::Args),
        Bless(lesson::BlessArgs),
        Bench(bench::Args),
    }
}

impl Verb {
    /// `true` if it is about our own modules, tests and pages, and so needs a checkout of them.
    fn is_about_the_project(&self) -> bool {
        use Verb::{Bless, Demo, Exercise, Lesson, Test};
        matches!(self, Demo(_) | Test(_) | Lesson(_) | Exercise(_) | Bless(_))
    }
}

/// Reads the arguments of a program; the status with which it ends where they ask for no verb.
///
/// # Errors
/// Help was asked for, or they are wrong; it is said.
pub fn parse<P: clap::Parser>() -> Result<P, ExitCode> {
    P::try_parse().map_err(|said| {
        let is_plain = |arg: OsString| !arg.to_string_lossy().contains(is_command);
        if !std::env::args_os().all(is_plain) {
            printer::error(format_args!("{}", said.render()));
        } else if said.use_stderr() {
            // A closed standard error loses nothing that the exit status lacks.
            let _ = said.print();
        } else {
            printer::or_lost(said.print().and_then(|()| stdout().flush()));
        }
        ExitCode::from(if said.use_stderr() { Kind::Usage.status() } else { 0 })
    })
}

/// Runs a verb, and says on standard error why it did not come to an answer.
pub fn run(verb: Verb) -> ExitCode {
    let ready = if verb.is_about_the_project() { build::require_project() } else { Ok(()) };
    let ended = ready.and_then(|()| verb.dispatch());
    process::end_if_interrupted();
    // Before anyone is blamed: what is damaged in the cache is to blame.
    let failed = ended.as_ref().map_or(true, |code| *code != ExitCode::SUCCESS);
    let whole = if failed { manifest::require_used() } else { Ok(()) };
    whole.and(ended).unwrap_or_else(|problem| {
        progress::say(&format!("error: {problem}"));
        problem.exit_code()
    })
}
