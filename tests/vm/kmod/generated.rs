//! Ten thousand requests of modprobe beside the real one, or a sample of them.
//!
//! `KMOD_REQUESTS=10000 SYMSTACK_KERNEL=stock cargo test --release -p xtask --test vm --
//! generated_requests` asks that many; `KMOD_SEED=N` asks the same ones again.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ko::kmod_facts::KmodFacts;
use proptest::{
    strategy::{Strategy as _, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use stack::{
    built_in::BuiltIn,
    graph::Graph,
    modprobe::{ActionKind, Modprobe, Outcome, Probe},
    modprobe_config::{ByPattern, ModprobeConfig},
};
use xtask::{
    build::project,
    host::{
        cache::Cache,
        root::{Root, TRIXIE},
        sandbox::Sandbox,
    },
    tree::{aliases::bus_aliases, modprobe_files::config_files, scan::scan, walk},
};

use super::requests::{Case, GeneratedModule, MODULES, case};

const RELEASE: &str = "9.9.9-generated";
/// The number of requests in an ordinary run.
const REQUESTS_DEFAULT: usize = 400;
/// The number of cases that one entry of the private root takes: to enter costs more than a case.
const CASES_AT_ONCE: usize = 100;
/// The number of simpler cases that are tried when one differs, each in an entry of its own.
const SHRINKS_MAX: usize = 400;
/// The text that is replaced by the lines of a module's `.modinfo`.
const MARK: &[u8] = b"generated modinfo";
/// Room for these lines.
const MODINFO_BYTES: usize = 4096;

pub(super) fn generated_requests_are_answered_as_modprobe_answers_them() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let wanted = number("KMOD_REQUESTS").map_or(REQUESTS_DEFAULT, |requests| requests as usize);
    let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = number("KMOD_SEED").unwrap_or_else(clock);
    tell!("KMOD_SEED={seed} asks these requests again");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let oracle = Oracle::new("requests");
    let mut seen = Seen::default();
    while seen.requests < wanted {
        let mut trees: Vec<_> = (0..CASES_AT_ONCE.min((wanted - seen.requests).div_ceil(10)))
            .map(|_| case().new_tree(&mut runner).unwrap())
            .collect();
        let cases: Vec<Case> = trees.iter().map(ValueTree::current).collect();
        let differences = oracle.differences(&cases, &mut seen);
        if let Some(at) = differences.iter().position(Option::is_some) {
            let (case, difference) = shrink(&oracle, &mut trees[at]);
            panic!("seed {seed}: {difference}\n{}", told(&case));
        }
    }
    tell!("{seen:?}");
    // Requests that find nothing would show nothing.
    let Seen { requests, inserts, installs, built_in, blacklisted, ignored_lines } = seen;
    assert!(requests >= wanted && inserts >= wanted / 3 && installs >= wanted / 400, "{seen:?}");
    assert!(built_in >= wanted / 100 && ignored_lines >= wanted / 100, "{seen:?}");
    assert!(blacklisted >= wanted / 1000, "{seen:?}");
}

/// The number of comparisons for each outcome.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    requests: usize,
    inserts: usize,
    installs: usize,
    built_in: usize,
    blacklisted: usize,
    ignored_lines: usize,
}

/// The simplest case that differs, and how.
fn shrink(oracle: &Oracle, tree: &mut impl ValueTree<Value = Case>) -> (Case, String) {
    let differs = |case: &Case| {
        oracle.differences(std::slice::from_ref(case), &mut Seen::default()).remove(0)
    };
    let mut simplest = (tree.current(), String::from("differs only beside others"));
    for _ in 0..SHRINKS_MAX {
        let case = tree.current();
        let goes_on = match differs(&case) {
            Some(difference) => {
                simplest = (case, difference);
                tree.simplify()
            }
            None => tree.complicate(),
        };
        if !goes_on {
            break;
        }
    }
    simplest
}

/// A case as a person reads it.
fn told(case: &Case) -> String {
    let mut text = String::new();
    for (path, module) in MODULES.iter().zip(&case.modules) {
        if let Some(GeneratedModule { needs, modinfo }) = module {
            writeln!(text, "{path}: needs {needs:08b}, {modinfo:?}").unwrap();
        }
    }
    writeln!(text, "built in: {:?} {:?}", case.built_in, case.built_in_modinfo).unwrap();
    for (at, files) in case.folders.iter().enumerate() {
        for (name, lines) in files {
            writeln!(text, "{at}/{name}: {lines:?}").unwrap();
        }
    }
    writeln!(text, "command line: {:?}\nrequests: {:?}", case.command_line, case.requests).unwrap();
    text
}

/// The kmod of the private root, and modules to make trees of.
struct Oracle {
    folder: PathBuf,
    sandbox: Sandbox,
    /// The modules by their place and what they need.
    templates: HashMap<(usize, u8), Vec<u8>>,
}

impl Oracle {
    fn new(name: &str) -> Self {
        let folder = project().join("target/build/kmod-fixtures").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let command_line = folder.join("cmdline");
        fs::write(&command_line, "").unwrap();
        let root = Root::obtain(&Cache::open().unwrap(), TRIXIE).unwrap();
        let sandbox = root.sandbox().bind(&folder).read_only(&command_line, "/proc/cmdline");
        let mut oracle = Self { folder, sandbox, templates: HashMap::new() };
        oracle.make_templates();
        oracle
    }

    fn make_templates(&mut self) {
        let all = (0..MODULES.len()).flat_map(|at| (0..1u8 << at).map(move |needs| (at, needs)));
        let all: Vec<(usize, u8)> = all.collect();
        let mut script = String::from("set -e\n");
        let file = |(at, needs): &(usize, u8)| self.folder.join(format!("{at}-{needs}.o"));
        for one in &all {
            let source = file(one).with_extension("s");
            fs::write(&source, assembly(*one)).unwrap();
            writeln!(script, "as -o '{}' '{}'", file(one).display(), source.display()).unwrap();
        }
        self.sandbox.run("sh").args(["-c", &script]).quiet().stdout().unwrap();
        let templates = all.iter().map(|one| (*one, fs::read(file(one)).unwrap()));
        self.templates = templates.collect();
    }

    /// Asks both about each case; a sentence where they differ.
    fn differences(&self, cases: &[Case], seen: &mut Seen) -> Vec<Option<String>> {
        let mut script = String::new();
        for (at, case) in cases.iter().enumerate() {
            let folder = self.folder.join(format!("case-{at}"));
            let _ = fs::remove_dir_all(&folder);
            self.write(case, &folder);
            script += &asked(case, &folder, &self.folder.join("cmdline"));
        }
        let file = self.folder.join("script");
        fs::write(&file, script).unwrap();
        let deadline = Duration::from_secs(600);
        self.sandbox.run("sh").arg(&file).quiet().deadline(deadline).stdout().unwrap();
        let folders = (0..cases.len()).map(|at| self.folder.join(format!("case-{at}")));
        cases.iter().zip(folders).map(|(case, folder)| difference(case, &folder, seen)).collect()
    }

    fn write(&self, case: &Case, folder: &Path) {
        let tree = tree(folder);
        let mut order = String::new();
        for (at, module) in case.modules.iter().enumerate() {
            let Some(GeneratedModule { needs, modinfo }) = module else { continue };
            let mut bytes = self.templates[&(at, needs & ((1 << at) - 1))].clone();
            let begin = bytes.windows(MARK.len()).position(|bytes| bytes == MARK).unwrap();
            let lines = modinfo.iter().map(|line| format!("{line}\0")).collect::<String>();
            assert!(lines.len() <= MODINFO_BYTES, "{lines}");
            bytes[begin..begin + MARK.len()].fill(0);
            bytes[begin..begin + lines.len()].copy_from_slice(lines.as_bytes());
            put(&tree.join(MODULES[at]), &bytes);
            writeln!(order, "{}", MODULES[at]).unwrap();
        }
        put(&tree.join("modules.order"), order.as_bytes());
        let lines = |lines: &[String], end: char| {
            lines.iter().map(|line| format!("{line}{end}")).collect::<String>()
        };
        put(&tree.join("modules.builtin"), lines(&case.built_in, '\n').as_bytes());
        let modinfo = lines(&case.built_in_modinfo, '\0');
        put(&tree.join("modules.builtin.modinfo"), modinfo.as_bytes());
        put(&folder.join("cmdline"), format!("{}\n", case.command_line).as_bytes());
        for (at, files) in case.folders.iter().enumerate() {
            fs::create_dir_all(folder.join(format!("conf-{at}"))).unwrap();
            for (name, text) in files {
                put(&folder.join(format!("conf-{at}/{name}")), text.as_bytes());
            }
        }
    }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn tree(folder: &Path) -> PathBuf {
    folder.join("lib/modules").join(RELEASE)
}

/// A module in assembly: what it exports, what it needs, and room for `.modinfo`.
fn assembly((at, needs): (usize, u8)) -> String {
    let mark = String::from_utf8_lossy(MARK);
    let mut source = format!(
        ".section .modinfo,\"a\"\n.asciz \"{mark}\"\n.zero {MODINFO_BYTES}\n\
         .text\n.globl symbol_{at}\nsymbol_{at}: .byte 0x90\n\
         .section __ksymtab_strings,\"aMS\",@progbits,1\n\
         .Lname: .asciz \"symbol_{at}\"\n.Lspace: .asciz \"\"\n\
         .section __kflagstab,\"a\"\n.byte 0\n.section __ksymtab,\"a\"\n.balign 4\n\
         .long symbol_{at} - .\n.long .Lname - .\n.long .Lspace - .\n"
    );
    for other in (0..at).filter(|other| needs >> other & 1 == 1) {
        writeln!(source, ".text\n.quad symbol_{other}").unwrap();
    }
    source
}

/// The ways to ask modprobe for a name.
const WAYS: [&str; 3] = ["-n -v", "--show-depends", "-R"];

/// The part of a script that asks the real tools about a case.
fn asked(case: &Case, folder: &Path, command_line: &Path) -> String {
    let (folder_text, command_line) = (folder.display(), command_line.display());
    let mut modprobe = format!("modprobe -d '{folder_text}' -S {RELEASE}");
    for at in 0..case.folders.len() {
        write!(modprobe, " -C '{folder_text}/conf-{at}'").unwrap();
    }
    let mut script = format!(
        "cat '{folder_text}/cmdline' > '{command_line}'\n\
         depmod -b '{folder_text}' {RELEASE} 2> /dev/null || touch '{folder_text}/failed'\n\
         {modprobe} -c > '{folder_text}/config' 2> '{folder_text}/messages'\n"
    );
    for (at, request) in case.requests.iter().enumerate() {
        for (way, options) in WAYS.iter().enumerate() {
            let file = format!("'{folder_text}/said-{at}-{way}'");
            writeln!(
                script,
                "{modprobe} {options} '{request}' > {file} 2> /dev/null\n\
                 echo \"status $?\" >> {file}"
            )
            .unwrap();
        }
    }
    script
}

/// The first thing in which both differ.
fn difference(case: &Case, folder: &Path, seen: &mut Seen) -> Option<String> {
    assert!(!folder.join("failed").exists(), "depmod refuses {}", told(case));
    let said =
        |name: &str| String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap()).into_owned();
    let tree = tree(folder);
    let graph = Graph::new(scan(walk::modules(&tree).unwrap()).modules);
    let built_in = BuiltIn::read(
        &fs::read_to_string(tree.join("modules.builtin")).unwrap(),
        &fs::read(tree.join("modules.builtin.modinfo")).unwrap(),
    );
    let folders: Vec<PathBuf> =
        (0..case.folders.len()).map(|at| folder.join(format!("conf-{at}"))).collect();
    let kmod = KmodFacts::TRIXIE;
    let config = ModprobeConfig::of(&graph, config_files(&folders, kmod).unwrap(), kmod)
        .with_command_line(&said("cmdline"));
    seen.ignored_lines += config.ignored.len();
    let theirs = said("config");
    let theirs = theirs.split_once("\n# End of configuration").map_or("", |(config, _)| config);
    let theirs: String = theirs.split_inclusive('\n').map(without_softdep).collect();
    if shown(&config) != theirs {
        return Some(format!("-c\nours:\n{}\ntheirs:\n{theirs}", shown(&config)));
    }
    let ignored: Vec<String> = config.ignored.iter().map(|line| format!("{line:?}")).collect();
    let messages = said("messages");
    let theirs = messages.lines().filter(|line| line.contains("gnoring bad")).count();
    let deprecated = ["include", "config"];
    let ours = config.ignored.iter().filter(|line| !deprecated.contains(&&*line.word)).count();
    if ours != theirs {
        return Some(format!("lines without meaning: ours {ignored:#?}, theirs {messages}"));
    }
    let files: Vec<_> = graph.modules().iter().map(|module| module.file.clone()).collect();
    let buses = || bus_aliases(&files);
    let modprobe = Modprobe::new(&graph, config, built_in).unwrap().with_bus_aliases(&buses);
    for (at, request) in case.requests.iter().enumerate() {
        seen.requests += 1;
        for (way, options) in WAYS.iter().enumerate() {
            let (theirs, ours) =
                (said(&format!("said-{at}-{way}")), answer(&modprobe, request, way));
            let trimmed = |text: &str| {
                text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
            };
            if trimmed(&ours) != trimmed(&theirs) {
                return Some(format!("{options} {request}\nours:\n{ours}\ntheirs:\n{theirs}"));
            }
        }
        count(&modprobe.request(request, false), seen);
    }
    None
}

fn count(probes: &[Probe], seen: &mut Seen) {
    for probe in probes {
        match &probe.outcome {
            Outcome::BuiltIn => seen.built_in += 1,
            Outcome::Blacklisted => seen.blacklisted += 1,
            Outcome::Actions(actions) => {
                for action in actions {
                    match action.kind {
                        ActionKind::Insert(_) => seen.inserts += 1,
                        ActionKind::Install(_) => seen.installs += 1,
                        ActionKind::BuiltIn | ActionKind::NoFile => {}
                    }
                }
            }
        }
    }
}

/// Returns the output of modprobe by our reckoning.
fn answer(modprobe: &Modprobe<'_>, request: &str, way: usize) -> String {
    let probes = modprobe.request(request, WAYS[way] == "--show-depends");
    let mut text = String::new();
    for Probe { found, outcome } in &probes {
        match outcome {
            _ if WAYS[way] == "-R" => writeln!(text, "{}", found.name).unwrap(),
            Outcome::BuiltIn | Outcome::Blacklisted => {}
            Outcome::Actions(actions) => {
                for action in actions {
                    let options = &action.options;
                    match &action.kind {
                        ActionKind::Insert(index) => {
                            let file = modprobe.graph.modules()[*index].file.full.display();
                            writeln!(text, "insmod {file} {options}").unwrap();
                        }
                        ActionKind::Install(command) => {
                            writeln!(text, "install {command} {options}").unwrap();
                        }
                        ActionKind::BuiltIn => writeln!(text, "builtin {}", action.name).unwrap(),
                        ActionKind::NoFile => {}
                    }
                }
            }
        }
    }
    writeln!(text, "status {}", i32::from(probes.is_empty())).unwrap();
    text
}

/// A line of `modprobe -c`. Of a softdep it has only the name: where `post:` stands between two
/// `pre:`, kmod prints what is between them in both lists (`softdep_to_char()`).
fn without_softdep(line: &str) -> String {
    let name = line.strip_prefix("softdep ").and_then(|rest| rest.split(' ').next());
    name.map_or_else(|| line.to_owned(), |name| format!("softdep {name} \n"))
}

/// The configuration as `modprobe -c` prints it.
fn shown(config: &ModprobeConfig) -> String {
    let mut text = String::new();
    config.blacklist.iter().for_each(|name| writeln!(text, "blacklist {name}").unwrap());
    let mut pairs = |key: &str, lines: &[(String, String)]| {
        lines.iter().for_each(|(name, value)| writeln!(text, "{key} {name} {value}").unwrap());
    };
    pairs("install", config.install.lines());
    pairs("remove", config.remove.lines());
    pairs("alias", &config.aliases);
    pairs("options", &config.options);
    pairs("softdep", &joined(&config.softdeps, |_| String::new()));
    pairs("weakdep", &joined(&config.weakdeps, |names| names.join(" ")));
    text
}

fn joined<T>(lines: &ByPattern<T>, text: impl Fn(&T) -> String) -> Vec<(String, String)> {
    lines.lines().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
