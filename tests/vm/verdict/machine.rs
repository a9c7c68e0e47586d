//! A running kernel that is asked for its own verdict, load by load.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
    time::Duration,
};

use loader::{kernel_facts::KernelFacts, signature::Support};
use xtask::{
    guest::{Boot, Command, Guest, report::Report, static_program::StaticProgram},
    host::{
        cache::Cache,
        root::{Root, TRIXIE},
    },
    kernel::Kernel,
};

use crate::corpus::cases::{ALONE, Load};

/// The program that loads: the guest has no other libraries.
const FINIT: StaticProgram = StaticProgram {
    name: "finit",
    main: "main.rs",
    sources: &[
        ("main.rs", include_str!("../finit/main.rs")),
        ("syscall.rs", include_str!("../finit/syscall.rs")),
    ],
};
/// The longest time that all cases of one guest may take.
const DEADLINE: Duration = Duration::from_secs(900);
/// The settings of a guest before its first load: all that is written to the log is kept, an
/// oops ends the load and not the machine, and what waits for all processors, as each load and each
/// removal does, waits no ticks. What the kernel answers is the same.
const SETTINGS: &str = "cat /proc/sys/kernel/tainted && \
     echo on > /proc/sys/kernel/printk_devkmsg && \
     echo 0 > /proc/sys/kernel/panic_on_oops && \
     if [ -e /sys/kernel/rcu_expedited ]; then echo 1 > /sys/kernel/rcu_expedited; fi";

/// The words that its kernel was booted with, as a guest shows them: a name, a tab, a value a line.
pub(super) const READINGS: &str = "cd /sys/module && \
     for file in kernel/parameters/module_blacklist module/parameters/sig_enforce \
       /proc/sys/kernel/modules_disabled /proc/sys/kernel/tainted; do \
       [ ! -e $file ] || printf '%s\\t%s\\n' ${file##*/} \"$(cat $file)\"; done; \
     tr '\\0' '\\n' < /proc/1/cmdline | sed 's/^/init\\t/'; \
     tr '\\0' '\\n' < /proc/1/environ | sed 's/^/init\\t/'";

/// The kernel's answer to one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Ran {
    /// The error's number, 0 for none; none when the kernel did not survive it.
    pub(super) errno: Option<i32>,
    /// The kernel's taints after it.
    pub(super) taints: u32,
    /// The loaded modules with their taints, the latest first.
    pub(super) modules: Vec<(String, String)>,
    /// The kernel's messages meanwhile.
    pub(super) messages: Vec<String>,
}

/// The kernel's answers to the loads of one case.
#[derive(Clone, Debug, Default)]
pub(super) struct CaseRan {
    /// The facts of a new guest, when one was started for this case.
    pub(super) fresh: Option<Fresh>,
    pub(super) loads: Vec<Ran>,
}

/// The facts of a guest before the first load.
#[derive(Clone, Debug, Default)]
pub(super) struct Fresh {
    /// The kernel's taints.
    pub(super) taints: u32,
    /// The output of [`READINGS`], where the kernel was given words.
    pub(super) readings: String,
}

/// A kernel that guests run.
pub(super) struct Machine {
    guest: Guest,
    finit: PathBuf,
}

impl Machine {
    pub(super) fn new(cache: &Cache, kernel: &Kernel) -> Self {
        let root = Root::obtain(cache, TRIXIE).unwrap();
        let boot = Boot {
            image: kernel.image.clone().unwrap(),
            release: kernel.release.clone(),
            modules: kernel.modules.clone(),
        };
        let guest = Guest::new(cache, &root, boot).boot_deadline(Duration::from_secs(180));
        Self { guest, finit: FINIT.obtain(cache, &root).unwrap() }
    }

    /// A guest with the program that loads.
    pub(super) fn with_finit(&self) -> Guest {
        self.guest.clone().file_at("finit", &self.finit)
    }

    /// Adds what only the running kernel tells.
    pub(super) fn complete(&self, mut target: KernelFacts) -> KernelFacts {
        let commands = [
            "ls /sys/module",
            "cat /sys/devices/system/cpu/vulnerabilities/spectre_v2 2>/dev/null || true",
            // The loaded modules, and those the kernel would find when it asks modprobe.
            "cat /proc/crypto; for name in sha1 sha256 sha512 sha3-256 md4 md5 ecdsa-nist-p256; do \
             ! modprobe -qn crypto-$name || echo \"name: $name\"; done",
        ];
        let report = self.guest.run(commands).unwrap();
        let names = report.commands[0].text();
        target.sysfs_names = Some(names.lines().map(Into::into).collect::<HashSet<String>>());
        target.take_spectre_v2(report.commands[1].text().trim());
        target.trust.take_loaded(&report.commands[2].text());
        target.trust.algorithms.retain(|(_, support)| *support == Support::BuiltIn);
        target
    }

    /// Loads the files of each case in turn, every case into a kernel without modules.
    pub(super) fn run(&self, cases: &[&[Load]], words: &str) -> Vec<CaseRan> {
        let mut all: Vec<CaseRan> = Vec::new();
        while all.len() < cases.len() {
            let begin = all.len();
            let end = begin + batch(&cases[begin..]);
            let (fresh, mut ran) = self.guest(&cases[begin..end], begin, words);
            if let Some(first) = ran.first_mut() {
                first.fresh = Some(fresh);
            }
            assert!(!ran.is_empty(), "the guest ran nothing from case {begin} on");
            all.extend(ran);
        }
        all
    }

    /// One guest: as many cases as the kernel lives through, and the one that it does not. It is
    /// restored where its kernel is given no words.
    fn guest(&self, cases: &[&[Load]], begin: usize, words: &str) -> (Fresh, Vec<CaseRan>) {
        let folder = tempfile::tempdir().unwrap();
        let mut list = String::new();
        let mut guest = self.with_finit();
        let has_words = ![ALONE, ""].contains(&words);
        if has_words {
            guest = guest.cmdline(words);
        }
        // The same file is there once, however many loads are of it.
        let mut names: HashMap<&[u8], String> = HashMap::new();
        for (case, loads) in cases.iter().enumerate() {
            for (step, Load { file, args, flags }) in loads.iter().enumerate() {
                let id = format!("{}-{step}", begin + case);
                let name = names.entry(file).or_insert_with(|| {
                    let path = folder.path().join(format!("{id}.ko"));
                    fs::write(&path, file).unwrap();
                    guest = guest.clone().file(path);
                    format!("{id}.ko")
                });
                writeln!(list, "{id}\t{flags}\t{name}\t{args}").unwrap();
            }
            list.push_str("unload\n");
        }
        let path = folder.path().join("list");
        fs::write(&path, list).unwrap();
        let mut session = guest.file(path).start().unwrap();
        let set = session.exec(SETTINGS).unwrap();
        assert_eq!(set.status, 0, "{}", set.text());
        let mut fresh = Fresh { taints: set.text().trim().parse().unwrap(), ..Fresh::default() };
        if has_words {
            fresh.readings = session.exec(READINGS).unwrap().text().to_string();
        }
        let _ = session.exec(Command::new("./finit list").deadline(DEADLINE));
        (fresh, read(session.report(), cases, begin))
    }
}

/// The number of the first cases that one guest is given. A case that it does not live through
/// costs that the rest is given to another one, so they are not many.
fn batch(cases: &[&[Load]]) -> usize {
    const BYTES_MAX: usize = 16 << 20;
    let mut seen: HashSet<&[u8]> = HashSet::new();
    let mut sum = 0;
    let fits = cases.iter().take_while(|case| {
        let fresh = case.iter().filter(|load| seen.insert(&load.file));
        sum += fresh.map(|load| load.file.len()).sum::<usize>();
        sum <= BYTES_MAX
    });
    fits.count().max(1)
}

/// Puts together what the program printed and what the kernel logged between its marks.
fn read(report: &Report, cases: &[&[Load]], begin: usize) -> Vec<CaseRan> {
    let step = report.commands.last().unwrap();
    let lines = step.text();
    let mut all = Vec::new();
    for (case, loads) in cases.iter().enumerate() {
        let mut ran = CaseRan::default();
        for step_index in 0..loads.len() {
            let id = format!("{}-{step_index}", begin + case);
            let line = lines.lines().find(|line| line.starts_with(&format!("{id}\t")));
            let mut one = line.map(parse).unwrap_or_default();
            one.messages = messages(report, &id);
            let dead = one.errno.is_none();
            if line.is_none() && !begun(report, &id) {
                // The guest ended before it.
                return all;
            }
            ran.loads.push(one);
            if dead {
                all.push(ran);
                return all;
            }
        }
        all.push(ran);
    }
    all
}

fn parse(line: &str) -> Ran {
    let fields: Vec<&str> = line.split('\t').collect();
    let [_, errno, taints, modules] = fields.as_slice() else { panic!("{line}") };
    let module = |text: &str| {
        let (name, taints) = text.split_once(':').unwrap();
        (name.to_owned(), taints.to_owned())
    };
    Ran {
        errno: errno.parse().ok(),
        taints: taints.parse().unwrap(),
        modules: modules.split(' ').filter(|text| !text.is_empty()).map(module).collect(),
        messages: Vec::new(),
    }
}

fn mark(what: &str, id: &str) -> String {
    format!("finit: {what} {id}")
}

fn begun(report: &Report, id: &str) -> bool {
    report.messages().any(|message| message.text == mark("begin", id))
}

fn messages(report: &Report, id: &str) -> Vec<String> {
    let (begin, end) = (mark("begin", id), mark("end", id));
    let all = report.messages().skip_while(|message| message.text != begin).skip(1);
    let between = all.take_while(|message| message.text != end);
    let kernel = between.filter(|message| !message.from_user).map(|message| &message.text);
    let others = |text: &&String| !OTHERS.iter().any(|begin| text.starts_with(begin));
    kernel.filter(others).cloned().collect()
}

/// The beginnings of lines that the kernel logs when it gets to it, whatever is loaded: the clocks
/// are settled some seconds after the boot, the random numbers later.
const OTHERS: [&str; 4] = ["clocksource: ", "random: ", "tsc: ", "sched_clock: "];
