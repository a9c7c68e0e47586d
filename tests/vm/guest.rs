//! Ends of the VM: those that must be green, and those that never are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use xtask::{
    guest::{
        self, Accel, Boot, Guest,
        report::{CommandReport, Message, Report},
    },
    host::{
        cache::Cache,
        root::{Root, TRIXIE},
    },
    problem::{Kind, Problem},
};

use crate::{
    boot,
    harness::{Needs, Test, skip},
    stack::build_dir,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            commands_come_back_with_output_status_and_kernel_messages,
            messages_that_come_late_are_told_at_the_right_place,
            messages_between_two_commands_belong_to_the_first,
            a_command_ends_although_its_child_writes_on,
            output_faster_than_its_reader_does_not_fill_the_guest,
            no_tool_runs_another_modprobe_than_kmods,
            another_modprobe_than_kmods_is_noticed,
            a_panic_is_named,
            a_kernel_that_spins_will_panic_and_so_tell,
            a_killed_qemu_is_named,
            a_machine_that_ends_without_a_goodbye_is_never_green,
            a_guest_that_never_comes_up_is_named,
            emulation_is_used_when_it_is_asked_for,
            kvm_is_used_where_it_works,
            kvm_is_refused_where_it_does_not_work,
            two_guests_at_once_do_not_disturb_each_other,
        ],
        Needs::Rust => [
            a_warning_is_named_though_every_command_succeeded,
            a_command_that_does_not_end_is_told_from_a_guest_that_hangs,
            a_guest_that_resets_has_died,
        ],
    )
}

fn guest_of(boot: Boot) -> Guest {
    let cache = Cache::open().unwrap();
    let root = Root::obtain(&cache, TRIXIE).unwrap();
    Guest::new(&cache, &root, boot).boot_deadline(Duration::from_secs(120))
}

fn guest() -> Guest {
    guest_of(boot())
}

fn module(name: &str) -> PathBuf {
    build_dir().test_module(name)
}

/// Returns the words of a guest that is not to be green, after the agreed kind.
fn red(kind: Kind, outcome: Result<Report, Problem>) -> String {
    let problem = outcome.expect_err("the guest is not green");
    assert_eq!(problem.kind, kind, "{problem}");
    let log = problem.fact.lines().last().unwrap_or_default();
    if let Some(log) = log.strip_prefix("(all of it: ").and_then(|log| log.strip_suffix(')')) {
        assert!(Path::new(log).exists(), "{log} is kept");
    }
    problem.fact
}

/// Returns the words of programs in the kernel's log. The kernel itself may say something at any
/// time, for example that it has found a better clock.
fn written(step: &CommandReport) -> String {
    let messages = step.kernel.iter().chain(&step.late).filter(|message| message.from_user);
    messages.map(|message| format!("{}\n", message.text)).collect()
}

#[track_caller]
fn says(fact: &str, words: &str) {
    assert!(fact.contains(words), "no {words:?} in:\n{fact}");
}

fn commands_come_back_with_output_status_and_kernel_messages() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("given.txt");
    fs::write(&file, "from the host\n").unwrap();
    let report = guest()
        .file(&file)
        .run([
            guest::Command::new("echo one; echo two >&2; cat given.txt; exit 3"),
            guest::Command::new("echo out; echo err >&2").split_stderr(),
            guest::Command::new("kill -9 $$"),
            guest::Command::new("echo '<4>a word' > /dev/kmsg; uname -r"),
            guest::Command::new("seq 200000"),
            guest::Command::new("echo \""),
        ])
        .unwrap();
    let [merged, apart, killed, logged, long, broken] = report.commands.as_slice() else {
        panic!("six steps")
    };
    assert_eq!((merged.text().as_str(), merged.status), ("one\ntwo\nfrom the host\n", 3));
    assert_eq!((apart.text().as_str(), apart.error.as_slice()), ("out\n", &b"err\n"[..]));
    assert_eq!(killed.status, 137);
    assert_eq!(written(logged), "a word\n");
    assert_eq!(logged.text().trim(), report.hello.as_ref().unwrap().release);
    let written_at_4 = |message: &Message| message.level == 4 && message.from_user;
    assert!(logged.kernel.iter().any(written_at_4));
    assert!(long.text().ends_with("199999\n200000\n") && long.output.len() == 1_288_895);
    assert!(broken.status == 2 && broken.text().contains("Unterminated"), "{}", broken.text());
    assert!(report.boot.iter().any(|message| message.text.starts_with("Linux version")));
    assert_eq!(report.boot[0].sequence, 0, "no message of the boot is lost");
}

fn messages_that_come_late_are_told_at_the_right_place() {
    let report = guest()
        .run([
            "(sleep 1; echo later > /dev/kmsg) > /dev/null 2>&1 &",
            "sleep 2",
            "(usleep 20000; echo last > /dev/kmsg) > /dev/null 2>&1 &",
        ])
        .unwrap();
    let texts: Vec<String> = report.commands.iter().map(written).collect();
    assert_eq!(texts, ["", "later\n", "last\n"]);
}

fn messages_between_two_commands_belong_to_the_first() {
    let mut session = guest().start().unwrap();
    session.exec("(sleep 1; echo between > /dev/kmsg) > /dev/null 2>&1 &").unwrap();
    thread::sleep(Duration::from_secs(3));
    session.exec("true").unwrap();
    let report = session.finish().unwrap();
    let late: Vec<&str> = report.commands[0].late.iter().map(|one| one.text.as_str()).collect();
    assert_eq!((late, report.commands[1].kernel.len()), (vec!["between"], 0));
}

fn a_command_ends_although_its_child_writes_on() {
    let mut session = guest().start().unwrap();
    let step = session.exec("yes & echo begun; exit 4").unwrap();
    assert_eq!((step.status, step.open), (4, true));
    assert_eq!(session.exec("echo next").unwrap().text(), "next\n");
    session.exec("kill $(pidof yes)").unwrap();
    session.finish().unwrap();
}

fn output_faster_than_its_reader_does_not_fill_the_guest() {
    let report = guest().run(["head -c 40000000 /dev/zero", "free -m | grep Mem"]).unwrap();
    assert_eq!(report.commands[0].output.len(), 40_000_000);
}

fn no_tool_runs_another_modprobe_than_kmods() {
    let ways = [
        "modprobe --version",
        "depmod --version",
        "sh -c 'modprobe --version'",
        "env modprobe --version",
        "timeout 9 modprobe --version",
        "nice modprobe --version",
        "setsid -w modprobe --version",
        "echo --version | xargs modprobe",
        "find /work -maxdepth 0 -exec modprobe --version ';'",
        "awk 'BEGIN { system(\"modprobe --version\") }'",
    ];
    let report = guest().run(ways).unwrap();
    for step in &report.commands {
        assert!(step.text().starts_with("kmod version "), "{}: {}", step.command, step.text());
    }
}

fn another_modprobe_than_kmods_is_noticed() {
    let outcome = guest().link("/usr/sbin/modprobe", "/usr/bin/busybox").run(["true"]);
    let fact = red(Kind::Host, outcome);
    says(&fact, "`modprobe` in the guest is not kmod's: it says \"modprobe: unrecognized option");
}

fn a_panic_is_named() {
    let mut session = guest().start().unwrap();
    assert!(session.report().restored);
    session.exec("true").unwrap();
    let outcome = session.exec("echo c > /proc/sysrq-trigger").map(|_| Report::default());
    let fact = red(Kind::DoesNotHold, outcome);
    says(&fact, "the kernel panicked while `echo c > /proc/sysrq-trigger` ran: ");
    says(&fact, "Kernel panic - not syncing: sysrq triggered crash");
}

fn a_warning_is_named_though_every_command_succeeded() {
    let guest = guest().module(module("warns"));
    let mut session = guest.start().unwrap();
    assert!(session.report().restored);
    let step = session.exec("insmod /lib/modules/*/updates/warns.ko").unwrap();
    assert_eq!(step.status, 0);
    let fact = red(Kind::DoesNotHold, session.finish());
    says(
        &fact,
        "the kernel complained while `insmod /lib/modules/*/updates/warns.ko` ran: WARNING",
    );

    let allowed = guest.allow("WARNING: ", "on purpose");
    allowed.run(["insmod /lib/modules/*/updates/warns.ko"]).unwrap();
}

fn a_command_that_does_not_end_is_told_from_a_guest_that_hangs() {
    // Only silence of 5 s is a hang.
    let (answers, hangs) =
        (guest().deadline(Duration::from_secs(6)), guest().module(module("hangs")));
    thread::scope(|scope| {
        scope.spawn(|| {
            let fact = red(Kind::Host, answers.run(["sleep 1000"]));
            says(&fact, "`sleep 1000` did not end within 6 s; the guest still answers");
        });
        let mut session = hangs.deadline(Duration::from_secs(9)).start().unwrap();
        assert!(session.report().restored);
        let command = "insmod /lib/modules/*/updates/hangs.ko";
        let fact = red(Kind::Host, session.exec(command).map(|_| Report::default()));
        says(&fact, &format!("the guest hangs in `{command}`: silent for "));
        says(&fact, " s, ended after 9 s");
        assert!(!session.died(), "it was ended");
    });
}

fn a_guest_that_resets_has_died() {
    let mut session = guest().start().unwrap();
    session.exec("echo b > /proc/sysrq-trigger").unwrap_err();
    assert!(session.died());
}

fn a_kernel_that_spins_will_panic_and_so_tell() {
    // A panic prints by itself; see the guest's command line.
    let report = guest().run(["cat /proc/sys/kernel/softlockup_panic"]).unwrap();
    assert_eq!(report.commands[0].text(), "1\n");
}

/// The process that is QEMU, below the sandbox that was started.
pub(crate) fn qemu(pid: u32) -> Option<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|pids| pids.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
        .collect();
    let mut children = children.into_iter();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    if name.starts_with("qemu") { Some(pid) } else { children.find_map(qemu) }
}

fn a_killed_qemu_is_named() {
    let mut session = guest().start().unwrap();
    let pid = qemu(session.pid()).unwrap();
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(1));
        Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap()
    });
    let problem = session.exec("sleep 30").unwrap_err();
    assert_eq!(problem.kind, Kind::Host);
    says(&problem.fact, "the VM ended while `sleep 30` ran: QEMU was killed by signal 9");
    assert_eq!(session.finish().unwrap_err(), problem, "and it stays over");
}

fn a_machine_that_ends_without_a_goodbye_is_never_green() {
    let fact = red(Kind::Host, guest().run(["busybox reboot -f"]));
    says(&fact, "the VM ended while `busybox reboot -f` ran: QEMU ended with status 0");
    // Even with the agreed status.
    let leave = "printf '\\052' | dd of=/dev/port bs=1 seek=244 2>&1; sleep 9";
    let fact = red(Kind::Host, guest().run([leave]));
    says(&fact, "ran: QEMU ended with status 85");
}

fn a_guest_that_never_comes_up_is_named() {
    thread::scope(|scope| {
        scope.spawn(|| {
            // Twice as long as it takes to boot on a quiet machine.
            let silent = guest().link("/init", "/usr/bin/dash");
            let fact = red(Kind::Host, silent.boot_deadline(Duration::from_secs(5)).run(["true"]));
            says(&fact, "the guest did not come up within 5 s");
        });
        let fact = red(Kind::DoesNotHold, guest().link("/init", "/usr/bin/env").run(["true"]));
        says(&fact, "the kernel panicked while it booted: ");
        says(&fact, "Attempted to kill init!");

        let fact = red(Kind::Host, guest().cpus(0).run(["true"]));
        says(&fact, "the guest never came up: QEMU ended with status 1; it said: ");

        let other = Boot { release: "0.0.1-other".into(), ..boot() };
        let fact = red(Kind::Host, guest_of(other).run(["true"]));
        says(&fact, "expected was 0.0.1-other");
    });
}

/// QEMU's emulation names itself as the processor.
const PROCESSOR: &str = "grep -m 1 '^model name' /proc/cpuinfo";

fn is_emulated(report: &Report) -> bool {
    let name = report.commands[0].text();
    assert!(name.starts_with("model name"), "{name}");
    name.contains("QEMU Virtual CPU")
}

fn emulation_is_used_when_it_is_asked_for() {
    let report = guest().accel(Accel::Tcg).run([PROCESSOR]).unwrap();
    says(&report.accel, "the guest runs by emulation (TCG): as asked");
    assert!(is_emulated(&report));
}

fn kvm_is_used_where_it_works() {
    match guest().accel(Accel::Kvm).run([PROCESSOR]) {
        Ok(report) => assert!(report.accel.contains("KVM")),
        Err(_) => skip("needs a machine on which KVM works"),
    }
}

fn kvm_is_refused_where_it_does_not_work() {
    let Err(problem) = guest().accel(Accel::Kvm).run([PROCESSOR]) else {
        skip("needs a machine on which KVM does not work")
    };
    assert_eq!(problem.kind, Kind::Host);
    says(&problem.fact, "KVM cannot be used: ");
    let report = guest().run([PROCESSOR]).unwrap();
    says(&report.accel, "the guest runs by emulation (TCG): ");
    assert!(is_emulated(&report));
}

fn two_guests_at_once_do_not_disturb_each_other() {
    let run = |name: &'static str| {
        move || {
            let command =
                format!("hostname={name}; for i in 1 2 3; do echo $hostname; sleep 1; done");
            guest().cmdline(format!("name={name}")).run([command, "cat /proc/cmdline".into()])
        }
    };
    let (one, two) = (thread::spawn(run("one")), thread::spawn(run("two")));
    for (thread, name) in [(one, "one"), (two, "two")] {
        let report = thread.join().unwrap().unwrap();
        assert_eq!(report.commands[0].text(), format!("{name}\n").repeat(3));
        assert!(report.commands[1].text().trim_end().ends_with(&format!("name={name}")));
    }
}
