//! The documented form of `prove --json`.

use serde::Serialize;

use super::{
    KernelProof, ModuleInStack, ProofStep, StackProof,
    point::{Point, Subject},
};

#[derive(Serialize)]
struct ProofForm<'a> {
    format: &'static str,
    stack: &'a str,
    built_by: &'static str,
    holds: bool,
    kernels: Vec<KernelForm<'a>>,
}

#[derive(Serialize)]
struct KernelForm<'a> {
    kernel: &'a str,
    release: Option<&'a str>,
    result: &'static str,
    seconds: f64,
    answers: Vec<AnswerForm<'a>>,
    build_said: &'a str,
    modules: &'a [ModuleInStack],
    kallsyms: &'a [String],
    steps: Vec<StepForm<'a>>,
}

#[derive(Serialize)]
struct AnswerForm<'a> {
    question: &'static str,
    module: Option<&'a str>,
    answer: &'static str,
    word: Option<&'a str>,
    reason: Option<&'a str>,
    step: Option<usize>,
}

#[derive(Serialize)]
struct StepForm<'a> {
    what: &'a str,
    command: &'a str,
    status: u8,
    output: String,
    kernel: Vec<&'a str>,
}

/// The form of a proof.
pub fn form(proof: &StackProof) -> impl Serialize + '_ {
    ProofForm {
        format: "prove/1",
        stack: &proof.stack,
        built_by: if proof.by_dkms { "dkms" } else { "make" },
        holds: proof.kind().is_none() && !proof.lacks_device(),
        kernels: proof.kernels.iter().map(kernel).collect(),
    }
}

fn kernel(proof: &KernelProof) -> KernelForm<'_> {
    KernelForm {
        kernel: &proof.kernel,
        release: proof.release.as_deref(),
        result: proof.result(),
        seconds: (proof.time.as_secs_f64() * 1000.0).round() / 1000.0,
        answers: proof.points.iter().map(answer).collect(),
        build_said: &proof.build_said,
        modules: &proof.modules,
        kallsyms: &proof.kallsyms,
        steps: proof.steps.iter().map(step).collect(),
    }
}

fn answer(Point { subject, answer, step }: &Point) -> AnswerForm<'_> {
    let fault = answer.fault();
    AnswerForm {
        question: if *subject == Subject::Log { "kernel-log" } else { subject.word() },
        module: subject.module(),
        answer: answer.word(),
        word: fault.map(|fault| &*fault.word),
        reason: fault.map(|fault| &*fault.reason),
        step: *step,
    }
}

fn step(ProofStep { what, report }: &ProofStep) -> StepForm<'_> {
    let kernel = report.kernel.iter().chain(&report.late);
    StepForm {
        what,
        command: &report.command,
        status: report.status,
        output: report.text(),
        kernel: kernel.map(|message| message.text.as_str()).collect(),
    }
}
