//! `order`: which module loads before which, and why.

mod choice;
mod format;

use std::{
    collections::HashSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use self::{choice::Choice, format::Format};
use crate::tree::abi_files::read_symvers;
use crate::tree::aliases::{bus_aliases, modules_alias, modules_devname};
use crate::tree::depmod_files::depmod_config;
use crate::tree::modprobe_files::{built_in, config_files};
use crate::tree::picture::Picture;
use crate::tree::scan::{TreeScan, scan, scan_cached};
use crate::tree::scan_cache;
use crate::tree::walk::{self, FoundModules};
use crate::{
    build::BuiltStack,
    command::{KernelArg, StackArg},
    host::{cache::Cache, root_kmod::kmod_facts},
    printer::{self, Shown as _},
    problem::{Problem, Result},
};
use ko::text::{Name, SymbolName, Text, is_command};
use serde::Serialize;
use stack::built_in::BuiltIn;
use stack::graph::{Cycle, Graph, ScannedModule};
use stack::load_order::{
    Idle, IdleReason, LoadOrder, LoadStep, MissingDependency, OrderReason, Request, Wanted,
    exported_twice, load_order,
};
use stack::modprobe::Modprobe;
use stack::modprobe_config::{IgnoredLine, ModprobeConfig};
use stack::module_name::ModuleName;
use stack::modules_dep;
use stack::modules_lists;
use stack::symvers::Symvers;

/// Show what loads before what, and the reason for every edge
///
/// Exit status 1 when there is no order (a cycle), when something needed is not there, or when a
/// file is no module or a folder cannot be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of modules of the tree, or module files; default: the whole tree. Without a tree and
    /// a file: this stack, built for the kernel
    modules: Vec<String>,
    #[command(flatten)]
    kernel: KernelArg,
    #[command(flatten)]
    stack: StackArg,
    /// A directory of modules, or an installed tree such as /lib/modules/RELEASE
    #[arg(long)]
    tree: Option<PathBuf>,
    /// The kernel's Module.symvers: symbols that it does not have are missing
    #[arg(long)]
    symvers: Option<PathBuf>,
    /// A depmod.d file, or a folder of them: search, override, external, exclude
    #[arg(long, value_name = "PATH")]
    depmod_config: Vec<PathBuf>,
    /// A file or a directory of modprobe.d, as `modprobe -C`; earlier ones come first
    #[arg(long, value_name = "PATH")]
    modprobe_config: Vec<PathBuf>,
    /// Words of the kernel's command line: MODULE.NAME=VALUE, modprobe.blacklist=NAME
    #[arg(long, value_name = "WORDS", default_value = "")]
    cmdline: String,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Spell every symbol in a picture, however many there are
    #[arg(long)]
    all_symbols: bool,
    /// Print the documented JSON form
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Read every module anew, and remember nothing
    #[arg(long)]
    no_cache: bool,
}

/// The documented form of `order --json`.
#[derive(Serialize)]
struct OrderForm<'a> {
    format: &'static str,
    #[serde(flatten)]
    order: &'a LoadOrder<'a>,
    exported_twice: Vec<TwiceForm<'a>>,
    #[serde(flatten)]
    choice: &'a Choice<'a>,
}

#[derive(Serialize)]
struct TwiceForm<'a> {
    symbol: Text<'a>,
    modules: Vec<&'a str>,
}

impl Args {
    /// Runs the verb.
    ///
    /// # Errors
    /// A tree that cannot be read, a module that is not in it, a cycle.
    pub fn run(mut self) -> Result<ExitCode> {
        let (names, files) = self.split_modules();
        if let (true, [name, ..]) = (self.format.is_depmods(), names.as_slice()) {
            let fact = format!("depmod's files are of a whole tree, not of {name} alone");
            return Err(Problem::usage(fact).hint("leave out the names, or the format"));
        }
        if self.tree.is_none() && files.is_empty() {
            self.take_the_stack()?;
        }
        let outcome = self.read(&files)?;
        super::report_unreadable(&outcome.unreadable);
        let mut holds = outcome.unreadable.is_empty();
        let choice = Choice::new(&outcome.ties, &outcome.not_listed);
        let graph = Graph::new(outcome.modules);
        if let Some(text) = self.depmod_file(&graph)? {
            choice.lines().for_each(|line| errln!("{line}"));
            printer::bytes(&text);
            return Ok(ExitCode::from(u8::from(!holds)));
        }
        let buses = || bus_aliases(&graph.files());
        let modprobe = Modprobe::new(&graph, self.modprobe_config(&graph)?, self.built_in()?)
            .map_err(|cycles| cyclic(&cycles))?
            .with_bus_aliases(&buses);
        modprobe.config.ignored.iter().for_each(warn_of_line);
        let requests = self.requests(&modprobe, names, &files)?;
        let kernel = self.kernel_symbols()?;
        let order = load_order(&modprobe, &requests, kernel.as_ref());
        holds &= order.idle.iter().all(|idle| idle.reason != IdleReason::NoFile);
        holds &= order.missing.iter().all(|missing| missing.weak);
        self.print(&graph, &order, &choice)?;
        Ok(ExitCode::from(u8::from(!holds)))
    }

    /// The file of depmod's that was asked for.
    fn depmod_file(&self, graph: &Graph) -> Result<Option<Vec<u8>>> {
        if self.format.is_depmods() {
            refuse_names(graph)?;
        }
        Ok(Some(match self.format {
            Format::ModulesDep => {
                modules_dep::write(graph).map_err(|cycles| cyclic(&cycles))?.into_bytes()
            }
            Format::ModulesAlias => modules_alias(&graph.files()).0,
            Format::ModulesDevname => modules_devname(&graph.files()).0,
            Format::ModulesSymbols => modules_lists::symbols(graph),
            Format::ModulesSoftdep => modules_lists::softdeps(graph),
            Format::ModulesWeakdep => modules_lists::weakdeps(graph),
            Format::Text | Format::Dot | Format::Svg => return Ok(None),
        }))
    }

    /// Without a tree and a file the verb is about this stack, built for the kernel.
    fn take_the_stack(&mut self) -> Result<()> {
        let stack = self.stack.chosen()?;
        let built = BuiltStack::obtain(&Cache::open()?, &self.kernel.name, &stack)?;
        self.symvers.get_or_insert(built.kernel.tree.join("Module.symvers"));
        self.tree = Some(built.build_dir.products());
        Ok(())
    }

    /// Tells names from files: a module's name has no dot and no slash.
    fn split_modules(&self) -> (Vec<String>, Vec<PathBuf>) {
        let (files, names): (Vec<_>, Vec<_>) =
            self.modules.iter().cloned().partition(|given| given.contains(['.', '/']));
        (names, files.into_iter().map(PathBuf::from).collect())
    }

    fn read(&self, files: &[PathBuf]) -> Result<TreeScan> {
        let found = walk::module_files(files)?;
        let Some(dir) = &self.tree else { return Ok(scan(found)) };
        let release = dir.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let config = depmod_config(&self.depmod_config, &release)?;
        let FoundModules { modules: mut all, unreadable, ties, not_listed } =
            walk::some_modules(dir, &config)?;
        // A file that is given replaces the tree's module of its name.
        let given: HashSet<ModuleName> = found.iter().map(|file| file.name.clone()).collect();
        all.retain(|file| !given.contains(&file.name));
        all.extend(found);
        let remembered = Cache::open().ok().and_then(|cache| cache.room("facts").ok());
        let mut outcome = match remembered.filter(|_| !self.no_cache) {
            Some(cache_dir) => scan_cached(all, &scan_cache::file_for(&cache_dir, dir)),
            None => scan(all),
        };
        outcome.unreadable.extend(unreadable);
        (outcome.ties, outcome.not_listed) = (ties, not_listed);
        Ok(outcome)
    }

    fn modprobe_config(&self, graph: &Graph) -> Result<ModprobeConfig> {
        let kmod = kmod_facts();
        let files = config_files(&self.modprobe_config, kmod)?;
        Ok(ModprobeConfig::of(graph, files, kmod).with_command_line(&self.cmdline))
    }

    /// Returns the modules that are built into the tree's kernel.
    fn built_in(&self) -> Result<BuiltIn> {
        self.tree.as_deref().map_or_else(|| Ok(BuiltIn::default()), built_in)
    }

    /// The requests: what was named, or every module.
    fn requests(
        &self,
        modprobe: &Modprobe<'_>,
        names: Vec<String>,
        files: &[PathBuf],
    ) -> Result<Vec<Request>> {
        let modules = modprobe.graph.modules();
        if names.is_empty() && files.is_empty() {
            return Ok((0..modules.len()).map(Request::Module).collect());
        }
        let of_file = |file: &PathBuf| modules.iter().position(|module| module.file.full == *file);
        let mut requests: Vec<Request> =
            files.iter().filter_map(of_file).map(Request::File).collect();
        for name in names {
            if modprobe.lookup(&name).is_empty() {
                let problem = Problem::usage(format!("no module {name} among those read"));
                return Err(problem.hint("name its file, or a directory with --tree DIR"));
            }
            requests.push(Request::Name(name));
        }
        Ok(requests)
    }

    /// The kernel's symbols: the file that was given, or that of the tree's header package.
    fn kernel_symbols(&self) -> Result<Option<Symvers>> {
        if let Some(path) = &self.symvers {
            return read_symvers(path).map(Some);
        }
        let beside = self.tree.as_ref().map(|dir| dir.join("build/Module.symvers"));
        beside.filter(|path| path.exists()).map(|path| read_symvers(&path)).transpose()
    }

    fn print(&self, graph: &Graph, order: &LoadOrder<'_>, choice: &Choice<'_>) -> Result<()> {
        if self.json {
            let twice = exported_twice(graph).into_iter();
            let twice = twice.map(|(symbol, modules)| TwiceForm { symbol, modules });
            let (format, exported_twice) = ("order/2", twice.collect());
            return printer::json(&OrderForm { format, order, exported_twice, choice });
        }
        if self.format != Format::Text {
            let modules: Vec<usize> = order.steps.iter().filter_map(|step| step.index).collect();
            let picture = Picture::new(graph, &modules);
            let picture = if self.all_symbols { picture.with_all_symbols() } else { picture };
            let drawn = if self.format == Format::Dot { picture.dot() } else { picture.svg() };
            printer::text(&drawn);
            return Ok(());
        }
        // At once: a tree has ten thousand lines.
        let text = &mut String::new();
        for (index, step) in order.steps.iter().enumerate() {
            push_step(text, index + 1, step);
        }
        order.idle.iter().for_each(|idle| push_idle(text, idle));
        order.missing.iter().for_each(|missing| push_missing(text, missing));
        for (symbol, modules) in exported_twice(graph) {
            let modules = modules.join(" and ");
            let line = format!(
                "twice    {symbol} is exported by {modules}: the second to load is refused"
            );
            push_line(text, &line);
        }
        choice.lines().for_each(|line| push_line(text, &line));
        printer::text(text);
        Ok(())
    }
}

fn push_step(text: &mut String, number: usize, step: &LoadStep<'_>) {
    let blank = if step.options.is_empty() { "" } else { " " };
    push_line(text, &format!("{number:>4}  {}{blank}{}", step.module, step.options));
    if let Some(command) = &step.install {
        push_line(text, &format!("        instead of it modprobe runs: {command}"));
    }
    for reason in &step.reasons {
        push_line(text, &format!("        {}", reason_text(reason)));
    }
}

fn reason_text(reason: &OrderReason<'_>) -> String {
    let found = |Wanted { modules, built_in, .. }: &Wanted| {
        let built_in = built_in.iter().map(|name| format!("{name} (built in)"));
        let all: Vec<String> = modules.iter().cloned().chain(built_in).collect();
        if all.is_empty() { "not here".to_owned() } else { all.join(", ") }
    };
    match reason {
        OrderReason::Symbols { exporter, symbols } => {
            let symbols: Vec<String> =
                symbols.iter().map(|symbol| SymbolName(*symbol).to_string()).collect();
            format!("after {exporter}: uses {}", symbols.join(", "))
        }
        OrderReason::SoftBefore(soft) => {
            format!("after {}, if it is there (softdep pre): {}", soft.wanted, found(soft))
        }
        OrderReason::SoftAfter(soft) => {
            format!("before {}, if it is there (softdep post): {}", soft.wanted, found(soft))
        }
        OrderReason::SoftIgnored { line } => {
            format!("its softdep \"{line}\" does not count: modprobe takes the first line of all")
        }
        OrderReason::Weak(weak) => {
            format!("may ask for {} later (weakdep): {}", weak.wanted, found(weak))
        }
    }
}

fn push_idle(text: &mut String, idle: &Idle) {
    let Idle { requested, module, reason } = idle;
    let name =
        if requested == module { module.clone() } else { format!("{module} for {requested}") };
    let line = match reason {
        IdleReason::BuiltIn => {
            format!("nothing  {name} is built in: modprobe does nothing, and succeeds")
        }
        IdleReason::Blacklisted => format!(
            "nothing  {name} is blacklisted, and was asked for by an alias: modprobe does nothing, \
             and succeeds"
        ),
        IdleReason::NoFile => format!(
            "refused  {name} has no file: modprobe fails, and does not ask the kernel (could not \
             find module by name='{module}')"
        ),
    };
    push_line(text, &line);
}

fn warn_of_line(ignored: &IgnoredLine) {
    let IgnoredLine { file, line, word } = ignored;
    let said =
        format!("{file} line {line}: modprobe ignores this line, which begins with '{word}'");
    errln!("{}", Name(said.as_bytes()));
}

fn push_missing(text: &mut String, missing: &MissingDependency<'_>) {
    let MissingDependency { module, symbol, provider, weak } = missing;
    let what = match (symbol, provider) {
        (Some(symbol), Some(provider)) => format!("{symbol}, which {provider} exports"),
        (Some(symbol), None) => format!("{symbol}, which nobody exports"),
        (None, provider) => format!("the module {}", provider.as_deref().unwrap_or("?")),
    };
    let end = if *weak { ", but does without it" } else { "" };
    push_line(text, &format!("missing  {module} needs {what}{end}"));
}

/// Adds a line that no name in it ends.
fn push_line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", Name(line.as_bytes()));
}

/// Fails if a line of depmod's files cannot hold what a module brings: kmod reads a blank and a
/// line's end as what ends a name, and an index of more than ASCII is written by no depmod.
fn refuse_names(graph: &Graph) -> Result<()> {
    for ScannedModule { file, info } in graph.modules() {
        if !file.path.chars().all(|c| c.is_ascii_graphic() && c != ':') {
            let fact = format!(
                "{}: no line of depmod's files can hold this name",
                Path::new(&file.path).shown()
            );
            return Err(Problem::does_not_hold(fact).hint("rename it: blanks end a name there"));
        }
        let mut values = info.softdeps.iter().chain(info.weakdeps.iter());
        if values.any(|value| value.spelled().contains(is_command)) {
            let fact = format!("{}: no line of depmod's files can hold its .modinfo", file.path);
            return Err(Problem::does_not_hold(fact).hint("look at it: cargo xtask inspect FILE"));
        }
    }
    Ok(())
}

fn cyclic(cycles: &[Cycle]) -> Problem {
    let cycles: Vec<String> = cycles.iter().map(ToString::to_string).collect();
    Problem::does_not_hold(cycles.join("\n"))
        .hint("none of these can be loaded: move what both sides need into a module of its own")
}
