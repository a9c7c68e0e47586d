//! The order in which modules load, and the reason for each place.
//!
//! The order is modprobe's: what a module needs comes before it, and so do its `pre:` soft
//! dependencies; its `post:` ones come after it (`__kmod_module_get_probe_list()` and
//! `__kmod_module_fill_softdep()`, libkmod's `libkmod-module.c`).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    graph::{Edge, Graph, Hash, ScannedModule},
    modprobe::{Action, ActionKind, Found, Modprobe, Outcome},
    modprobe_config::Softdep,
    module_name::ModuleName,
    symvers::{Symvers, VMLINUX},
};
use ko::text::Text;
use serde::Serialize;

/// One module, at its place in the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadStep<'g> {
    /// Its index in the graph; none where only an `install` line knows the name.
    #[serde(skip)]
    pub index: Option<usize>,
    /// The module's name.
    pub module: String,
    /// Its file.
    pub path: Option<&'g str>,
    /// The command that modprobe runs instead of loading it (`install` in modprobe.d).
    pub install: Option<String>,
    /// The parameters that it is given (`options` in modprobe.d).
    pub options: String,
    /// `true` if modprobe goes on when it fails: only soft dependencies ask for it.
    pub optional: bool,
    /// Every edge to another module: why it stands at this place.
    pub reasons: Vec<OrderReason<'g>>,
}

/// One edge of the graph, from the module that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OrderReason<'g> {
    /// It uses symbols of another module, which has to be there first.
    Symbols {
        /// The exporter.
        exporter: &'g str,
        /// The symbols, in the order of the importer's symbol table.
        symbols: Vec<Text<'g>>,
    },
    /// It wants another module before it, if there is one (`softdep=pre:`).
    SoftBefore(Wanted),
    /// It wants another module after it, if there is one (`softdep=post:`).
    SoftAfter(Wanted),
    /// A soft dependency of its own that does not count: for a module modprobe takes the first line
    /// of all.
    SoftIgnored {
        /// The value of `softdep=`.
        line: Text<'g>,
    },
    /// It may ask for another module when it runs (`weakdep=`): nothing is loaded for that.
    Weak(Wanted),
}

/// A module that another one names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// A module's name or an alias.
    pub wanted: String,
    /// The modules that answer to it, by a file or by an `install` line.
    pub modules: Vec<String>,
    /// Those that the kernel has built in.
    pub built_in: Vec<String>,
}

/// A module that was asked for, and for which nothing is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Idle {
    /// The name that was asked for.
    pub requested: String,
    /// The module that it stands for.
    pub module: String,
    /// Why.
    pub reason: IdleReason,
}

/// Why nothing is loaded for a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdleReason {
    /// It is built in: modprobe has nothing to do, and succeeds.
    BuiltIn,
    /// It was asked for by an alias, and `blacklist` names it: modprobe skips it, and succeeds.
    Blacklisted,
    /// An `alias` line names a module that has no file: modprobe fails.
    NoFile,
}

/// A need that no module of the graph meets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MissingDependency<'g> {
    /// The module that has the need.
    pub module: &'g str,
    /// The symbol; none where only `depends=` names the absent module.
    pub symbol: Option<Text<'g>>,
    /// The module that exported it when this one was built, if known.
    pub provider: Option<String>,
    /// `true` if the module loads without it: the symbol is weak.
    pub weak: bool,
}

/// A load order with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadOrder<'g> {
    /// The modules, first to last.
    pub steps: Vec<LoadStep<'g>>,
    /// The requests for which nothing is loaded.
    pub idle: Vec<Idle>,
    /// The symbols and modules that neither the graph nor the kernel has.
    pub missing: Vec<MissingDependency<'g>>,
}

/// One thing to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// All modules that answer to a name or an alias.
    Name(String),
    /// The module of the graph with this index, by its own name.
    Module(usize),
    /// The same, by its path: it is not looked for among what is built in.
    File(usize),
}

/// Puts modules and everything that they need into modprobe's order. A name that no module answers
/// to adds nothing.
pub fn load_order<'g>(
    modprobe: &Modprobe<'g>,
    requests: &[Request],
    kernel: Option<&Symvers>,
) -> LoadOrder<'g> {
    let mut placing = Placing { modprobe, placed: HashSet::default(), steps: vec![], idle: vec![] };
    for request in requests {
        let (index, by_path) = match request {
            Request::Name(name) => {
                for probe in modprobe.request(name, false) {
                    placing.take(name, &probe.found.name, probe.outcome);
                }
                continue;
            }
            Request::Module(index) => (*index, false),
            Request::File(index) => (*index, true),
        };
        let name = modprobe.graph.name(index);
        // A module that is loaded already is not asked for again, whatever it would bring along.
        if !placing.placed.contains(name) {
            placing.take(name, name, modprobe.insert(index, by_path));
        }
    }
    let indexes: Vec<usize> = placing.steps.iter().filter_map(|step| step.index).collect();
    let missing = missing(modprobe.graph, &indexes, kernel);
    LoadOrder { steps: placing.steps, idle: placing.idle, missing }
}

/// The steps so far.
struct Placing<'m, 'g> {
    modprobe: &'m Modprobe<'g>,
    placed: HashSet<String, Hash>,
    steps: Vec<LoadStep<'g>>,
    idle: Vec<Idle>,
}

impl Placing<'_, '_> {
    /// Adds what is done for a module that a name stands for.
    fn take(&mut self, requested: &str, module: &str, outcome: Outcome) {
        let idle = |reason| {
            let (requested, module) = (requested.to_owned(), module.to_owned());
            Idle { requested, module, reason }
        };
        let actions = match outcome {
            Outcome::BuiltIn => return self.idle.push(idle(IdleReason::BuiltIn)),
            Outcome::Blacklisted => return self.idle.push(idle(IdleReason::Blacklisted)),
            Outcome::Actions(actions) => actions,
        };
        for action in actions {
            match action.kind {
                // modprobe ends here, and does not ask the kernel.
                ActionKind::NoFile if action.required => {
                    return self.idle.push(idle(IdleReason::NoFile));
                }
                ActionKind::NoFile | ActionKind::BuiltIn => {}
                _ if self.placed.insert(action.name.clone()) => {
                    self.steps.push(step(self.modprobe, action));
                }
                _ => {}
            }
        }
    }
}

fn step<'g>(modprobe: &Modprobe<'g>, action: Action) -> LoadStep<'g> {
    let Action { name: module, kind, options, required } = action;
    let index = modprobe.graph.index_of(&module);
    let install = match kind {
        ActionKind::Install(command) => Some(command),
        _ => None,
    };
    let (mut path, mut reasons) = (None, Vec::new());
    if let Some(index) = index {
        path = Some(modprobe.graph.modules()[index].file.path.as_str());
        reasons = symbol_reasons(modprobe.graph, index);
    }
    reasons.extend(soft_reasons(modprobe, &module, index));
    LoadStep { index, module, path, install, options, optional: !required, reasons }
}

fn symbol_reasons(graph: &Graph, index: usize) -> Vec<OrderReason<'_>> {
    let symbols = |edge: &Edge| OrderReason::Symbols {
        exporter: graph.name(edge.to),
        symbols: graph.symbols(index, edge.to),
    };
    graph.edges(index).iter().map(symbols).collect()
}

/// The soft dependencies that count for a module, the lines of its own that do not, and its weak
/// dependencies.
fn soft_reasons<'g>(
    modprobe: &Modprobe<'g>,
    module: &str,
    index: Option<usize>,
) -> Vec<OrderReason<'g>> {
    let wanted = |wanted: &String| {
        let found = modprobe.known(wanted);
        let is_built_in = |found: &&Found| modprobe.is_built_in(found);
        let (built_in, others): (Vec<&Found>, Vec<&Found>) = found.iter().partition(is_built_in);
        let is_there = |found: &&Found| modprobe.is_there(&found.name);
        let names =
            |found: Vec<&Found>| found.into_iter().map(|found| found.name.clone()).collect();
        let modules = names(others.into_iter().filter(is_there).collect());
        Wanted { wanted: wanted.clone(), modules, built_in: names(built_in) }
    };
    let mut reasons = Vec::new();
    let effective = modprobe.config.softdeps.get(module);
    if let Some(Softdep { pre, post }) = effective {
        reasons.extend(pre.iter().map(wanted).map(OrderReason::SoftBefore));
        reasons.extend(post.iter().map(wanted).map(OrderReason::SoftAfter));
    }
    let mut weak: Vec<String> = modprobe.config.weakdeps.get(module).cloned().unwrap_or_default();
    if let Some(index) = index {
        let info = &modprobe.graph.modules()[index].info;
        let own = info.softdeps.iter();
        let unused = own.filter(|own| effective != Some(&Softdep::parse(&own.lossy())));
        reasons.extend(unused.map(|line| OrderReason::SoftIgnored { line }));
        let more = info.weak_modules().map(|name| name.lossy().into_owned());
        let more: Vec<String> = more.filter(|name| !weak.contains(name)).collect();
        weak.extend(more);
    }
    reasons.extend(weak.iter().map(wanted).map(OrderReason::Weak));
    reasons
}

/// The needs that no module of the graph meets.
///
/// With the kernel's Module.symvers every symbol has a known origin. Without it only `depends=`
/// names an absent module.
fn missing<'g>(
    graph: &'g Graph,
    steps: &[usize],
    kernel: Option<&Symvers>,
) -> Vec<MissingDependency<'g>> {
    let exporters = graph.exporters();
    let modules = steps.iter().map(|&index| &graph.modules()[index]);
    let mut missing: Vec<_> = match kernel {
        Some(kernel) => {
            modules.flat_map(|module| missing_symbols(module, &exporters, kernel)).collect()
        }
        None => modules.flat_map(|module| missing_modules(graph, module)).collect(),
    };
    missing.sort();
    missing.dedup();
    missing
}

fn missing_symbols<'g>(
    module: &'g ScannedModule,
    exporters: &HashMap<Text<'g>, Vec<usize>, Hash>,
    kernel: &Symvers,
) -> impl Iterator<Item = MissingDependency<'g>> {
    let absent = module.info.needs.iter().filter(|need| !exporters.contains_key(need));
    absent.filter_map(|symbol| {
        let name = symbol.lossy();
        let provider = match kernel.get(&name) {
            Some(entry) if entry.module == VMLINUX => return None,
            Some(entry) => Some(entry.module_name().to_string()),
            // The loader itself answers for these.
            None if IMPLIED.contains(&name.as_ref()) => return None,
            None => None,
        };
        let weak = module.info.is_weak(symbol);
        let module = &*module.file.name;
        Some(MissingDependency { module, symbol: Some(symbol), provider, weak })
    })
}

/// `module_layout` stands in `__versions` only, and is vmlinux's; x86's linker may ask for the
/// other (`simplify_symbols()`, `kernel/module/main.c`).
const IMPLIED: [&str; 2] = ["module_layout", "_GLOBAL_OFFSET_TABLE_"];

fn missing_modules<'g>(
    graph: &Graph,
    module: &'g ScannedModule,
) -> impl Iterator<Item = MissingDependency<'g>> {
    let names = module.info.depends.iter().map(|name| name.lossy().into_owned());
    let absent = names.filter(|name| graph.index_of(&ModuleName::new(name)).is_none());
    absent.map(|provider| MissingDependency {
        module: &module.file.name,
        symbol: None,
        provider: Some(provider),
        weak: false,
    })
}

/// The symbols that more than one module exports: the kernel refuses the second module
/// (`verify_exported_symbols()`, `kernel/module/main.c`).
pub fn exported_twice(graph: &Graph) -> BTreeMap<Text<'_>, Vec<&str>> {
    let twice = graph.exporters().into_iter().filter(|(_, modules)| modules.len() > 1);
    twice.map(|(s, modules)| (s, modules.iter().map(|&i| graph.name(i)).collect())).collect()
}

/// `true` if in this sequence every module comes after all that it uses.
pub fn is_load_order(graph: &Graph, sequence: &[usize]) -> bool {
    let mut loaded = HashSet::new();
    sequence.iter().all(|&index| {
        let ready = graph.edges(index).iter().all(|edge| loaded.contains(&edge.to));
        loaded.insert(index);
        ready
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::module;

    fn soft(mut module: ScannedModule, softdep: &str) -> ScannedModule {
        module.info.softdeps.push(softdep.as_bytes());
        module
    }

    fn names(graph: &Graph, wanted: &str) -> Vec<String> {
        let modprobe = Modprobe::unconfigured(graph).unwrap();
        let order = load_order(&modprobe, &[Request::Name(wanted.to_owned())], None);
        order.steps.iter().map(|step| step.module.clone()).collect()
    }

    #[test]
    fn needs_come_first_and_soft_dependencies_around() {
        let mut crypto = module("sha_generic", &[], &[]);
        crypto.info.aliases.push(b"crypto-sha*");
        let graph = Graph::new(vec![
            soft(module("top", &[], &["m"]), "pre: crypto_sha256 post: after absent"),
            module("middle", &["m"], &["b"]),
            module("base", &["b"], &[]),
            module("after", &[], &[]),
            crypto,
        ]);
        assert_eq!(names(&graph, "top"), ["base", "middle", "sha_generic", "top", "after"]);
    }

    #[test]
    fn soft_dependencies_on_each_other_end() {
        let graph = Graph::new(vec![
            soft(module("a", &[], &[]), "pre: b"),
            soft(module("b", &[], &[]), "pre: a"),
        ]);
        assert_eq!(names(&graph, "a"), ["b", "a"]);
    }

    #[test]
    fn a_missing_export_is_named_with_its_symbol() {
        let graph = Graph::new(vec![module("top", &[], &["gone", "printk", "moved"])]);
        let kernel = Symvers::parse(
            "0x0\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x0\tmoved\tdrivers/other\tEXPORT_SYMBOL\t\n",
        )
        .unwrap();
        let modprobe = Modprobe::unconfigured(&graph).unwrap();
        let order = load_order(&modprobe, &[Request::Module(0)], Some(&kernel));
        let found: Vec<_> = order
            .missing
            .iter()
            .map(|m| (m.symbol.map(|s| s.to_string()), m.provider.as_deref()))
            .collect();
        assert_eq!(found, [(Some("gone".into()), None), (Some("moved".into()), Some("other"))]);
    }

    #[test]
    fn a_module_exported_twice_is_named() {
        let graph = Graph::new(vec![module("a", &["s"], &[]), module("b", &["s"], &[])]);
        assert_eq!(exported_twice(&graph)[&Text(b"s")], ["a", "b"]);
    }
}
