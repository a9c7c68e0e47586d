//! The graph of the modules of a tree and their needs, as depmod sees it.

use std::collections::{HashMap, VecDeque};

use ko::text::{SymbolName, Text};

use crate::{
    dependency_info::{DependencyInfo, Names},
    fnmatch::fnmatch,
    modprobe_config::underscores,
    module_file::{ModuleFile, Stamp},
    module_name::ModuleName,
};

/// A fast hash. The standard library's costs 3 % of the time of an unpacked tree.
///
/// It is the same in every run, so no run can show that an output depends on the order of a map:
/// nothing that is printed may come out of one unsorted.
pub(crate) type Hash = foldhash::fast::FixedState;

/// One module file with its dependency information.
#[derive(Clone, Debug)]
pub struct ScannedModule {
    /// The file.
    pub file: ModuleFile,
    /// Its exports, needs, soft dependencies and aliases.
    pub info: DependencyInfo,
}

impl ScannedModule {
    /// A module without a file, by its name.
    pub fn without_file(name: &str, info: DependencyInfo) -> Self {
        let path = format!("{name}.ko");
        let full = path.clone().into();
        Self {
            file: ModuleFile { name: ModuleName::new(name), full, path, stamp: Stamp::default() },
            info,
        }
    }
}

/// Why one module needs another: it uses symbols of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The index of the exporter.
    pub to: usize,
    /// The number of the exporter's symbols that the importer needs.
    pub symbols: usize,
}

/// The modules of a tree, and the edge from each module to every exporter of what it needs.
#[derive(Debug)]
pub struct Graph {
    modules: Vec<ScannedModule>,
    /// The edges of each module, in the order in which its needs first name the exporters.
    edges: Vec<Vec<Edge>>,
    by_name: HashMap<ModuleName, usize, Hash>,
}

/// Modules that need each other: none of them can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dependency cycle: {}", .0.join(" -> "))]
pub struct Cycle(pub Vec<String>);

impl Graph {
    /// Joins each need to its exporter. Where two modules export a symbol, the later one counts, as
    /// in depmod (`depmod_symbol_add()`, kmod's `tools/depmod.c`); the kernel refuses the second.
    pub fn new(modules: Vec<ScannedModule>) -> Self {
        let mut exporters: HashMap<&[u8], usize, Hash> = HashMap::default();
        for (index, module) in modules.iter().enumerate() {
            exporters.extend(module.info.exported().map(|name| (name.bytes(), index)));
        }
        let mut places = vec![(usize::MAX, 0); modules.len()];
        let edges = modules.iter().enumerate();
        let edges = edges.map(|one| edges_of(one, &exporters, &mut places)).collect();
        let name = |(index, module): (usize, &ScannedModule)| (module.file.name.clone(), index);
        let by_name = modules.iter().enumerate().map(name).collect();
        Self { modules, edges, by_name }
    }

    /// The modules, in the order of the tree.
    pub fn modules(&self) -> &[ScannedModule] {
        &self.modules
    }

    /// Their files.
    pub fn files(&self) -> Vec<ModuleFile> {
        self.modules.iter().map(|module| module.file.clone()).collect()
    }

    /// The module of this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The modules with an alias that matches a name, once for each such alias. `bus_aliases` has
    /// for each module the aliases that are not part of what is known of it. An alias in which
    /// brackets do not pair is none.
    pub fn with_alias(&self, name: &str, bus_aliases: &[Names]) -> Vec<usize> {
        let is_for = |alias: &Text<'_>| {
            underscores(&alias.lossy())
                .is_some_and(|alias| fnmatch(alias.as_bytes(), name.as_bytes()))
        };
        let of = |index: usize| {
            let more = bus_aliases.get(index).into_iter().flat_map(Names::iter);
            let all = self.modules[index].info.aliases.iter().chain(more);
            std::iter::repeat_n(index, all.filter(is_for).count())
        };
        (0..self.modules.len()).flat_map(of).collect()
    }

    /// The module that exports a symbol: the last one, where several do.
    pub fn exporter(&self, symbol: &str) -> Option<usize> {
        let has = |module: &ScannedModule| module.info.exports.iter().any(|name| name == symbol);
        self.modules.iter().rposition(has)
    }

    /// The name of a module.
    pub fn name(&self, index: usize) -> &str {
        &self.modules[index].file.name
    }

    /// Returns the direct needs of a module.
    pub fn edges(&self, index: usize) -> &[Edge] {
        &self.edges[index]
    }

    /// The symbols for which one module needs another, in the order of their names as a reader
    /// sees them.
    ///
    /// The importer's own order follows a crate's hash, which differs from one folder of a build
    /// to another.
    pub fn symbols(&self, from: usize, to: usize) -> Vec<Text<'_>> {
        let offered: std::collections::HashSet<Text<'_>> =
            self.modules[to].info.exports.iter().collect();
        let needs = self.modules[from].info.needs.iter();
        let mut symbols: Vec<Text<'_>> = needs.filter(|need| offered.contains(need)).collect();
        symbols.sort_by_cached_key(|symbol| SymbolName(*symbol).to_string());
        symbols
    }

    /// The exporters of each symbol.
    pub fn exporters(&self) -> HashMap<Text<'_>, Vec<usize>, Hash> {
        let mut exporters: HashMap<Text<'_>, Vec<usize>, Hash> = HashMap::default();
        for (index, module) in self.modules.iter().enumerate() {
            for symbol in module.info.exports.iter() {
                exporters.entry(symbol).or_default().push(index);
            }
        }
        exporters
    }

    /// The place of each module in depmod's own sequence, in which users come before what they use
    /// (`depmod_calculate_dependencies()`).
    ///
    /// # Errors
    /// The cycles, when there are any.
    pub fn users_first(&self) -> Result<Vec<usize>, Vec<Cycle>> {
        let mut users = vec![0usize; self.modules.len()];
        self.edges.iter().flatten().for_each(|edge| users[edge.to] += 1);
        let mut roots: Vec<usize> = (0..users.len()).filter(|&index| users[index] == 0).collect();
        let mut rank = vec![usize::MAX; users.len()];
        let mut ranked = 0;
        while let Some(index) = roots.pop() {
            rank[index] = ranked;
            ranked += 1;
            for edge in &self.edges[index] {
                users[edge.to] -= 1;
                if users[edge.to] == 0 {
                    roots.push(edge.to);
                }
            }
        }
        if ranked == rank.len() { Ok(rank) } else { Err(self.cycles(&rank)) }
    }

    /// All that a module needs, directly or not.
    pub fn closure(&self, index: usize) -> Vec<usize> {
        let mut seen = Vec::new();
        let mut is_seen = vec![false; self.modules.len()];
        let mut open = vec![index];
        while let Some(at) = open.pop() {
            for edge in &self.edges[at] {
                if !std::mem::replace(&mut is_seen[edge.to], true) {
                    seen.push(edge.to);
                    open.push(edge.to);
                }
            }
        }
        seen
    }

    /// The shortest cycle through each module that is on one, each cycle once.
    fn cycles(&self, rank: &[usize]) -> Vec<Cycle> {
        let mut covered = vec![false; self.modules.len()];
        let mut cycles = Vec::new();
        let mut unranked: Vec<usize> =
            (0..rank.len()).filter(|&index| rank[index] == usize::MAX).collect();
        unranked.sort_by_key(|&index| self.name(index));
        for start in unranked {
            if covered[start] {
                continue;
            }
            if let Some(path) = self.shortest_cycle(start) {
                path.iter().for_each(|&index| covered[index] = true);
                cycles.push(Cycle(path.iter().map(|&i| self.name(i).to_owned()).collect()));
            }
        }
        cycles
    }

    /// The shortest way from a module back to itself, with it at both ends.
    fn shortest_cycle(&self, start: usize) -> Option<Vec<usize>> {
        let mut before = vec![usize::MAX; self.modules.len()];
        let mut open = VecDeque::from([start]);
        while let Some(at) = open.pop_front() {
            for edge in &self.edges[at] {
                if edge.to == start {
                    return Some(way_back(&before, start, at));
                }
                if before[edge.to] == usize::MAX {
                    before[edge.to] = at;
                    open.push_back(edge.to);
                }
            }
        }
        None
    }
}

fn way_back(before: &[usize], start: usize, last: usize) -> Vec<usize> {
    let mut path = vec![start];
    let mut at = last;
    while at != start {
        path.push(at);
        at = before[at];
    }
    path.push(start);
    path.reverse();
    path
}

/// The edges of a module. `places` has room for each exporter: the user whose edge to it was found
/// last, and the place of that edge.
fn edges_of(
    (index, module): (usize, &ScannedModule),
    exporters: &HashMap<&[u8], usize, Hash>,
    places: &mut [(usize, usize)],
) -> Vec<Edge> {
    let mut edges: Vec<Edge> = Vec::new();
    for need in module.info.needs.iter() {
        // On ppc64 `.foo` is the code of `foo`.
        let name = need.strip_prefix(".").unwrap_or(need);
        let Some(&to) = exporters.get(name.bytes()) else { continue };
        if places[to].0 == index {
            edges[places[to].1].symbols += 1;
        } else {
            places[to] = (index, edges.len());
            edges.push(Edge { to, symbols: 1 });
        }
    }
    edges
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A module with what it exports and what it needs.
    pub(crate) fn module(name: &str, exports: &[&str], needs: &[&str]) -> ScannedModule {
        let mut info = DependencyInfo::default();
        exports.iter().for_each(|symbol| info.exports.push(symbol.as_bytes()));
        needs.iter().for_each(|symbol| info.needs.push(symbol.as_bytes()));
        ScannedModule::without_file(name, info)
    }

    #[test]
    fn users_come_before_what_they_use() {
        let graph = Graph::new(vec![
            module("base", &["b"], &[]),
            module("middle", &["m"], &["b", "printk"]),
            module("top", &[], &["m", "b"]),
        ]);
        assert_eq!(graph.users_first().unwrap(), [2, 1, 0]);
        assert_eq!(graph.closure(2).len(), 2);
        assert_eq!(graph.edges(2), [Edge { to: 1, symbols: 1 }, Edge { to: 0, symbols: 1 }]);
    }

    #[test]
    fn symbols_come_in_the_order_of_what_a_reader_sees() {
        let exports = ["_RNvCsa_6ticket6weight", "ticket_abi_0", "_RNvCsb_6ticket4draw", "art"];
        let needs = ["ticket_abi_0", exports[0], "art", exports[2]];
        let graph = Graph::new(vec![module("ticket", &exports, &[]), module("user", &[], &needs)]);
        let symbols = graph.symbols(1, 0);
        let seen: Vec<_> = symbols.iter().map(|symbol| SymbolName(*symbol).to_string()).collect();
        assert_eq!(seen, ["art", "ticket::draw", "ticket::weight", "ticket_abi_0"]);
    }

    #[test]
    fn each_cycle_is_named_once_and_in_full() {
        let graph = Graph::new(vec![
            module("c", &["c"], &["a"]),
            module("a", &["a"], &["b"]),
            module("b", &["b"], &["c"]),
            module("user", &[], &["a"]),
            module("self", &["s"], &["s"]),
            module("y", &["y"], &["z"]),
            module("z", &["z"], &["y"]),
        ]);
        let cycles: Vec<_> =
            graph.users_first().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            cycles,
            [
                "dependency cycle: a -> b -> c -> a",
                "dependency cycle: self -> self",
                "dependency cycle: y -> z -> y",
            ]
        );
    }
}
