//! What loads before what, and why.
//!
//! The order is modprobe's: what a module needs comes before it, and so do its `pre:` soft
//! dependencies; its `post:` ones come after it (`__kmod_module_get_probe_list()` and
//! `__kmod_module_fill_softdep()`, libkmod's `libkmod-module.c`).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    graph::{Cycle, Graph, ScannedModule},
    modprobe_config::ModprobeConfig,
    module_name::ModuleName,
    symvers::{Symvers, VMLINUX},
};
use ko::text::Text;
use serde::Serialize;

/// One module, at its place in the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadStep<'g> {
    /// Its index in the graph.
    #[serde(skip)]
    pub index: usize,
    /// The module's name.
    pub module: &'g str,
    /// Its file.
    pub path: &'g str,
    /// The command that modprobe runs instead of loading it (`install` in modprobe.d).
    pub install: Option<&'g str>,
    /// The parameters that it is given (`options` in modprobe.d).
    pub options: String,
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
    SoftBefore(Wanted<'g>),
    /// It wants another module after it, if there is one (`softdep=post:`).
    SoftAfter(Wanted<'g>),
    /// It may ask for another module when it runs (`weakdep=`): nothing is loaded for that.
    Weak(Wanted<'g>),
}

/// A module that another one names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted<'g> {
    /// A module's name or an alias.
    pub wanted: Text<'g>,
    /// The modules that answer to it.
    pub modules: Vec<&'g str>,
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
    /// Whether the module loads without it: the symbol is weak.
    pub weak: bool,
}

/// A load order with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadOrder<'g> {
    /// The modules, first to last.
    pub steps: Vec<LoadStep<'g>>,
    /// What no module of the graph and no kernel exports.
    pub missing: Vec<MissingDependency<'g>>,
}

/// Puts modules and everything that they need into modprobe's order, as modprobe.d files say.
///
/// # Errors
/// The cycles among all modules of the graph: depmod refuses such a tree as a whole.
pub fn load_order<'g>(
    graph: &'g Graph,
    wanted: &[usize],
    kernel: Option<&Symvers>,
    config: &'g ModprobeConfig,
) -> Result<LoadOrder<'g>, Vec<Cycle>> {
    let mut sorter = Sorter::new(graph, config)?;
    wanted.iter().for_each(|&index| sorter.visit(index));
    let steps = sorter.steps.iter().map(|&index| step(graph, config, index)).collect();
    let missing = missing(graph, &sorter.steps, kernel);
    Ok(LoadOrder { steps, missing })
}

struct Sorter<'g> {
    graph: &'g Graph,
    config: &'g ModprobeConfig,
    rank: Vec<usize>,
    visited: Vec<bool>,
    placed: Vec<bool>,
    steps: Vec<usize>,
}

impl<'g> Sorter<'g> {
    fn new(graph: &'g Graph, config: &'g ModprobeConfig) -> Result<Self, Vec<Cycle>> {
        let count = graph.modules().len();
        let rank = graph.users_first()?;
        let (visited, placed) = (vec![false; count], vec![false; count]);
        Ok(Self { graph, config, rank, visited, placed, steps: Vec::new() })
    }

    /// Soft dependencies can form long chains, so the tasks are kept on the heap; `visited` ends
    /// their cycles, as a flag does in libkmod.
    fn visit(&mut self, index: usize) {
        let mut open = vec![Task::Visit(index)];
        while let Some(task) = open.pop() {
            match task {
                Task::Visit(index) if self.visited[index] => {}
                Task::Visit(index) => {
                    self.visited[index] = true;
                    let mut needs = self.graph.closure(index);
                    needs.sort_by_key(|&index| self.rank[index]);
                    // The last task pushed runs first: modprobe loads a line from its end.
                    open.push(Task::Fill(index));
                    open.extend(needs.into_iter().map(Task::Fill));
                }
                Task::Fill(index) => {
                    let (pre, post) = soft_modules(self.graph, self.config, index);
                    open.extend(post.into_iter().rev().map(Task::Visit));
                    open.push(Task::Place(index));
                    open.extend(pre.into_iter().rev().map(Task::Visit));
                }
                Task::Place(index) => {
                    if !std::mem::replace(&mut self.placed[index], true) {
                        self.steps.push(index);
                    }
                }
            }
        }
    }
}

/// The modules before and after which a module wants to stand.
fn soft_modules(graph: &Graph, config: &ModprobeConfig, index: usize) -> (Vec<usize>, Vec<usize>) {
    let Some(soft) = config.softdep(graph, index) else { return (Vec::new(), Vec::new()) };
    let all = |names: &[Text<'_>]| {
        names.iter().flat_map(|name| config.lookup(graph, &name.lossy())).collect()
    };
    (all(&soft.pre), all(&soft.post))
}

enum Task {
    Visit(usize),
    Fill(usize),
    Place(usize),
}

fn step<'g>(graph: &'g Graph, config: &'g ModprobeConfig, index: usize) -> LoadStep<'g> {
    let module = &graph.modules()[index];
    let mut reasons: Vec<OrderReason<'_>> = graph
        .edges(index)
        .iter()
        .map(|edge| OrderReason::Symbols {
            exporter: graph.name(edge.to),
            symbols: graph.symbols(index, edge.to),
        })
        .collect();
    let wanted = |wanted: Text<'g>| {
        let modules = config.lookup(graph, &wanted.lossy());
        Wanted { wanted, modules: modules.into_iter().map(|index| graph.name(index)).collect() }
    };
    for soft in config.softdeps(graph, index) {
        reasons.extend(soft.pre.into_iter().map(wanted).map(OrderReason::SoftBefore));
        reasons.extend(soft.post.into_iter().map(wanted).map(OrderReason::SoftAfter));
    }
    reasons.extend(module.info.weak_modules().map(wanted).map(OrderReason::Weak));
    let name = &module.file.name;
    // A module with soft dependencies that are there is loaded in any case
    // (`__kmod_module_fill_softdep()`, libkmod's `libkmod-module.c`).
    let has_soft = soft_modules(graph, config, index) != (Vec::new(), Vec::new());
    let install = config.install_command(name).filter(|_| !has_soft);
    let options = config.options(name);
    LoadStep { index, module: name, path: &module.file.path, install, options, reasons }
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
    exporters: &HashMap<Text<'g>, Vec<usize>>,
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

/// Whether in this sequence every module comes after all that it uses.
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
        let (wanted, config) = (graph.index_of(&ModuleName::new(wanted)), Default::default());
        let order = load_order(graph, &[wanted.unwrap()], None, &config).unwrap();
        order.steps.iter().map(|step| step.module.to_owned()).collect()
    }

    #[test]
    fn what_is_needed_comes_first_and_soft_ones_around() {
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
    fn what_nobody_exports_is_named_with_its_symbol() {
        let graph = Graph::new(vec![module("top", &[], &["gone", "printk", "moved"])]);
        let kernel = Symvers::parse(
            "0x0\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x0\tmoved\tdrivers/other\tEXPORT_SYMBOL\t\n",
        )
        .unwrap();
        let config = ModprobeConfig::default();
        let order = load_order(&graph, &[0], Some(&kernel), &config).unwrap();
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
