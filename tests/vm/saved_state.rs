//! Saved states: what a restored guest is like.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use xtask::{
    guest::{Boot, Guest, report::Report},
    host::{
        cache::Cache,
        root::{Root, TRIXIE},
    },
    kernel::{
        Kernel, KernelName,
        archive::Refresh,
        bzimage::{payload, unpack},
        table::KERNELS,
    },
};

use crate::{
    boot, guest,
    harness::{Needs, Test, skip},
    kernel,
    stack::build_dir,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            commands_about_booting_boot,
            a_restored_guest_has_its_own_random_numbers_the_time_and_a_log_that_goes_on,
            a_shell_is_restored_as_well,
            files_arrive_as_they_are,
        ],
        Needs::Rust => [every_restored_guest_is_like_the_others],
        // They say when they booted.
        Needs::OwnModules => [no_watchdog_sees_how_long_a_guest_rested],
        Needs::Only(KernelName::STOCK) => [every_kernel_that_has_a_name_is_restored],
        Needs::Only(KernelName::LAB) => [a_kernel_that_complains_while_it_boots_boots_once],
    )
}

fn commands_about_booting_boot() {
    let restored = guest().run(["true"]).unwrap();
    assert!(restored.restored);
    let booted = guest().fresh_boot().run(["true"]).unwrap();
    assert!(!booted.restored);
    assert!(!guest().cmdline("quiet").run(["true"]).unwrap().restored);
    assert!(!guest().cpus(2).run(["true"]).unwrap().restored);
    // Both tell the boot from its first message on.
    for report in [&restored, &booted] {
        assert_eq!(report.boot[0].sequence, 0);
        assert!(report.boot.iter().any(|message| message.text.starts_with("Linux version")));
    }
}

/// When the kernel started the agent, to the microsecond: no two boots are the same in it.
pub(crate) const BOOT: &str = "dmesg | grep 'Run /init as init process'";
const RANDOM: &str = "head -c 32 /dev/urandom | od -An -tx1; head -c 32 /dev/random | od -An -tx1; \
                      mktemp -u";

fn a_restored_guest_has_its_own_random_numbers_the_time_and_a_log_that_goes_on() {
    let run = |rest| guest().run([BOOT, RANDOM, "date +%s", "echo word > /dev/kmsg", rest]);
    // In one of them what watches the time may complain.
    let (one, other) = (run("sleep 3").unwrap(), run("true").unwrap());
    let text = |report: &Report, index: usize| report.commands[index].text();
    assert_eq!(text(&one, 0), text(&other, 0), "both are the same boot");
    for (one, other) in text(&one, 1).lines().zip(text(&other, 1).lines()) {
        assert_ne!(one, other, "two restored guests drew the same");
    }
    assert_eq!(text(&one, 1).lines().count(), 5);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let age = now.abs_diff(text(&other, 2).trim().parse().unwrap());
    assert!(age < 30, "the guest's clock is {age} s off");
    let last = one.boot.last().unwrap();
    let word = &one.commands[3].kernel[0];
    assert_eq!(word.text, "word");
    assert!(word.sequence == last.sequence + 1 && word.time > last.time, "{last} {word}");
    // As long as it rested, no more: no jump that a watchdog would take for a stall.
    assert!(word.time < last.time + Duration::from_secs(20), "{last} {word}");
}

/// Returns the kernel's messages about time that passed.
const OF_TIME: [&str; 6] = ["clocksource", "rcu", "lockup", "stall", "hung_task", "blocked for"];
/// Longer than a watchdog of the kernel waits: 20 s for a soft lockup, 21 s for a stall of RCU.
const REST: Duration = Duration::from_secs(25);

fn no_watchdog_sees_how_long_a_guest_rested() {
    // tsc-early gives way to tsc a second after the boot, when the kernel has measured it.
    let source = "cd /sys/devices/system/clocksource/clocksource0; for i in $(seq 50); do \
                  grep -q early current_clocksource || break; sleep 0.1; done; \
                  cat current_clocksource";
    let busy = "timeout 2 sh -c 'while :; do :; done'; cat /proc/uptime; sleep 1; cat /proc/uptime";
    let run = || {
        let begin = SystemTime::now();
        let report = guest().run([source, busy, "dmesg | grep 'system clock to'"]).unwrap();
        assert!(report.restored);
        let booted = report.commands[2].text();
        let booted =
            booted.split_once("UTC (").and_then(|(_, at)| at.split(')').next()?.parse().ok());
        let booted = SystemTime::UNIX_EPOCH + Duration::from_secs(booted.expect("a time of boot"));
        (begin.duration_since(booted).unwrap_or_default(), report)
    };
    let (age, mut report) = run();
    if age < REST {
        thread::sleep(REST - age);
        report = run().1;
    }
    let told =
        report.commands.iter().flat_map(|command| command.kernel.iter().chain(&command.late));
    let told: Vec<&str> = told.map(|message| message.text.as_str()).collect();
    assert!(!told.iter().any(|text| OF_TIME.iter().any(|word| text.contains(word))), "{told:?}");
    assert_eq!(
        report.commands[0].text(),
        guest().fresh_boot().run([source]).unwrap().commands[0].text()
    );
    let text = report.commands[1].text();
    let time = |line: &str| line.split(' ').next().and_then(|time| time.parse::<f64>().ok());
    let times: Vec<f64> = text.lines().filter_map(time).collect();
    assert!((1.0..5.0).contains(&(times[1] - times[0])), "a second took {times:?}");
}

fn a_shell_is_restored_as_well() {
    let boot = guest().run([BOOT]).unwrap().commands[0].text();
    let shell = shell_words::join([
        env!("CARGO_BIN_EXE_xtask"),
        "shell",
        "--no-stack",
        "--kernel",
        &kernel().name.to_string(),
    ]);
    // It makes a terminal.
    let shell = Command::new("script")
        .args(["-qec", &shell, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut shell) = shell else { skip("needs the program script") };
    let (mut output, mut said) = (shell.stdout.take().unwrap(), Vec::new());
    let mut input = shell.stdin.take();
    let mut buffer = [0; 4096];
    loop {
        match output.read(&mut buffer).unwrap() {
            0 => break,
            length => said.extend_from_slice(&buffer[..length]),
        }
        // At its first prompt.
        if said.ends_with(b"# ") {
            if let Some(mut input) = input.take() {
                writeln!(input, "{BOOT}; tty; exit").unwrap();
            }
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(shell.wait().unwrap().success(), "{said}");
    assert!(said.contains(boot.trim()), "another boot than {boot}:\n{said}");
    assert!(said.contains("/dev/hvc0"), "{said}");
}

fn every_kernel_that_has_a_name_is_restored() {
    let cache = Cache::open().unwrap();
    for recipe in KERNELS {
        let name = KernelName::Listed(recipe, None);
        let kernel = Kernel::obtain(&cache, &name, Refresh::Daily).unwrap();
        let guest = Guest::on(&cache, &kernel).unwrap();
        let run = || guest.run([BOOT, "uname -r", "modprobe --show-depends loop; true"]).unwrap();
        let (one, other) = (run(), run());
        assert!(one.restored && other.restored, "{name} is not restored");
        let texts =
            |report: &Report| report.commands.iter().map(|one| one.text()).collect::<Vec<_>>();
        assert_eq!(texts(&one), texts(&other), "{name}");
        assert_eq!(one.commands[1].text().trim(), kernel.release);
        let (booted, boot) = (guest.clone().fresh_boot().run([BOOT]).unwrap(), &one.commands[0]);
        assert_ne!(booted.commands[0].text(), boot.text(), "{name}: two boots are alike");
    }
}

fn a_kernel_that_complains_while_it_boots_boots_once() {
    // The same kernel, but for a word that it says at each boot.
    let image = fs::read(boot().image).unwrap();
    let mut kernel = unpack(payload(&image).unwrap()).unwrap();
    let (says, complains) = (b"Run %s as init process", b"WARNING: %s, and more.");
    let places: Vec<usize> =
        (0..kernel.len() - says.len()).filter(|at| kernel[*at..].starts_with(says)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| kernel[*at..at + says.len()].copy_from_slice(complains));
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("vmlinux");
    fs::write(&image, kernel).unwrap();

    let cache = Cache::open().unwrap();
    let root = Root::obtain(&cache, TRIXIE).unwrap();
    let guest = Guest::new(&cache, &root, Boot { image: image.clone(), ..boot() });
    let over = AtomicBool::new(false);
    let (outcome, machines) = thread::scope(|scope| {
        let machines = scope.spawn(|| {
            let mut machines = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                machines.extend(ours_that_name(&image));
                thread::sleep(Duration::from_millis(20));
            }
            machines
        });
        let mut session = guest.start().unwrap();
        let step = session.exec("echo it runs all the same").unwrap();
        let outcome = session.finish();
        over.store(true, Ordering::Relaxed);
        assert_eq!(step.text(), "it runs all the same\n");
        (outcome, machines.join().unwrap())
    });
    let problem = outcome.unwrap_err();
    let fact = "the kernel complained: WARNING: /init, and more.";
    assert!(problem.fact.contains(fact), "{problem}");
    assert_eq!(machines.len(), 1, "{machines:?}");
}

/// The processes that we started and that have a path in their arguments.
fn ours_that_name(path: &Path) -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<String> = children
        .flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let names = |pid: &String| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains(&*path.to_string_lossy())
    };
    children.into_iter().filter(names).collect()
}

fn files_arrive_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..3_000_001_u32).map(|number| (number / 7) as u8).collect();
    fs::write(folder.path().join("large"), &large).unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    fs::copy("/bin/sh", folder.path().join("program")).unwrap();
    let guest = ["large", "empty", "program"].iter().fold(guest(), |guest, name| {
        guest.file_at(Path::new("a/b").join(name), folder.path().join(name))
    });
    let list = "cd a/b; wc -c large empty; sha256sum large; stat -c '%A %y %n' *";
    let restored = guest.run([list]).unwrap();
    let booted = guest.clone().fresh_boot().run([list]).unwrap();
    let modes = |report: &Report| {
        // The kernel's configuration decides if an initramfs keeps dates.
        let text = report.commands[0].text();
        text.lines().map(|line| line.split(" 1970-").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(restored.restored && modes(&restored)[0].contains("3000001 large"));
    assert_eq!(modes(&restored)[..4], modes(&booted)[..4]);
    let text = restored.commands[0].text();
    assert!(text.contains("-rwxr-xr-x 1970-01-01") && text.contains("-rw-r--r-- 1970-01-01"));
    let twice = guest.clone().file_at("a/b/large", folder.path().join("empty")).run(["true"]);
    assert!(twice.unwrap_err().fact.contains("two files would be /work/a/b/large"));
}

fn every_restored_guest_is_like_the_others() {
    // `SYMSTACK_RESTORES=1000` runs a thousand.
    let number = std::env::var("SYMSTACK_RESTORES").map_or(10, |number| number.parse().unwrap());
    let modules = build_dir().modules().unwrap();
    let guest = modules.iter().fold(guest(), |guest, module| guest.module(module));
    let run = || {
        let report = guest
            .run([
                "depmod -a && cat /lib/modules/*/modules.dep",
                "modprobe consumer start=40 && cat /proc/modules | cut -d' ' -f1-4",
                "rmmod provider",
                "modprobe -r consumer && cat /proc/modules",
            ])
            .unwrap();
        assert!(report.restored);
        let said = report
            .commands
            .iter()
            .map(|command| (command.status, command.text(), command.kernel_text(), command.open));
        said.collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first.iter().map(|said| said.0).collect::<Vec<_>>(), [0, 0, 1, 0]);
    for number in 1..number {
        assert_eq!(run(), first, "restored guest {number} differs from the first");
    }
}
