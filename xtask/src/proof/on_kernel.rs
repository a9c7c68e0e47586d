//! A stack on one kernel, from the kernel itself to the guest's end.

use std::{path::PathBuf, time::Instant};

use super::{
    KernelProof, Wanted, held, in_guest,
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

/// The number of lines of the compilers' words that are shown as a reason.
const WORDS_MAX: usize = 3;

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
        Err(problem) => (unbuilt(kernel, wanted, &problem, &proof.build_said), None),
    };
    proof.points.push(Point::new(Subject::Build, answer));
    modules
}

/// Why a stack was not built.
fn unbuilt(kernel: &Kernel, wanted: &Wanted, problem: &Problem, said: &str) -> Answered {
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
    let mut words = compilers_words(said);
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

/// The directness with which a line tells why a build failed: the least is the most direct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// A compiler, a linker or modpost names the fault.
    Fault,
    /// make finds one in a makefile, or no file where it says that there is one.
    Makefile,
    /// A script or a program that a makefile runs ends with it.
    Script,
    /// make says which target failed, or dkms that make did.
    Passed,
}

impl Weight {
    /// The weight of a line that tells of an error.
    fn of(line: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|part| line.contains(part));
        let is_noise = has(&["warnings being treated as errors", "*** Waiting", "*** Deleting"]);
        if is_noise || line.starts_with("error: aborting") {
            None
        } else if line.starts_with("Error! ") || line.contains("*** [") {
            Some(Self::Passed)
        } else if has(&["error: ", "error[", "ERROR: modpost", "undefined reference to"]) {
            Some(Self::Fault)
        } else if line.contains("*** ") {
            Some(Self::Makefile)
        } else if has(&["ERROR: ", "Error: ", "not found", "Permission denied", "Read-only file"]) {
            Some(Self::Script)
        } else {
            None
        }
    }
}

/// The lines of what Kbuild said that tell most directly of an error, the first of them.
fn compilers_words(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let best = lines.iter().filter_map(|line| Weight::of(line)).min();
    let telling =
        lines.iter().enumerate().filter(|(_, line)| best.is_some() && Weight::of(line) == best);
    let words = telling.map(|(at, line)| {
        match lines.get(at + 1).and_then(|next| next.strip_prefix("--> ")) {
            // rustc names the place on a line of its own.
            Some(place) => format!("{place}: {line}"),
            None => (*line).to_owned(),
        }
    });
    words.take(WORDS_MAX).collect::<Vec<_>>().join("; ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_words_are_those_about_errors() {
        let said =
            "  CC [M]  a.o\na.c:3:1: error: expected ';'\n  3 | }\nmake[2]: *** [a.o] Error 1\n";
        assert_eq!(compilers_words(said), "a.c:3:1: error: expected ';'");
        let said =
            "error[E0425]: cannot find `a`\n --> a.rs:3:1\n\nerror: aborting due to 1 error\n";
        assert_eq!(compilers_words(said), "a.rs:3:1: error[E0425]: cannot find `a`");
        assert_eq!(compilers_words("make: *** [a.o] Error 1"), "make: *** [a.o] Error 1");
        let said = "! Error: no iptables\nError! Bad return status for module build\n";
        assert_eq!(compilers_words(said), "! Error: no iptables");
        assert_eq!(compilers_words("Error! Bad conf file.\n"), "Error! Bad conf file.");
        assert_eq!(compilers_words("  LD [M]  a.ko\n"), "");
        let said = "/bin/sh: 1: svnversion: not found\nmake[3]: *** No rule to make target 'b.o', \
                    needed by 'a.o'.  Stop.\nmake[2]: *** [Makefile:3: a] Error 2\n\
                    make: *** Waiting for unfinished jobs....\n";
        assert!(compilers_words(said).starts_with("make[3]: *** No rule to make target 'b.o'"));
        assert!(!compilers_words(said).contains("Error 2"));
        let said = "a.c:3:1: error: unused variable 'x' [-Werror=unused-variable]\n\
                    cc1: all warnings being treated as errors\n";
        assert!(compilers_words(said).ends_with("[-Werror=unused-variable]"));
        let said = "ld: a.o: in function `f':\na.c:3:(.text+0x1): undefined reference to `g'\n\
                    make[3]: *** [x: a.ko] Error 1\n";
        assert!(compilers_words(said).ends_with("undefined reference to `g'"));
        let said = "ERROR: modpost: \"gone\" [a.ko] undefined!\nmake[3]: *** [x: y] Error 1\n";
        assert_eq!(compilers_words(said), "ERROR: modpost: \"gone\" [a.ko] undefined!");
        let said = "Makefile:3: *** two builders at once.  Stop.\nmake: *** [x: y] Error 2\n";
        assert_eq!(compilers_words(said), "Makefile:3: *** two builders at once.  Stop.");
    }
}
