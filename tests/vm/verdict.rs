//! The loader's model against the running kernel: errno, messages and taints, exactly.

mod built_in;
mod command_line;
mod compare;
mod live;
mod machine;
mod trouble;
mod whole_tree;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use loader::btf::KernelBtf;
use loader::kernel_facts::{KernelFacts, SourcePatches};
use loader::struct_module;
use loader::verdict::Answer;
use stack::graph::Graph;
use stack::load_order::{Request, load_order};
use stack::modprobe::Modprobe;
use stack::module_file::ModuleFile;
use xtask::tree::scan::scan_cached;
use xtask::tree::scan_cache;
use xtask::tree::section_reader::ModuleBuffer;
use xtask::tree::walk;
use xtask::{
    build::{self, BuildDir, MakeTarget, Stack, project},
    host::cache::Cache,
    kernel::{Kernel, KernelName, archive::Refresh, facts, image_facts},
};

use self::{
    built_in::names_of_built_in_code_are_known_before_the_kernel_runs,
    command_line::command_lines_are_read_as_by_the_kernel,
    compare::{Compared, Table, a_wrong_prediction_differs, compare},
    live::the_running_kernel_is_judged_by_what_it_has_loaded,
    machine::Machine,
    trouble::Trouble,
    whole_tree::{
        check_says_how_long_verification_took,
        every_module_that_debian_ships_is_decided_and_verified,
    },
};
use crate::{
    corpus::{
        cases::{ALONE, Built, Case, Load, Maker},
        edit::section,
        random,
    },
    harness::{Needs, Test, differs},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            a_wrong_prediction_differs,
            the_corpus_is_judged_as_by_the_kernel,
            another_kernels_modules_are_judged_as_by_the_kernel,
            random_changes_are_judged_as_by_the_kernel,
            command_lines_are_read_as_by_the_kernel,
            the_running_kernel_is_judged_by_what_it_has_loaded,
            struct_module_is_that_of_this_very_kernel,
            names_of_built_in_code_are_known_before_the_kernel_runs,
        ],
        Needs::Rust => [
            the_stack_is_judged_as_by_the_kernel,
        ],
        Needs::OwnModules => [
            the_kernels_own_modules_are_judged_as_by_the_kernel,
            every_module_that_debian_ships_is_decided_and_verified,
            check_says_how_long_verification_took,
        ],
    )
}

/// The modules of the corpus, built for the kernel at hand.
pub(crate) fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut built = built_for(kernel());
        if target_of(kernel(), built.plain()).options.signatures {
            let own = own_modules(&kernel().name);
            built.shipped = Some(shipped(&own, "nls_iso8859_1"));
            built.hardware = ["parport", "parport_pc"].map(|name| shipped(&own, name)).into();
        }
        built
    })
}

/// The modules of the corpus, built for a kernel.
pub(crate) fn built_for(kernel: &Kernel) -> Built {
    let folder = fixture_dir(kernel);
    let run = kernel.toolchain.run("make", &folder);
    let run = run.arg("-C").arg(&kernel.kdir).arg(format!("M={}", folder.display()));
    let outcome = run.arg("modules").output().unwrap();
    assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    Built::read(&folder)
}

/// A folder with the sources of the corpus.
fn fixture_dir(kernel: &Kernel) -> PathBuf {
    let folder = project().join("target/build").join(format!("corpus-{}", kernel.slug()));
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(project().join("tests/corpus")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "Kbuild" || name.ends_with(".c") || name.ends_with(".h") {
            let text = std::fs::read(&path).unwrap();
            let to = folder.join(name);
            if std::fs::read(&to).ok().as_ref() != Some(&text) {
                std::fs::write(to, text).unwrap();
            }
        }
    }
    folder
}

/// The facts about a kernel from its tree, and from one module that was built for it.
pub(crate) fn target_of(kernel: &Kernel, module: &[u8]) -> KernelFacts {
    let read = |path: PathBuf| std::fs::read(&path).unwrap_or_default();
    let config = String::from_utf8(read(kernel.tree.join(".config"))).unwrap();
    let mut target = KernelFacts::new(&kernel.release, &config)
        .unwrap()
        .with_symvers(&read(kernel.tree.join("Module.symvers")))
        .unwrap()
        .with_builtin_modinfo(&read(kernel.modules.join("modules.builtin.modinfo")));
    target.this_module = struct_module::this_module_of_module(module);
    assert!(target.this_module.is_some());
    let vmlinux = read(kernel.tree.join("vmlinux"));
    target.btf = struct_module::btf_of_vmlinux(&vmlinux).and_then(KernelBtf::new);
    // All kernels of the proof are built from Debian's source.
    target.patches = SourcePatches::DEBIAN;
    let image = kernel.image.as_ref().map(|image| image_facts::of_image(image).unwrap());
    target.with_certificates(image.unwrap_or_default().certificates)
}

/// The kernel at hand, with what only the running one tells.
fn target() -> &'static KernelFacts {
    static TARGET: OnceLock<KernelFacts> = OnceLock::new();
    TARGET.get_or_init(|| machine().complete(target_of(kernel(), built().plain())))
}

fn machine() -> Machine {
    Machine::new(&Cache::open().unwrap(), kernel())
}

/// Cases that need the same command line, which then share a guest.
fn by_boot(cases: &[Case]) -> Vec<Vec<&Case>> {
    let mut boots: Vec<Vec<&Case>> = Vec::new();
    for case in cases {
        match boots.iter_mut().find(|boot| boot[0].boot == case.boot && case.boot != ALONE) {
            Some(boot) => boot.push(case),
            None => boots.push(vec![case]),
        }
    }
    boots
}

fn the_corpus_is_judged_as_by_the_kernel() {
    let mut cases = Maker::all(built(), target());
    // Where the guest's own channel is a module, no guest runs without modules.
    if kernel().config().unwrap().get("VIRTIO_CONSOLE") != Some("y") {
        cases.retain(|case| case.boot != "nomodule");
        tell!("skipped on {}: nomodule, with which its guest does not come up", kernel());
    }
    let mut table = Table::default();
    let (trouble, mut wrong) = (Trouble::read(), Vec::new());
    for boot in by_boot(&cases) {
        let compared = compare(target(), &boot);
        wrong.extend(compared.iter().filter_map(|one| trouble.lacks(&one.verdict)));
        for last in compared.iter().filter(|one| one.load + 1 == one.case.loads.len()) {
            wrong.extend(not_shown(last));
        }
        table.take(&compared);
    }
    let unknown = cases.iter().filter(|case| case.unknown.is_some()).count();
    assert!(unknown <= UNKNOWN_MAX, "{unknown} cases are not to be decided");
    table.holds("the corpus", (table.loads - unknown).max(CORPUS_MIN));
    if !wrong.is_empty() {
        differs("what the corpus is to show", &wrong.join("\n"));
    }
}

/// The stack itself, whose parameters are Rust's.
fn the_stack_is_judged_as_by_the_kernel() {
    let build_dir = BuildDir::open(kernel(), &Stack::for_target(MakeTarget::Modules)).unwrap();
    let stack = build_dir.build_quiet(MakeTarget::Modules).unwrap();
    let [provider, consumer, tally] = stack.as_slice() else { panic!("{stack:?}") };
    let load = |path: &Path, args| Load { file: std::fs::read(path).unwrap(), args, flags: 0 };
    let both = |args, more| vec![load(provider, args), load(consumer, more)];
    let cases = [
        ("stack", both("", "")),
        ("stack with parameters", both("max_counters=4", "start=40")),
        ("stack without room", both("max_counters=0", "")),
        ("a caller in Rust", vec![load(provider, ""), load(tally, "")]),
        ("consumer alone", vec![load(consumer, "")]),
        ("no number", vec![load(provider, "max_counters=many")]),
        ("number twice", vec![load(provider, "max_counters=4 max_counters=5")]),
        ("number too large", vec![load(provider, "max_counters=99999999999999999999")]),
        ("number without value", vec![load(provider, "max_counters")]),
        ("number in other bases", both("max_counters=0x10", "start=-0b11")),
        ("unknown parameter", vec![load(provider, "colour=red")]),
    ];
    all_agree("the stack", cases.into());
}

/// Loads modules whose init may fail on its own, and fails unless the kernel does in each case
/// what was predicted. Returns how many loads the kernel refused.
pub(crate) fn all_agree(what: &str, cases: Vec<(&str, Vec<Load>)>) -> usize {
    let case = |(id, loads)| Case::of_modules(id, loads);
    let cases: Vec<Case> = cases.into_iter().map(case).collect();
    let compared = compare(target(), &cases.iter().collect::<Vec<_>>());
    let mut table = Table::default();
    table.take(&compared);
    table.holds(what, table.loads.max(16));
    compared.iter().filter(|one| one.ran.errno != Some(0)).count()
}

/// The number of cases of the corpus that a kernel may leave unchecked, so that they have no
/// answer.
const UNKNOWN_MAX: usize = 8;
/// The least number of loads in the corpus.
const CORPUS_MIN: usize = 200;
/// The number of the kernel's own modules that are tried, of those that can be.
const OWN_MAX: usize = 200;
/// The number of another kernel's that are tried.
const OTHER: usize = 60;

/// The kernel's own modules, evenly picked, each alone and then with what it needs.
fn the_kernels_own_modules_are_judged_as_by_the_kernel() {
    let cases = own_cases(&own_modules(&kernel().name), OWN_MAX, true);
    let mut table = Table::default();
    for boot in cases.chunks(50) {
        table.take(&compare(target(), &boot.iter().collect::<Vec<_>>()));
    }
    table.holds("the kernel's own modules, alone and with what they need", 2 * OWN_MAX);
}

/// Modules of another kernel, each alone.
fn another_kernels_modules_are_judged_as_by_the_kernel() {
    let other =
        if kernel().name == KernelName::STABLE { KernelName::STOCK } else { KernelName::STABLE };
    let cases = own_cases(&own_modules(&other), OTHER, false);
    let mut table = Table::default();
    table.take(&compare(target(), &cases.iter().collect::<Vec<_>>()));
    table.holds(&format!("modules of {other}"), OTHER);
}

/// The folder of the modules that Debian built for a kernel.
fn own_modules(name: &KernelName) -> PathBuf {
    let cache = Cache::open().unwrap();
    let kernel = Kernel::obtain(&cache, name, Refresh::Daily).unwrap();
    kernel.shipped_modules(&cache).unwrap()
}

/// A module of the kernel's own.
fn shipped(folder: &Path, name: &str) -> Vec<u8> {
    let files = walk::modules(folder).unwrap();
    let file = files.iter().find(|file| &*file.name == name).unwrap();
    ModuleBuffer::default().read(&file.full).unwrap().to_vec()
}

/// Modules whose init a machine without the hardware does not mind, and that leave again: those of
/// the file systems' character sets, the ciphers, the checksums and other libraries.
const QUIET: [&str; 5] =
    ["kernel/lib/", "kernel/crypto/", "kernel/fs/nls/", "kernel/net/", "kernel/drivers/"];

/// Cases of a folder's modules, `count` of them at equal distances.
fn own_cases(folder: &Path, count: usize, with_needs: bool) -> Vec<Case> {
    let files = walk::modules(folder).unwrap();
    let is_quiet = |file: &&ModuleFile| {
        QUIET.iter().any(|begin| file.path.starts_with(begin)) && file.stamp.size < 100_000
    };
    let candidates: Vec<&ModuleFile> = files.iter().filter(is_quiet).collect();
    let step = (candidates.len() / count).max(1);
    let chosen: Vec<&ModuleFile> = candidates.into_iter().step_by(step).take(count).collect();
    let load = |file: &ModuleFile| {
        let file = ModuleBuffer::default().read(&file.full).unwrap().to_vec();
        Load { file, args: "", flags: 0 }
    };
    // Nothing else of the tree is read where no needs are asked for.
    let graph = with_needs.then(|| graph_of(folder, &files));
    let mut cases = Vec::new();
    for file in chosen {
        cases.push(Case::of_modules(&file.name, vec![load(file)]));
        let needs = graph.as_ref().map(|graph| needs(graph, file)).unwrap_or_default();
        if needs.len() > 1 && needs.len() < 8 {
            let loads = needs.into_iter().map(load).collect();
            cases.push(Case::of_modules(&format!("{} with its needs", file.name), loads));
        }
    }
    cases
}

/// The graph of a folder's modules; what was read of them is remembered for the next kernel.
fn graph_of(folder: &Path, files: &[ModuleFile]) -> Graph {
    let remembered = scan_cache::file_for(Path::new(env!("CARGO_TARGET_TMPDIR")), folder);
    Graph::new(scan_cached(files.to_vec(), &remembered).modules)
}

/// A module with what it needs, in the order in which they load.
fn needs<'g>(graph: &'g Graph, file: &ModuleFile) -> Vec<&'g ModuleFile> {
    let index = graph.modules().iter().position(|module| module.file.path == file.path).unwrap();
    let modprobe = Modprobe::unconfigured(graph).unwrap();
    let order = load_order(&modprobe, &[Request::File(index)], None);
    order.steps.iter().map(|step| &graph.modules()[step.index.unwrap()].file).collect()
}

/// The facts have the size of struct module that a module has which is built today, whatever
/// modules of an older build of the kernel lie about.
fn struct_module_is_that_of_this_very_kernel() {
    let stale = project().join("target/build").join(format!("0-stale-{}", kernel().slug()));
    std::fs::create_dir_all(&stale).unwrap();
    let mut module = built().gives().clone();
    let index = module.section(".gnu.linkonce.this_module");
    let size = module.get(index, section::SIZE);
    module.set_section(index, section::SIZE, size + 64);
    std::fs::write(stale.join("stale.ko"), &module.bytes).unwrap();
    let facts = facts::of_kernel(kernel(), || build::this_module(kernel()));
    std::fs::remove_dir_all(&stale).unwrap();
    let today = struct_module::this_module_of_module(built().plain());
    assert_eq!(facts.unwrap().target.this_module, today);
    assert!(today.is_some());
    assert_eq!(build::this_module(kernel()), today);
}

/// The seed and the number of the random changes.
const RANDOM: (u64, usize) = (20_261_123, 480);
/// The share of their loads that must be decided.
const RANDOM_DECIDED_PERCENT: usize = 90;

fn random_changes_are_judged_as_by_the_kernel() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("SYMSTACK_SEED").unwrap_or(RANDOM.0);
    let cases = random::cases(built(), seed, RANDOM.1);
    let cases: Vec<&Case> = cases.iter().collect();
    let mut table = Table::default();
    table.take(&compare(target(), &cases));
    // Some changes lead to reads beyond the file, and what the kernel then finds is unknown.
    // The rest are relocations that the kernel applies unchecked, and tables that it follows so.
    let decided_min = table.loads * RANDOM_DECIDED_PERCENT / 100;
    table.holds(&format!("random changes (seed {seed})"), decided_min.max(RANDOM.1));
}

/// A fixture whose prediction is not what it was made to show.
fn not_shown(last: &Compared<'_>) -> Option<String> {
    let Case { id, shows, unknown, .. } = last.case;
    let errno = match (&last.verdict.answer, unknown) {
        (Answer::Unknown(reason), Some(part)) if reason.contains(part) => return None,
        (Answer::Unknown(reason), _) => return Some(format!("{id}: unknown, as {reason}")),
        (_, Some(part)) => return Some(format!("{id}: wanted no answer, as {part}")),
        (Answer::Refused(errno), None) => Some(*errno),
        (Answer::Loads, None) => None,
    };
    let said = last.verdict.messages.iter().any(|line| line.contains(shows.1));
    let shown = errno == shows.0 && (shows.1.is_empty() || said);
    let found = format!("{errno:?} {:#?}", last.verdict.messages);
    (!shown).then(|| format!("{id}: wanted {:?} {:?}, found {found}", shows.0, shows.1))
}
