//! The verbs: dispatch only.

use std::process::ExitCode;

use super::{
    bench, build as build_verb, check, demo, doctor, editor, enter, exercise, inspect, kernels,
    lesson, new, order, prove, setup, shell, symvers, test, vermagic, vm, watch,
};
use crate::{
    build,
    host::{process, progress},
};

/// What follows the help.
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
    /// Whether it is about our own modules, tests and pages, and so needs a checkout of them.
    fn is_about_the_project(&self) -> bool {
        use Verb::{Bless, Demo, Exercise, Lesson, Test};
        matches!(self, Demo(_) | Test(_) | Lesson(_) | Exercise(_) | Bless(_))
    }
}

/// Runs a verb, and says on standard error why it did not come to an answer.
pub fn run(verb: Verb) -> ExitCode {
    let ready = if verb.is_about_the_project() { build::require_project() } else { Ok(()) };
    let ended = ready.and_then(|()| verb.dispatch());
    process::end_if_interrupted();
    ended.unwrap_or_else(|problem| {
        progress::say(&format!("error: {problem}"));
        problem.exit_code()
    })
}
