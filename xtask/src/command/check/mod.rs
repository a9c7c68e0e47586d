//! `check`: would it load, and if not, why?

mod form;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use ko::{compression::UNPACKED_BYTES_MAX, text::Name};
use loader::{
    errno::Errno,
    kernel_model::KernelModel,
    load_info::LoadRequest,
    verdict::{Answer, CheckResult, Outcome, Verdict},
};
use stack::depmod_config::DepmodConfig;

use self::form::{AllForm, CheckForm};
use crate::{
    build::BuiltStack,
    command::{StackArg, judge_args::JudgeArgs},
    host::{cache::Cache, open, root_kmod::kmod_facts},
    kernel::{facts::TreeFacts, live},
    printer::{self, Shown as _},
    problem::{OrProblem, Problem, Result},
    tree::{
        judge::{self, Judged, ModuleRow, RowVerdict},
        load_plan::{self, PlannedLoad},
        walk,
    },
};

/// Tell whether modules would load on a kernel, and if not, why
///
/// Nothing is loaded: the kernel's own checks are applied, in its order. What only the running
/// kernel can decide, above all the return value of a module's init, is named and not guessed.
/// Exit status 1 when one of the modules would not load, or when that cannot be decided.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Module files; loaded in dependency order, each on top of the others [default: those of the
    /// stack, built for the kernel]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    stack: StackArg,
    /// All modules of a folder instead, in short, each after those that it needs
    #[arg(long, value_name = "DIR")]
    #[arg(conflicts_with_all = ["files", "folder", "with_deps", "as_given", "bare"])]
    all: Option<PathBuf>,
    #[command(flatten)]
    kernel: JudgeArgs,
    /// Load first what the files need, out of the kernel's own modules and those beside them
    #[arg(long, conflicts_with = "as_given")]
    with_deps: bool,
    /// Load in the order of the arguments, as insmod would
    #[arg(long)]
    as_given: bool,
    /// Give the kernel each file as it is: do not unpack .ko.xz and its like, as kmod would
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

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A file or a kernel's tree cannot be read.
    pub fn run(mut self) -> Result<ExitCode> {
        if self.stack.folder.is_some() || (self.files.is_empty() && self.all.is_none()) {
            self.take_the_stack()?;
        }
        for file in &self.files {
            fs::metadata(file).or_usage(|| format!("cannot read {}", file.shown()))?;
        }
        let mut facts = self.kernel.facts()?;
        facts.target = std::mem::take(&mut facts.target).with_command_line(&self.cmdline);
        if let Some(folder) = &self.all {
            return self.judge_all(&facts, folder);
        }
        let loads = self.plan(&facts)?;
        let mut model = KernelModel::new(&facts.target);
        if self.kernel.live {
            live::take_loaded(&mut model, &facts, &self.files)?;
        }
        let mut verdicts = Vec::new();
        for load in &loads {
            verdicts.push((load, self.judge(&facts, &mut model, load)?));
        }
        let holds = verdicts.iter().all(|(_, verdict)| verdict.loads());
        if self.json {
            printer::json(&CheckForm::new(&facts, &verdicts))?;
        } else {
            print(&facts, &verdicts);
        }
        Ok(ExitCode::from(u8::from(!holds)))
    }

    /// Builds the stack; its modules are judged with the files.
    fn take_the_stack(&mut self) -> Result<()> {
        if self.kernel.live || self.kernel.tree.is_some() {
            let problem = Problem::usage("a stack is built for a kernel of --kernel");
            return Err(problem.hint("name the module files"));
        }
        let built =
            BuiltStack::obtain(&Cache::open()?, &self.kernel.name(), &self.stack.chosen()?)?;
        self.files.extend(built.modules);
        Ok(())
    }

    fn judge_all(&self, facts: &TreeFacts, folder: &Path) -> Result<ExitCode> {
        let mut found = walk::some_modules(folder, &DepmodConfig::of_kmod(kmod_facts()))?;
        super::report_unreadable(&found.unreadable);
        found.modules.append(&mut found.not_listed);
        let Judged { rows, verified } =
            judge::judge_tree(&facts.target, &found.modules, &Cache::open()?.room("facts")?);
        if self.json {
            printer::json(&AllForm::new(&facts.target.release, &rows))?;
        } else {
            print_all(facts, &rows);
        }
        // The time for a few modules is no news.
        if let Some((count @ 100.., took)) = verified {
            let each = took.as_secs_f64() * 1e3 / count as f64;
            let took = took.as_secs_f64();
            errln!(
                "{count} signatures verified in {took:.1} s of processor time, {each:.2} ms each"
            );
        }
        let holds =
            found.unreadable.is_empty() && rows.iter().all(|row| row.verdict == RowVerdict::Loads);
        Ok(ExitCode::from(u8::from(!holds)))
    }

    /// The files in the order in which they are loaded.
    fn plan(&self, facts: &TreeFacts) -> Result<Vec<PlannedLoad>> {
        match (self.as_given, self.with_deps) {
            (true, _) => Ok(load_plan::as_given(&self.files)),
            (false, true) => {
                let (modules, memory) = (facts.modules.as_deref(), Cache::open()?.room("facts")?);
                let mut loads = load_plan::with_dependencies(&self.files, modules, &memory)?;
                // modprobe passes over what is loaded already.
                let loaded = if self.kernel.live { live::loaded_names() } else { Vec::new() };
                loads.retain(|load| load.wanted || !loaded.contains(&load.name()));
                Ok(loads)
            }
            (false, false) => load_plan::in_order(&self.files),
        }
    }

    fn judge(
        &self,
        facts: &TreeFacts,
        model: &mut KernelModel<'_>,
        load: &PlannedLoad,
    ) -> Result<Verdict> {
        let last = self.files.last() == Some(&load.file);
        let args = if last { self.params.as_str() } else { "" };
        let what = || format!("cannot read {}", load.file.shown());
        let raw = open::read_within(&load.file, UNPACKED_BYTES_MAX as u64).or_usage(what)?;
        if self.bare {
            let request = LoadRequest { file: &raw, args: args.as_bytes(), ..Default::default() };
            return Ok(model.finit_module(request));
        }
        judge::judge_as_insmod(model, &facts.target, &load.file, &raw, args.as_bytes())
    }
}

/// Returns the number of modules for each answer, with one of each as an example.
fn print_all(facts: &TreeFacts, rows: &[ModuleRow]) {
    let mut kinds: BTreeMap<String, Vec<&ModuleRow>> = BTreeMap::new();
    for row in rows {
        let ModuleRow { verdict, errno, check, .. } = row;
        let words = [Some(verdict.word()), errno.as_deref(), check.as_deref()];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        kinds.entry(words.join(" ")).or_default().push(row);
    }
    outln!("{} modules on {}", rows.len(), facts.target.release);
    for (kind, rows) in kinds {
        outln!("{:>6}  {kind}", rows.len());
        let example = rows.first().filter(|row| row.said.is_some());
        if let Some(ModuleRow { file, said: Some(said), .. }) = example {
            outln!("        such as {}: {}", Name(file.as_bytes()), Name(said.as_bytes()));
        }
    }
}

fn print(facts: &TreeFacts, verdicts: &[(&PlannedLoad, Verdict)]) {
    for what in &facts.unknown {
        outln!("unknown for {}: {what}", facts.target.release);
    }
    for (load, verdict) in verdicts {
        print_verdict(facts, load, verdict);
    }
}

fn print_verdict(facts: &TreeFacts, load: &PlannedLoad, verdict: &Verdict) {
    let release = &facts.target.release;
    let file = load.file.shown();
    let needed = if load.wanted { "" } else { " (needed)" };
    match &verdict.answer {
        Answer::Loads => outln!("{file}{needed}: would load on {release}"),
        Answer::Refused(errno) => {
            let by = if verdict.is_kmods() { "kmod" } else { release };
            outln!("{file}{needed}: refused by {by} with {errno} ({})", errno.text());
        }
        Answer::Unknown(reason) => outln!("{file}{needed}: cannot be decided offline: {reason}"),
    }
    if let (true, Answer::Refused(errno)) = (verdict.is_kmods(), &verdict.answer) {
        outln!("  the kernel is not asked, and logs nothing");
        outln!("  insmod would say  could not insert module {file}: {}", insmod_text(*errno));
    } else if !verdict.messages.is_empty() {
        outln!("  the kernel would log");
    } else if matches!(verdict.answer, Answer::Refused(_)) {
        outln!("  the kernel would log  nothing");
    }
    verdict.messages.iter().for_each(|line| outln!("    {}", Name(line.as_bytes())));
    if !verdict.taints.to_string().is_empty() {
        outln!("  taints   {}", verdict.taints);
    }
    print_checks(verdict);
    if let Some(check) = verdict.decisive().filter(|check| !check.hint.is_empty()) {
        outln!("  hint     {}", check.hint);
    }
}

/// insmod's words for an error (`mod_strerror()`, kmod's `tools/insmod.c`).
fn insmod_text(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOEXEC => "Invalid module format",
        Errno::ENOENT => "Unknown symbol in module",
        Errno::EINVAL => "Invalid parameters",
        other => other.text(),
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

/// Prints what was wanted beside what was found, each of several symbols on a line of its own.
fn print_differences(want: &str, have: &str) {
    let (wanted, found) = (want.split("; "), have.split("; "));
    if wanted.clone().count() != found.clone().count() {
        outln!("    wanted {}, found {}", Name(want.as_bytes()), Name(have.as_bytes()));
        return;
    }
    for (want, have) in wanted.zip(found).filter(|(want, _)| !want.is_empty()) {
        outln!("    wanted {}, found {}", Name(want.as_bytes()), Name(have.as_bytes()));
    }
}
