//! `check`: would it load, and if not, why?

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Serialize;

use crate::tree::judge::{self, ModuleRow};
use crate::tree::scan::{scan, scan_cached};
use crate::tree::scan_cache;
use crate::tree::section_reader::ModuleBuffer;
use crate::tree::walk;
use crate::{
    build,
    host::cache::Cache,
    kernel::{
        Kernel, KernelName,
        archive::Refresh,
        facts::{self, Overrides, TreeFacts},
    },
    problem::{OrProblem, Problem, Result},
};
use loader::kernel_model::KernelModel;
use loader::load_info::LoadRequest;
use loader::verdict::{Answer, CheckResult, Outcome, Verdict};
use stack::depmod_config::DepmodConfig;
use stack::graph::Graph;
use stack::load_order::load_order;
use stack::module_file::ModuleFile;

/// Tell whether modules would load on a kernel, and if not, why
///
/// Nothing is loaded: the kernel's own checks are played, in its order. What only the running
/// kernel can know, the return value of a module's init above all, is named and not guessed.
/// Exit status 1 when one of the modules would not load, or nobody can know.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Module files; loaded in dependency order, each on top of the others
    #[arg(required_unless_present = "all", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// All modules of a folder instead, in short: each with what it needs loaded before it
    #[arg(long, value_name = "DIR")]
    #[arg(conflicts_with_all = ["files", "with_deps", "as_given", "bare"])]
    all: Option<PathBuf>,
    /// Its name.
    #[arg(long, value_name = "K", help = KernelName::choices(), conflicts_with_all = ["tree", "live"])]
    kernel: Option<KernelName>,
    /// A prepared kernel tree, or an installed /lib/modules/RELEASE
    #[arg(long, value_name = "DIR", conflicts_with = "live")]
    tree: Option<PathBuf>,
    /// The configuration, where the tree has none
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The kernel's Module.symvers, where the tree has none
    #[arg(long, value_name = "FILE")]
    symvers: Option<PathBuf>,
    /// The running kernel, with what is loaded there
    #[arg(long)]
    live: bool,
    /// Load first what the files need of the kernel's own modules, and of those beside them
    #[arg(long, conflicts_with = "as_given")]
    with_deps: bool,
    /// KernelModel insmod in the order of the arguments
    #[arg(long)]
    as_given: bool,
    /// Give each file as it is: as a program does that does not unpack .ko.xz and its like
    #[arg(long)]
    bare: bool,
    /// Parameters for the last file, as one argument
    #[arg(long, value_name = "NAME=VALUE …", default_value = "")]
    params: String,
    /// Words of the kernel's command line, such as module_blacklist=NAME
    #[arg(long, value_name = "WORDS", default_value = "")]
    cmdline: String,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
}

/// A file to load, and whether it was asked for.
struct Item {
    file: PathBuf,
    wanted: bool,
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A file or a kernel's tree cannot be read.
    pub fn run(self) -> Result<ExitCode> {
        for file in &self.files {
            fs::metadata(file).or_usage(|| format!("cannot read {}", file.display()))?;
        }
        let mut facts = self.facts()?;
        facts.target = std::mem::take(&mut facts.target).with_command_line(&self.cmdline);
        if let Some(folder) = &self.all {
            return self.judge_all(&facts, folder);
        }
        let items = self.items(&facts)?;
        let mut model = KernelModel::new(&facts.target);
        if let Some(folder) = facts.modules.as_deref().filter(|_| self.live) {
            facts::play_loaded(&mut model, folder)?;
        }
        let mut verdicts = Vec::new();
        for item in &items {
            verdicts.push((item, self.judge(&mut model, item)?));
        }
        let holds = verdicts.iter().all(|(_, verdict)| verdict.loads());
        match self.json {
            true => super::print_json(&Form::new(&facts, &verdicts))?,
            false => print(&facts, &verdicts),
        }
        Ok(ExitCode::from(u8::from(!holds)))
    }

    fn judge_all(&self, facts: &TreeFacts, folder: &Path) -> Result<ExitCode> {
        let files = walk::modules(folder, &DepmodConfig::default())?;
        let rows = judge::judge_tree(&facts.target, &files, &self.memory()?);
        match self.json {
            true => super::print_json(&AllForm {
                format: "check-all/1",
                release: &facts.target.release,
                modules: &rows,
            })?,
            false => print_all(facts, &rows),
        }
        let holds = rows.iter().all(|row| row.verdict == "loads");
        Ok(ExitCode::from(u8::from(!holds)))
    }

    /// The folder of what is remembered of modules.
    fn memory(&self) -> Result<PathBuf> {
        let memory = Cache::open()?.path("facts");
        fs::create_dir_all(&memory).or_host(|| format!("{} cannot be made", memory.display()))?;
        Ok(memory)
    }

    fn facts(&self) -> Result<TreeFacts> {
        let overrides = Overrides { config: self.config.clone(), symvers: self.symvers.clone() };
        if self.live {
            return facts::of_running(&overrides);
        }
        if let Some(tree) = &self.tree {
            return facts::of_tree(tree, &overrides);
        }
        if self.config.is_some() || self.symvers.is_some() {
            return Err(Problem::usage("--config and --symvers go with --tree or --live"));
        }
        let name = self.kernel.clone().unwrap_or(KernelName::STOCK);
        let kernel = Kernel::obtain(&Cache::open()?, &name, Refresh::Daily)?;
        facts::of_kernel(&kernel, || build::this_module(&kernel))
    }

    /// The files in the order in which they are loaded.
    fn items(&self, facts: &TreeFacts) -> Result<Vec<Item>> {
        let as_given = self.files.iter().map(|file| Item { file: file.clone(), wanted: true });
        if self.as_given {
            return Ok(as_given.collect());
        }
        let mut found = walk::module_files(&self.files)?;
        let given: Vec<String> = found.iter().map(|file| file.name.clone()).collect();
        if self.with_deps {
            found.extend(self.others(facts, &given)?);
        }
        let outcome = match (self.with_deps, facts.modules.as_deref()) {
            // A kernel's own modules are some thousands: their ties are remembered.
            (true, Some(folder)) => {
                scan_cached(found, &scan_cache::file_for(&self.memory()?, folder))
            }
            _ => scan(found),
        };
        let graph = Graph::new(outcome.modules);
        let wanted: Vec<usize> = given.iter().filter_map(|name| graph.find(name)).collect();
        // What depends on each other in a circle cannot be loaded in any order.
        let Ok(steps) = load_order(&graph, &wanted, None) else { return Ok(as_given.collect()) };
        let mut items: Vec<Item> = Vec::new();
        for step in &steps.steps {
            let Some(index) = graph.find(step.module) else { continue };
            let file = &graph.modules()[index].file;
            items.push(Item { file: file.full.clone(), wanted: given.contains(&file.name) });
        }
        // What could not be read, the kernel refuses as well; it stands where it was given.
        for (place, file) in self.files.iter().enumerate() {
            if !items.iter().any(|item| item.file == *file) {
                let item = Item { file: file.clone(), wanted: true };
                items.insert(place.min(items.len()), item);
            }
        }
        Ok(items)
    }

    /// The modules that may be loaded before: the kernel's own, and those beside the files given.
    fn others(&self, facts: &TreeFacts, given: &[String]) -> Result<Vec<ModuleFile>> {
        let mut folders: Vec<PathBuf> = facts.modules.clone().into_iter().collect();
        for file in &self.files {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            folders.push(folder.unwrap_or(Path::new(".")).to_path_buf());
        }
        let mut others: Vec<ModuleFile> = Vec::new();
        for folder in folders {
            let modules = walk::modules(&folder, &DepmodConfig::default())?;
            for module in modules {
                let known = given.contains(&module.name)
                    || others.iter().any(|other| other.name == module.name);
                if !known {
                    others.push(module);
                }
            }
        }
        Ok(others)
    }

    fn judge(&self, model: &mut KernelModel<'_>, item: &Item) -> Result<Verdict> {
        let last = self.files.last() == Some(&item.file);
        let args = if last { self.params.as_str() } else { "" };
        let mut buffer = ModuleBuffer::default();
        let what = || format!("cannot read {}", item.file.display());
        let bare;
        let unpacked = match self.bare {
            true => None,
            // A packed file that is damaged is handed to the kernel as kmod would: as it is.
            false => buffer.read(&item.file).ok(),
        };
        let file = match unpacked {
            Some(bytes) => bytes,
            None => {
                bare = fs::read(&item.file).or_usage(what)?;
                &bare
            }
        };
        Ok(model.finit_module(LoadRequest {
            file,
            args: args.as_bytes(),
            ..LoadRequest::default()
        }))
    }
}

/// The documented form `check-all/1`.
#[derive(Serialize)]
struct AllForm<'a> {
    format: &'static str,
    release: &'a str,
    modules: &'a [ModuleRow],
}

/// How many came to what, with one of each as an example.
fn print_all(facts: &TreeFacts, rows: &[ModuleRow]) {
    let mut kinds: BTreeMap<String, Vec<&ModuleRow>> = BTreeMap::new();
    for row in rows {
        let ModuleRow { verdict, errno, check, .. } = row;
        let words = [Some(verdict), errno.as_ref(), check.as_ref()];
        let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        kinds.entry(words.join(" ")).or_default().push(row);
    }
    outln!("{} modules on {}", rows.len(), facts.target.release);
    for (kind, rows) in kinds {
        outln!("{:>6}  {kind}", rows.len());
        let example = rows.first().filter(|row| row.said.is_some());
        if let Some(ModuleRow { file, said: Some(said), .. }) = example {
            outln!("        such as {file}: {said}");
        }
    }
}

fn print(facts: &TreeFacts, verdicts: &[(&Item, Verdict)]) {
    for what in &facts.unknown {
        outln!("unknown for {}: {what}", facts.target.release);
    }
    for (item, verdict) in verdicts {
        print_verdict(facts, item, verdict);
    }
}

fn print_verdict(facts: &TreeFacts, item: &Item, verdict: &Verdict) {
    let release = &facts.target.release;
    let file = item.file.display();
    let needed = if item.wanted { "" } else { " (needed)" };
    match &verdict.answer {
        Answer::Loads => outln!("{file}{needed}: would load on {release}"),
        Answer::Refused(errno) => {
            outln!("{file}{needed}: refused by {release} with {errno} ({})", errno.text());
        }
        Answer::Unknown(reason) => outln!("{file}{needed}: nobody can know: {reason}"),
    }
    let said = |line: &str| line.chars().flat_map(plain).collect::<String>();
    match verdict.messages.is_empty() {
        true if matches!(verdict.answer, Answer::Refused(_)) => {
            outln!("  the kernel would log  nothing");
        }
        true => {}
        false => outln!("  the kernel would log"),
    }
    verdict.messages.iter().for_each(|line| outln!("    {}", said(line)));
    if !verdict.taints.to_string().is_empty() {
        outln!("  taints   {}", verdict.taints);
    }
    print_checks(verdict);
    if let Some(check) = verdict.decisive().filter(|check| !check.hint.is_empty()) {
        outln!("  hint     {}", check.hint);
    }
}

/// The checks in the kernel's order: those that it passed are counted, the rest is named.
fn print_checks(verdict: &Verdict) {
    let count = |is: fn(&Outcome) -> bool| verdict.checks.iter().filter(|c| is(&c.outcome)).count();
    let passed = count(|outcome| *outcome == Outcome::Pass);
    let skipped = count(|outcome| matches!(outcome, Outcome::Skip(_)));
    let before = match verdict.decisive() {
        Some(check) => format!(" before {}", check.id),
        None => String::new(),
    };
    outln!("  passed   {passed} checks{before}; {skipped} do not apply");
    for CheckResult { id, outcome, want, have, .. } in &verdict.checks {
        match outcome {
            Outcome::Pass | Outcome::Skip(_) => {}
            Outcome::Open(what) => outln!("  open     {id}: {what}"),
            Outcome::Unknown(reason) => outln!("  unknown  {id}: {reason}"),
            Outcome::Fail(_) => {
                outln!("  failed   {id}");
                print_differences(want, have);
            }
        }
    }
}

/// What was wanted beside what was found; of several symbols each on a line of its own.
fn print_differences(want: &str, have: &str) {
    let safe = |text: &str| text.chars().flat_map(plain).collect::<String>();
    let (wanted, found) = (want.split("; "), have.split("; "));
    if wanted.clone().count() != found.clone().count() {
        outln!("    wanted {}, found {}", safe(want), safe(have));
        return;
    }
    for (want, have) in wanted.zip(found).filter(|(want, _)| !want.is_empty()) {
        outln!("    wanted {}, found {}", safe(want), safe(have));
    }
}

/// A control character that a module brought would command the terminal.
fn plain(c: char) -> Vec<char> {
    match c.is_control() {
        true => c.escape_default().collect(),
        false => vec![c],
    }
}

/// The documented form `check/2`.
#[derive(Serialize)]
struct Form<'a> {
    format: &'static str,
    release: &'a str,
    vermagic: &'a str,
    unknown: &'a [String],
    modules: Vec<ModuleForm<'a>>,
}

#[derive(Serialize)]
struct ModuleForm<'a> {
    name: &'a str,
    file: String,
    wanted: bool,
    verdict: &'static str,
    reason: Option<&'a str>,
    errno: Option<String>,
    messages: &'a [String],
    taints: String,
    checks: Vec<CheckForm<'a>>,
}

#[derive(Serialize)]
struct CheckForm<'a> {
    id: &'a str,
    result: &'static str,
    reason: Option<&'a str>,
    want: &'a str,
    have: &'a str,
    hint: &'a str,
}

impl<'a> Form<'a> {
    fn new(facts: &'a TreeFacts, verdicts: &'a [(&Item, Verdict)]) -> Self {
        let target = &facts.target;
        Self {
            format: "check/2",
            release: &target.release,
            vermagic: &target.vermagic,
            unknown: &facts.unknown,
            modules: verdicts.iter().map(|(item, verdict)| module(item, verdict)).collect(),
        }
    }
}

fn module<'a>(item: &Item, verdict: &'a Verdict) -> ModuleForm<'a> {
    let (word, reason, errno) = match &verdict.answer {
        Answer::Loads => ("loads", None, None),
        Answer::Refused(errno) => ("refused", None, Some(errno.to_string())),
        Answer::Unknown(reason) => ("unknown", Some(reason.as_str()), None),
    };
    ModuleForm {
        name: &verdict.name,
        file: item.file.display().to_string(),
        wanted: item.wanted,
        verdict: word,
        reason,
        errno,
        messages: &verdict.messages,
        taints: verdict.taints.to_string(),
        checks: verdict.checks.iter().map(check).collect(),
    }
}

fn check(check: &CheckResult) -> CheckForm<'_> {
    let (result, reason) = match &check.outcome {
        Outcome::Pass => ("pass", None),
        Outcome::Fail(_) => ("fail", None),
        Outcome::Skip(reason) | Outcome::Open(reason) => ("skip", Some(reason.as_str())),
        Outcome::Unknown(reason) => ("unknown", Some(reason.as_str())),
    };
    let CheckResult { id, want, have, hint, .. } = check;
    CheckForm { id: id.as_str(), result, reason, want, have, hint }
}
