//! Saved states: what a restored guest is like, and that nothing else than what was saved is ever
//! restored.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use xtask::{build::project, guest::report::Report, host::cache::Cache};

use crate::{
    guest,
    harness::{Needs, Test, skip},
    kernel,
    stack::build_dir,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            what_is_about_booting_boots,
            a_restored_guest_has_its_own_random_numbers_the_time_and_a_log_that_goes_on,
            files_arrive_as_they_are,
        ],
        Needs::Rust => [
            every_restored_guest_is_like_the_others,
            a_damaged_state_is_thrown_away_and_made_again,
            a_state_that_is_killed_while_it_is_saved_is_made_again,
            a_full_disk_costs_the_state_and_not_the_run,
            two_runs_at_once_share_one_state,
        ],
    )
}

fn what_is_about_booting_boots() {
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
const BOOT: &str = "dmesg | grep 'Run /init as init process'";
const RANDOM: &str = "head -c 32 /dev/urandom | od -An -tx1; head -c 32 /dev/random | od -An -tx1; \
                      mktemp -u";

fn a_restored_guest_has_its_own_random_numbers_the_time_and_a_log_that_goes_on() {
    let run = || guest().run([BOOT, RANDOM, "date +%s", "echo word > /dev/kmsg", "sleep 3"]);
    let (one, other) = (run().unwrap(), run().unwrap());
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
        // Whether an initramfs keeps dates is the kernel's configuration.
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

/// A cache of its own, with the roots and kernels of the common one.
struct OwnCache {
    folder: tempfile::TempDir,
}

impl OwnCache {
    fn new() -> Self {
        let common = Cache::open().unwrap();
        let folder = tempfile::tempdir_in(project().join("target")).unwrap();
        let own = folder.path().join("symstack");
        fs::create_dir_all(own.join("guest")).unwrap();
        let link = |path: PathBuf| {
            let name = path.file_name().unwrap();
            let to = if path.parent() == Some(&common.path("guest")) {
                own.join("guest").join(name)
            } else {
                own.join(name)
            };
            std::os::unix::fs::symlink(&path, to).unwrap();
        };
        ["roots", "kernels", "sources", "apt"]
            .map(|name| common.path(name))
            .into_iter()
            .for_each(link);
        for entry in fs::read_dir(common.path("guest")).unwrap().flatten() {
            let name = entry.file_name();
            let name = name.to_str().unwrap();
            if ["agent-", "base-", "kernel-", "accel-"].iter().any(|begin| name.starts_with(begin))
            {
                link(entry.path());
            }
        }
        Self { folder }
    }

    fn states(&self) -> PathBuf {
        self.folder.path().join("symstack/guest/states")
    }

    /// The one state that there is.
    fn state(&self) -> PathBuf {
        let states = fs::read_dir(self.states()).unwrap().flatten().map(|entry| entry.path());
        let states: Vec<PathBuf> = states.filter(|path| path.extension().is_none()).collect();
        assert_eq!(states.len(), 1, "{states:?}");
        states[0].clone()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let name = kernel().name.to_string();
        command.args(["vm", "--accel", "tcg", "--kernel", &name, "--", BOOT]);
        command.env("XDG_CACHE_HOME", self.folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Fails unless a run is restored from that boot.
    #[track_caller]
    fn restores(&self, boot: &str) {
        let (restored, said) = self.run();
        assert_eq!(restored, boot, "it is not restored: {said}");
    }

    /// The boot that a run of its own shows, and what the runner said beside it.
    fn run(&self) -> (String, String) {
        told(self.command().output().unwrap())
    }
}

#[track_caller]
fn told(output: Output) -> (String, String) {
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (out, err) = (out.unwrap(), err.unwrap());
    assert!(output.status.success(), "{err}");
    assert!(out.starts_with('[') && out.lines().count() == 1, "{out}");
    (out, err)
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn cut(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

fn a_damaged_state_is_thrown_away_and_made_again() {
    let cache = OwnCache::new();
    let (mut boot, _) = cache.run();
    cache.restores(&boot);
    type Damage<'a> = (&'static str, &'a dyn Fn(&Path));
    let damages: [Damage<'_>; 6] = [
        ("memory", &cut),
        // The kernel's text, and a page that nobody wrote.
        ("memory", &|path| flip(path, (16 << 20) + 12345)),
        ("memory", &|path| flip(path, (500 << 20) + 1)),
        ("devices", &cut),
        ("devices", &|path| flip(path, 200_000)),
        ("transcript", &|path| flip(path, 100)),
    ];
    for (name, damage) in damages {
        damage(&cache.state().join(name));
        let (again, said) = cache.run();
        let why = format!("thrown away, made again: its {name} is not what was saved");
        assert!(said.contains(&why), "{said}");
        assert_ne!(again, boot, "{name}: a state that was damaged was restored");
        boot = again;
        cache.restores(&boot);
    }
    fs::write(cache.state().join("digest"), "").unwrap();
    let (again, said) = cache.run();
    assert!(said.contains("its digest is cut short") && again != boot, "{said}");
}

fn a_state_that_is_killed_while_it_is_saved_is_made_again() {
    let cache = OwnCache::new();
    let mut run = cache.command().spawn().unwrap();
    let begin = Instant::now();
    let saving = || {
        let states = fs::read_dir(cache.states()).into_iter().flatten().flatten();
        let mut partial = states.map(|state| state.path().join("memory"));
        partial.any(|memory| memory.metadata().is_ok_and(|memory| memory.len() > 0))
    };
    while !saving() {
        assert!(begin.elapsed() < Duration::from_secs(120), "nothing is saved");
        thread::sleep(Duration::from_millis(20));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let boot = cache.run().0;
    cache.restores(&boot);
}

fn a_full_disk_costs_the_state_and_not_the_run() {
    let cache = OwnCache::new();
    fs::create_dir_all(cache.states()).unwrap();
    let small = "mount -t tmpfs -o size=48M none \"$1\" || exit 99; shift; exec \"$@\"";
    let run = cache.command();
    let mut full = Command::new("unshare");
    full.args(["--map-root-user", "--mount", "sh", "-c", small, "sh"]).arg(cache.states());
    full.arg(run.get_program()).args(run.get_args());
    full.env("XDG_CACHE_HOME", cache.folder.path());
    let output = match full.output() {
        Ok(output) if output.status.code() != Some(99) => output,
        _ => skip("no file system can be mounted here"),
    };
    let (_, said) = told(output);
    assert!(said.contains("no state of the guest is saved, it is booted: "), "{said}");
}

fn two_runs_at_once_share_one_state() {
    let cache = OwnCache::new();
    // The modules are built before, so that it is the state they meet at.
    cache.run();
    fs::remove_dir_all(cache.state()).unwrap();
    let runs: Vec<Child> = (0..3).map(|_| cache.command().spawn().unwrap()).collect();
    let boots: Vec<String> =
        runs.into_iter().map(|run| told(run.wait_with_output().unwrap()).0).collect();
    assert!(boots.iter().all(|boot| *boot == boots[0]), "{boots:?}");
    cache.state();
}
