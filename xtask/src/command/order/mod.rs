//! `order`: which module loads before which, and why.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::tree::abi_files::read_symvers;
use crate::tree::aliases::modules_alias;
use crate::tree::picture::Picture;
use crate::tree::scan::{TreeScan, scan, scan_cached};
use crate::tree::scan_cache;
use crate::tree::walk::{self, FoundModules};
use crate::{
    build::BuiltStack,
    command::{KernelArg, StackArg},
    host::{cache::Cache, file_system::read_given_text},
    printer::{self, Shown as _},
    problem::{Problem, Result},
};
use clap::ValueEnum;
use ko::text::{Name, SymbolName, Text, is_command};
use serde::Serialize;
use stack::depmod_config::DepmodConfig;
use stack::graph::{Cycle, Graph, ScannedModule};
use stack::load_order::{
    LoadOrder, LoadStep, MissingDependency, OrderReason, Wanted, exported_twice, load_order,
};
use stack::modprobe_config::ModprobeConfig;
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
    /// A depmod.d file: search, override, external, exclude
    #[arg(long, value_name = "FILE")]
    depmod_config: Vec<PathBuf>,
    /// A modprobe.d file: alias, softdep, install, options
    #[arg(long, value_name = "FILE")]
    modprobe_config: Vec<PathBuf>,
    /// Words of the kernel's command line, which may have parameters: MODULE.NAME=VALUE
    #[arg(long, value_name = "WORDS", default_value = "")]
    cmdline: String,
    /// What to print
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

/// The forms of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each module with its reasons
    Text,
    /// What depmod writes
    #[value(name = "modules.dep")]
    ModulesDep,
    /// The aliases, as depmod writes them
    #[value(name = "modules.alias")]
    ModulesAlias,
    /// The soft dependencies, as depmod writes them
    #[value(name = "modules.softdep")]
    ModulesSoftdep,
    /// The weak dependencies, as depmod writes them
    #[value(name = "modules.weakdep")]
    ModulesWeakdep,
    /// The stack for Graphviz
    Dot,
    /// The stack as a picture
    Svg,
}

/// The documented form of `order --json`.
#[derive(Serialize)]
struct OrderForm<'a> {
    format: &'static str,
    #[serde(flatten)]
    order: &'a LoadOrder<'a>,
    exported_twice: Vec<TwiceForm<'a>>,
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
        if self.tree.is_none() && files.is_empty() {
            self.take_the_stack()?;
        }
        let outcome = self.read(&files)?;
        super::report_unreadable(&outcome.unreadable);
        let mut holds = outcome.unreadable.is_empty();
        let graph = Graph::new(outcome.modules);
        if let Some(text) = self.depmod_file(&graph)? {
            printer::bytes(&text);
            return Ok(ExitCode::from(u8::from(!holds)));
        }
        let config = self.modprobe_config()?;
        let wanted = self.wanted(&graph, &config, &names, &files)?;
        let kernel = self.kernel_symbols()?;
        let order = load_order(&graph, &wanted, kernel.as_ref(), &config)
            .map_err(|cycles| cyclic(&cycles))?;
        holds &= order.missing.iter().all(|missing| missing.weak);
        self.print(&graph, &order)?;
        Ok(ExitCode::from(u8::from(!holds)))
    }

    /// The file of depmod's that was asked for.
    fn depmod_file(&self, graph: &Graph) -> Result<Option<Vec<u8>>> {
        if !matches!(self.format, Format::Text | Format::Dot | Format::Svg) {
            refuse_names(graph)?;
        }
        Ok(Some(match self.format {
            Format::ModulesDep => {
                modules_dep::write(graph).map_err(|cycles| cyclic(&cycles))?.into_bytes()
            }
            Format::ModulesAlias => {
                let files = graph.modules().iter().map(|module| module.file.clone());
                modules_alias(&files.collect::<Vec<_>>()).0
            }
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
        self.tree = Some(built.build_dir.folder);
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
        let config = self.config(dir)?;
        let FoundModules { modules: mut all, unreadable } = walk::some_modules(dir, &config)?;
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
        Ok(outcome)
    }

    fn config(&self, dir: &Path) -> Result<DepmodConfig> {
        let release = dir.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let mut config = DepmodConfig::default();
        for path in &self.depmod_config {
            config = config.with_file(&read_given_text(path)?, &release).map_err(|error| {
                let problem = Problem::usage(format!("{}: {error}", path.shown()));
                problem.hint("write it as a POSIX extended regular expression, or as *")
            })?;
        }
        Ok(config)
    }

    fn modprobe_config(&self) -> Result<ModprobeConfig> {
        let mut config = ModprobeConfig::default();
        for path in &self.modprobe_config {
            config = config.with_file(&read_given_text(path)?);
        }
        Ok(config.with_command_line(&self.cmdline))
    }

    fn wanted(
        &self,
        graph: &Graph,
        config: &ModprobeConfig,
        names: &[String],
        files: &[PathBuf],
    ) -> Result<Vec<usize>> {
        if names.is_empty() && files.is_empty() {
            return Ok((0..graph.modules().len()).collect());
        }
        let of_file =
            |file: &PathBuf| graph.modules().iter().position(|module| module.file.full == *file);
        let mut wanted: Vec<usize> = files.iter().filter_map(of_file).collect();
        for name in names {
            let found = config.lookup(graph, name);
            if found.is_empty() && !config.is_off(name) {
                let problem = Problem::usage(format!("no module {name} among those read"));
                return Err(problem.hint("name its file, or a directory with --tree DIR"));
            }
            wanted.extend(found);
        }
        Ok(wanted)
    }

    /// The kernel's symbols: the file that was given, or that of the tree's header package.
    fn kernel_symbols(&self) -> Result<Option<Symvers>> {
        if let Some(path) = &self.symvers {
            return read_symvers(path).map(Some);
        }
        let beside = self.tree.as_ref().map(|dir| dir.join("build/Module.symvers"));
        beside.filter(|path| path.exists()).map(|path| read_symvers(&path)).transpose()
    }

    fn print(&self, graph: &Graph, order: &LoadOrder<'_>) -> Result<()> {
        if self.json {
            let twice = exported_twice(graph).into_iter();
            let twice = twice.map(|(symbol, modules)| TwiceForm { symbol, modules });
            let (format, exported_twice) = ("order/1", twice.collect());
            return printer::json(&OrderForm { format, order, exported_twice });
        }
        if self.format != Format::Text {
            let modules: Vec<usize> = order.steps.iter().map(|step| step.index).collect();
            let picture = Picture::new(graph, &modules);
            let picture = if self.all_symbols { picture.with_all_symbols() } else { picture };
            let drawn = if self.format == Format::Dot { picture.dot() } else { picture.svg() };
            printer::text(&drawn);
            return Ok(());
        }
        for (index, step) in order.steps.iter().enumerate() {
            print_step(index + 1, step);
        }
        order.missing.iter().for_each(print_missing);
        for (symbol, modules) in exported_twice(graph) {
            let modules = modules.join(" and ");
            print_line(&format!(
                "twice    {symbol} is exported by {modules}: the second to load is refused"
            ));
        }
        Ok(())
    }
}

fn print_step(number: usize, step: &LoadStep<'_>) {
    let blank = if step.options.is_empty() { "" } else { " " };
    print_line(&format!("{number:>4}  {}{blank}{}", step.module, step.options));
    if let Some(command) = step.install {
        print_line(&format!("        instead of it modprobe runs: {command}"));
    }
    for reason in &step.reasons {
        print_line(&format!("        {}", reason_text(reason)));
    }
}

fn reason_text(reason: &OrderReason<'_>) -> String {
    let found = |modules: &[&str]| match modules {
        [] => "not here".to_owned(),
        modules => modules.join(", "),
    };
    match reason {
        OrderReason::Symbols { exporter, symbols } => {
            let symbols: Vec<String> =
                symbols.iter().map(|symbol| SymbolName(*symbol).to_string()).collect();
            format!("after {exporter}: uses {}", symbols.join(", "))
        }
        OrderReason::SoftBefore(Wanted { wanted, modules }) => {
            format!("after {wanted}, if it is there (softdep pre): {}", found(modules))
        }
        OrderReason::SoftAfter(Wanted { wanted, modules }) => {
            format!("before {wanted}, if it is there (softdep post): {}", found(modules))
        }
        OrderReason::Weak(Wanted { wanted, modules }) => {
            format!("may ask for {wanted} later (weakdep): {}", found(modules))
        }
    }
}

fn print_missing(missing: &MissingDependency<'_>) {
    let MissingDependency { module, symbol, provider, weak } = missing;
    let what = match (symbol, provider) {
        (Some(symbol), Some(provider)) => format!("{symbol}, which {provider} exports"),
        (Some(symbol), None) => format!("{symbol}, which nobody exports"),
        (None, provider) => format!("the module {}", provider.as_deref().unwrap_or("?")),
    };
    let end = if *weak { ", but does without it" } else { "" };
    print_line(&format!("missing  {module} needs {what}{end}"));
}

/// Prints a line that no name in it ends.
fn print_line(line: &str) {
    outln!("{}", Name(line.as_bytes()));
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
