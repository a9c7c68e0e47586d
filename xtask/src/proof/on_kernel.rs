//! A stack on one kernel, from the kernel itself to the guest's end.

use std::{path::PathBuf, time::Instant};

use super::{
    KernelProof, Wanted, build_words, held, in_guest,
    point::{Answered, Fault, Point, Subject},
    prediction::{self, Prediction},
};
use crate::{
    build::{BuildDir, MakeTarget},
    guest::Guest,
    host::{cache::Cache, manifest},
    kernel::{Kernel, KernelName, archive::Refresh},
    problem::{Kind, Problem, Result},
};

/// Proves a stack on one kernel. Nothing that it comes to ends the others.
pub(super) fn prove(cache: &Cache, name: &KernelName, wanted: &Wanted) -> KernelProof {
    let mut proof = KernelProof { kernel: name.to_string(), ..KernelProof::default() };
    let kernel = match Kernel::obtain(cache, name, Refresh::Daily) {
        Ok(kernel) => kernel,
        Err(problem) => {
            proof.points.push(Point::new(Subject::Kernel, in_guest::failed(&problem)));
            return proof;
        }
    };
    proof.release = Some(kernel.release.clone());
    let begin = Instant::now();
    if let Some(modules) = build(&kernel, wanted, &mut proof) {
        if let Err(problem) = load(cache, &kernel, &modules, wanted, &mut proof) {
            proof.points.push(Point::new(Subject::Guest, in_guest::failed(&problem)));
        }
    }
    // Neither the stack nor the kernel is to blame for what is damaged in the cache.
    if proof.kind().is_some() {
        if let Err(problem) = manifest::require_used() {
            proof.points = vec![Point::new(Subject::Kernel, in_guest::failed(&problem))];
        }
    }
    proof.time = begin.elapsed();
    proof.name_files_within_the_stack();
    proof
}

/// Builds the stack, or says in the compilers' words why not.
fn build(kernel: &Kernel, wanted: &Wanted, proof: &mut KernelProof) -> Option<Vec<PathBuf>> {
    let mut build = || {
        let build_dir = BuildDir::open(kernel, &wanted.stack)?;
        proof.build_folder = build_dir.folder();
        build_dir.try_build(MakeTarget::Modules, &mut proof.build_said)
    };
    let (answer, modules) = match build() {
        Ok(modules) => (Answered::Holds, Some(modules)),
        Err(problem) => (unbuilt(kernel, wanted, &problem, proof), None),
    };
    proof.points.push(Point::new(Subject::Build, answer));
    modules
}

/// Why a stack was not built.
fn unbuilt(kernel: &Kernel, wanted: &Wanted, problem: &Problem, proof: &KernelProof) -> Answered {
    let said = &proof.build_said;
    if let Some(source) = wanted.stack.rust_without_support(kernel) {
        let reason = format!("{source} is Rust, and this kernel has no CONFIG_RUST");
        return if wanted.skip_others {
            Answered::skipped("no Rust", reason)
        } else {
            Answered::fails("no Rust", reason)
        };
    }
    if problem.kind == Kind::NotForKernel {
        return Answered::NotForKernel(Fault::new("not for it", problem.first_line()));
    }
    let mut words = build_words::telling(said, &proof.build_folder);
    if ["No such file or directory", "No rule to make target"].iter().any(|it| said.contains(it)) {
        if let Some(unseen) = wanted.stack.unseen() {
            words = format!("{words}; {unseen}");
        }
    }
    match in_guest::failed(problem) {
        Answered::Fails(kind, mut fault) => {
            fault.word = if said.is_empty() { "nothing" } else { "no build" }.into();
            if !words.is_empty() {
                fault.reason = words;
            }
            Answered::Fails(kind, fault)
        }
        answer => answer,
    }
}

/// Proves modules that are built: predicts what they come to, and loads them in a guest.
///
/// # Errors
/// A module or the facts of the kernel cannot be read, or the kernel has no image.
pub fn load(
    cache: &Cache,
    kernel: &Kernel,
    modules: &[PathBuf],
    wanted: &Wanted,
    proof: &mut KernelProof,
) -> Result<()> {
    let expectations = &wanted.expectations;
    let prediction = prediction::predict(cache, kernel, modules, expectations)?;
    proof.points.extend(held::checks(&prediction));
    let built = prediction.loads.iter().filter(|load| load.of_stack);
    let built: Vec<&str> = built.map(|load| load.name.as_str()).collect();
    proof.points.extend(expectations.not_built(&built));
    let guest = Guest::on(cache, kernel)?.deadline(wanted.deadline);
    let guest = expectations.devices().fold(guest.allow_all(&expectations.log()), Guest::device);
    let guest = prediction.loads.iter().fold(guest, |guest, load| guest.module(&load.file));
    in_guest::prove(&guest, &prediction, wanted.command.as_deref(), proof);
    let Prediction { modules, picture, .. } = prediction;
    (proof.modules, proof.picture) = (modules, picture);
    Ok(())
}
