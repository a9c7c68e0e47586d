//! Saved states that are damaged, half made, or met by two runs at once: nothing else than what was
//! saved is ever restored.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use xtask::{build::project, host::cache::Cache, kernel::KernelName};

use crate::{
    harness::{Needs, Test, skip},
    kernel,
    saved_state::BOOT,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Rust => [
            a_damaged_state_is_thrown_away_and_made_again,
            a_state_that_is_killed_while_it_is_saved_is_made_again,
            a_full_disk_costs_the_state_and_not_the_run,
            two_runs_at_once_share_one_state,
        ],
        Needs::Only(KernelName::LAB) => [a_state_under_another_states_name_is_noticed],
    )
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
        self.command_on(&kernel().name)
    }

    fn command_on(&self, name: &KernelName) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args([
            "vm",
            "--accel",
            "tcg",
            "--no-stack",
            "--kernel",
            &name.to_string(),
            "--",
            BOOT,
        ]);
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
    let runs: Vec<Child> = (0..3).map(|_| cache.command().spawn().unwrap()).collect();
    let boots: Vec<String> =
        runs.into_iter().map(|run| told(run.wait_with_output().unwrap()).0).collect();
    assert!(boots.iter().all(|boot| *boot == boots[0]), "{boots:?}");
    cache.state();
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let doctor = doctor.arg("doctor").env("XDG_CACHE_HOME", cache.folder.path()).output().unwrap();
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    let shown: Vec<&str> = doctor.lines().filter(|line| line.contains("saved guest")).collect();
    let about = format!(" MiB, {} by TCG", kernel().release);
    assert!(shown.len() == 1 && shown[0].contains(&about), "{doctor}");
}

fn a_state_under_another_states_name_is_noticed() {
    let cache = OwnCache::new();
    let ours = cache.run().0;
    let name = cache.state();
    told(cache.command_on(&KernelName::STOCK).output().unwrap());
    let states = fs::read_dir(cache.states()).unwrap().flatten().map(|entry| entry.path());
    let other =
        states.filter(|path| path.extension().is_none() && *path != name).collect::<Vec<_>>();
    fs::remove_dir_all(&name).unwrap();
    fs::rename(&other[0], &name).unwrap();
    let (boot, said) = cache.run();
    assert_ne!(boot, ours);
    assert!(
        said.contains("is thrown away, made again: the guest's kernel calls itself 7"),
        "{said}"
    );
    cache.restores(&boot);
}
