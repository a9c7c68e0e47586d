//! Modules that deceive the proof in the guest, and what honest ones leave behind.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock, time::Duration};

use xtask::{
    build::{BuildDir, MakeTarget, Stack, project},
    guest::COMMAND_DEADLINE,
    host::cache::Cache,
    kernel::{Kernel, archive::Refresh},
    problem::Kind,
    proof::{
        KernelProof, Wanted,
        expectations::Expectations,
        on_kernel,
        point::{Answered, Point, Subject},
    },
};

use crate::{
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            a_program_mounted_over_kmod_hides_no_failed_load,
            a_program_mounted_over_kmod_hides_no_complaint_of_an_exit,
            a_program_in_the_place_of_kmod_hides_no_failed_load,
            tools_that_are_removed_hide_no_failed_load,
            signals_to_the_agent_hide_no_failed_load,
            the_files_mounts_and_memory_of_the_agent_are_out_of_reach,
            programs_that_the_kernel_starts_hide_no_failed_load,
            forged_words_hide_no_failed_load,
            a_library_for_every_program_reaches_no_tool,
            modules_that_are_replaced_after_the_guard_load_as_they_were,
            a_console_that_is_turned_off_hides_no_warning,
            a_flood_of_the_log_is_no_proof,
            a_name_is_no_text_of_a_shell,
            a_timer_left_behind_is_seen,
            delayed_work_left_behind_is_seen,
            a_callback_left_behind_is_seen,
            a_thread_left_behind_is_seen,
            a_thread_that_sleeps_for_long_is_named,
            devices_left_behind_are_named,
            the_device_of_a_module_that_stays_is_not_left_behind,
            a_module_that_ends_the_machine_does_not_hold,
            lab_names_the_kind_of_object_that_is_left_behind,
            a_wait_that_is_cut_short_is_no_proof,
            a_device_that_is_not_here_is_an_outcome_of_its_own,
        ],
        Needs::OwnModules => [
            a_guest_has_what_its_stack_needs_of_the_kernels_own_modules,
            a_kernel_that_is_locked_down_ends_as_agreed,
        ],
    )
}

/// A module of `tests/hostile/guest`, all of which are built once.
fn module(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| built(kernel(), "")).join(format!("{name}.ko"))
}

/// Returns the folder of what a stack in `tests/hostile/guest` builds.
fn built(kernel: &Kernel, folder: &str) -> PathBuf {
    let build_dir = BuildDir::open(kernel, &stack(folder)).unwrap();
    build_dir.build_quiet(MakeTarget::Modules).unwrap();
    build_dir.products()
}

fn stack(folder: &str) -> Stack {
    Stack::in_folder(&project().join("tests/hostile/guest").join(folder)).unwrap()
}

/// The proof of modules, loaded in this order.
fn proven(modules: &[PathBuf]) -> KernelProof {
    proven_on(kernel(), modules)
}

fn proven_on(kernel: &Kernel, modules: &[PathBuf]) -> KernelProof {
    let wanted = Wanted {
        stack: stack(""),
        kernels: Vec::new(),
        skip_others: false,
        command: None,
        deadline: COMMAND_DEADLINE.min(Duration::from_secs(60)),
        expectations: Expectations::default(),
    };
    let mut proof = KernelProof::default();
    on_kernel::load(&Cache::open().unwrap(), kernel, modules, &wanted, &mut proof).unwrap();
    proof
}

fn answer<'p>(proof: &'p KernelProof, subject: &Subject) -> &'p Answered {
    let is = |point: &&Point| point.subject == *subject;
    &proof.points.iter().find(is).unwrap_or_else(|| panic!("{subject} is not asked")).answer
}

#[track_caller]
fn fails(proof: &KernelProof, subject: &Subject, word: &str) {
    let answer = answer(proof, subject);
    let has = |(kind, fault): (Kind, &str)| kind == Kind::DoesNotHold && fault == word;
    let is = match answer {
        Answered::Fails(kind, fault) => has((*kind, &fault.word)),
        _ => false,
    };
    assert!(is, "{subject} is not {word:?}: {:#?}", proof.points);
}

/// The same, after a module whose helper deceives, and did run.
#[track_caller]
fn deceived(deceit: &str, module_after: &str) -> KernelProof {
    let proof = proven(&[module(deceit), module(module_after)]);
    let log: String = proof.steps.iter().map(|step| step.report.kernel_text()).collect();
    assert!(log.contains("the helper ran"), "{log}");
    assert_eq!(answer(&proof, &Subject::Load(deceit.into())), &Answered::Holds);
    proof
}

/// Fails unless a module that refuses to load is said to do so after another was loaded.
#[track_caller]
fn failed_load_is_told_after(deceit: &str) {
    let proof = deceived(deceit, "refuses");
    fails(&proof, &Subject::Load("refuses".into()), "EINVAL");
}

fn a_program_mounted_over_kmod_hides_no_failed_load() {
    failed_load_is_told_after("binds");
}

fn a_program_mounted_over_kmod_hides_no_complaint_of_an_exit() {
    let proof = deceived("binds", "complains");
    fails(&proof, &Subject::Unload("complains".into()), "WARNING");
}

fn a_program_in_the_place_of_kmod_hides_no_failed_load() {
    failed_load_is_told_after("overwrites");
}

fn tools_that_are_removed_hide_no_failed_load() {
    failed_load_is_told_after("unlinks");
}

fn signals_to_the_agent_hide_no_failed_load() {
    failed_load_is_told_after("kills");
}

fn the_files_mounts_and_memory_of_the_agent_are_out_of_reach() {
    failed_load_is_told_after("enters");
}

fn programs_that_the_kernel_starts_hide_no_failed_load() {
    failed_load_is_told_after("sysctls");
}

fn forged_words_hide_no_failed_load() {
    failed_load_is_told_after("forges");
}

fn a_library_for_every_program_reaches_no_tool() {
    let proof = deceived("preloads", "plain");
    assert_eq!(proof.kind(), None, "{:#?}", proof.points);
    let said: String = proof.steps.iter().map(|step| step.report.text()).collect();
    assert!(!said.contains("ld.so"), "{said}");
}

fn modules_that_are_replaced_after_the_guard_load_as_they_were() {
    let proof = deceived("replaces", "plain");
    assert_eq!(proof.kind(), None, "{:#?}", proof.points);
}

fn a_console_that_is_turned_off_hides_no_warning() {
    fails(&proven(&[module("quiet")]), &Subject::Load("quiet".into()), "WARNING");
}

fn a_flood_of_the_log_is_no_proof() {
    let proof = proven(&[module("floods")]);
    let Answered::Fails(_, fault) = answer(&proof, &Subject::Log) else {
        panic!("{:#?}", proof.points)
    };
    assert!(fault.reason.contains("overwrote messages"), "{}", fault.reason);
}

fn a_name_is_no_text_of_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["q;echo X;true", "$(echo X)", "q'\"\\ X"] {
        let odd = folder.path().join(format!("{name}.ko"));
        fs::copy(module("plain"), &odd).unwrap();
        let proof = proven(&[odd]);
        assert_ne!(proof.kind(), None, "the module calls itself plain: {:#?}", proof.points);
        let said: String = proof.steps.iter().map(|step| step.report.text()).collect();
        assert!(said.lines().all(|line| line != "X"), "{name}: {said}");
    }
}

/// Fails unless the kernel is said to panic after a module went that leaves something behind.
#[track_caller]
fn left_behind_is_seen(name: &str) {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| built(kernel(), "leaves"));
    let proof = proven(&[folder.join(format!("{name}.ko"))]);
    assert_eq!(answer(&proof, &Subject::Load(name.into())), &Answered::Holds);
    // On a busy machine it may come before the program that took the module out has ended.
    let unload = Subject::Unload(name.into());
    let went = answer(&proof, &unload) == &Answered::Holds;
    fails(&proof, if went { &Subject::Afterwards } else { &unload }, "panic");
}

fn a_timer_left_behind_is_seen() {
    left_behind_is_seen("timer");
}

fn delayed_work_left_behind_is_seen() {
    left_behind_is_seen("work");
}

fn a_callback_left_behind_is_seen() {
    left_behind_is_seen("callback");
}

fn a_thread_left_behind_is_seen() {
    left_behind_is_seen("thread");
}

#[track_caller]
fn is_named_afterwards(name: &str, word: &str, reason: &str) {
    let proof = proven_on(kernel(), &[built(kernel(), "leaves").join(format!("{name}.ko"))]);
    assert_eq!(answer(&proof, &Subject::Unload(name.into())), &Answered::Holds);
    fails(&proof, &Subject::Afterwards, word);
    let Answered::Fails(_, fault) = answer(&proof, &Subject::Afterwards) else { unreachable!() };
    assert!(fault.reason.contains(reason), "{}", fault.reason);
}

fn a_thread_that_sleeps_for_long_is_named() {
    is_named_afterwards("sleeper", "thread", "the thread sleeper goes on in code that is gone");
}

fn devices_left_behind_are_named() {
    is_named_afterwards("device", "left", "/proc/devices: ");
    is_named_afterwards("entry", "left", "/proc: entry is left behind");
}

fn the_device_of_a_module_that_stays_is_not_left_behind() {
    let proof = proven(&[module("permanent"), module("plain")]);
    assert_eq!(answer(&proof, &Subject::Load("permanent".into())), &Answered::Holds);
    assert_eq!(answer(&proof, &Subject::Unload("plain".into())), &Answered::Holds);
    assert_eq!(answer(&proof, &Subject::Afterwards), &Answered::Holds);
}

fn a_module_that_ends_the_machine_does_not_hold() {
    fails(&proven(&[module("resets")]), &Subject::Load("resets".into()), "ended");
}

/// A timer of ten minutes is beyond the wait of any proof: what `lab` knows of objects finds it as
/// the module's memory is freed.
fn lab_names_the_kind_of_object_that_is_left_behind() {
    let cache = Cache::open().unwrap();
    let lab = Kernel::obtain(&cache, &"lab".parse().unwrap(), Refresh::Daily).unwrap();
    let folder = built(&lab, "leaves");
    for name in ["later", "timer", "work"] {
        let proof = proven_on(&lab, &[folder.join(format!("{name}.ko"))]);
        fails(&proof, &Subject::Unload(name.into()), "WARNING");
        let log: String = proof.steps.iter().map(|step| step.report.kernel_text()).collect();
        let is = |line: &str| {
            line.contains("ODEBUG: free active") && line.contains("object type: timer_list ")
        };
        assert!(log.lines().any(is), "{name}: {log}");
    }
}

fn a_wait_that_is_cut_short_is_no_proof() {
    let proof = deceived("disturbs", "plain");
    fails(&proof, &Subject::Afterwards, "disturbed");
}

fn a_device_that_is_not_here_is_an_outcome_of_its_own() {
    let proof = proven(&[module("deviceless"), module("plain")]);
    let load = answer(&proof, &Subject::Load("deviceless".into()));
    assert!(matches!(load, Answered::NoDevice(_)), "{:#?}", proof.points);
    assert_eq!((proof.kind(), proof.word()), (None, "no device here"));
}

/// Returns the output of `vm` for a command in a guest, and its status.
fn vm(arguments: &[&str], line: &str) -> (String, Option<i32>) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
    run.arg("vm").args(["--kernel", &kernel().name.to_string()]).args(arguments);
    let output = run.args(["--", line]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), output.status.code())
}

fn a_guest_has_what_its_stack_needs_of_the_kernels_own_modules() {
    let stack = project().join("tests/hostile/guest/asks");
    let (said, status) = vm(&["--stack", &stack.to_string_lossy()], "modprobe asks && lsmod");
    assert!(status == Some(0) && said.contains("crc8"), "{said}");
}

fn a_kernel_that_is_locked_down_ends_as_agreed() {
    let line = "(echo x > /dev/port) 2>&1; true";
    let (said, status) = vm(&["--no-stack", "--cmdline", "lockdown=integrity"], line);
    assert!(status == Some(0) && said.contains("Operation not permitted"), "{said}");
}
