//! modprobe: the modules that a name stands for, and the steps for each before the kernel is asked
//! (kmod's `libkmod/libkmod-module.c` and `tools/modprobe.c`).
//!
//! It is long because kmod's steps share one state: a request's aliases, and the modules loaded so
//! far.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
};

use ko::kmod_facts::KmodFacts;

use crate::{
    built_in::BuiltIn,
    dependency_info::{Names, is_apart},
    fnmatch::fnmatch,
    graph::{Cycle, Graph, Hash},
    kmod_rules::KmodRule,
    modprobe_config::{ModprobeConfig, underscores},
    module_name::ModuleName,
};

/// All that modprobe reads: the modules that depmod found, the built-in ones, and the
/// configuration.
pub struct Modprobe<'g> {
    /// The modules.
    pub graph: &'g Graph,
    /// The configuration, with the modules' own soft and weak dependencies.
    pub config: ModprobeConfig,
    /// The modules in the kernel's image.
    pub built_in: BuiltIn,
    rank: Vec<usize>,
    bus_aliases: BusAliases<'g>,
    read_bus_aliases: OnceCell<Vec<Names>>,
    /// The answers to names of soft dependencies, which many modules share.
    known: RefCell<HashMap<String, Vec<Found>, Hash>>,
}

/// Reads the aliases with a bus of every module of the graph. There are ten times as many bytes of
/// them as of everything else, so they are read when a name asks for them.
pub type BusAliases<'g> = &'g dyn Fn() -> Vec<Names>;

/// A module as a name led to it (`struct kmod_module`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name. An `alias` line may name what no file is there for.
    pub name: String,
    /// The alias by which it was found: options and the blacklist look at it.
    pub alias: Option<String>,
    /// `true` if the list of built-in modules led to it; `None` if nothing is known yet.
    built_in: Option<bool>,
    /// The command of the `install` line that led to it.
    command: Option<String>,
}

/// A module that answers to a name, and modprobe's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The module.
    pub found: Found,
    /// The outcome for it.
    pub outcome: Outcome,
}

/// The outcome for one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is done: it is built in.
    BuiltIn,
    /// Nothing is done: it was asked for by an alias, and `blacklist` names it.
    Blacklisted,
    /// These are done, one after the other. A module may come twice, and is then loaded already.
    Actions(Vec<Action>),
}

/// One step of modprobe's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The module's name.
    pub name: String,
    /// The kind of the action.
    pub kind: ActionKind,
    /// The parameters that it is given.
    pub options: String,
    /// `false` if modprobe goes on when it fails: only a soft dependency asks for it.
    pub required: bool,
}

/// The kind of an action for a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// The file of the graph with this index is given to the kernel.
    Insert(usize),
    /// A command is run in its place.
    Install(String),
    /// Nothing: it is built in.
    BuiltIn,
    /// There is no such file: modprobe fails, unless the module is only a soft dependency.
    NoFile,
}

impl<'g> Modprobe<'g> {
    /// A modprobe for a tree.
    ///
    /// # Errors
    /// The cycles among all modules of the graph: depmod refuses such a tree as a whole.
    pub fn new(
        graph: &'g Graph,
        config: ModprobeConfig,
        built_in: BuiltIn,
    ) -> Result<Self, Vec<Cycle>> {
        let (read_bus_aliases, known) = (OnceCell::new(), RefCell::default());
        let (rank, bus_aliases) = (graph.users_first()?, &Vec::new as BusAliases<'_>);
        Ok(Self { graph, config, built_in, rank, bus_aliases, read_bus_aliases, known })
    }

    /// A modprobe for a tree without any configuration.
    ///
    /// # Errors
    /// The cycles among all modules of the graph.
    pub fn unconfigured(graph: &'g Graph) -> Result<Self, Vec<Cycle>> {
        Self::new(
            graph,
            ModprobeConfig::of(graph, Vec::new(), KmodFacts::default()),
            BuiltIn::default(),
        )
    }

    /// The same with a way to read the aliases that are not part of the graph.
    #[must_use]
    pub fn with_bus_aliases(self, bus_aliases: BusAliases<'g>) -> Self {
        Self { bus_aliases, ..self }
    }

    /// The modules that a name stands for (`kmod_module_new_from_lookup()`). None if there is no
    /// module of this name, and if brackets in it do not pair.
    pub fn lookup(&self, given: &str) -> Vec<Found> {
        let Some(name) = underscores(given) else { return Vec::new() };
        let mut sources = [
            Self::of_config,
            Self::of_file,
            Self::of_symbol,
            Self::of_command,
            Self::of_module_alias,
            Self::of_built_in,
            Self::of_built_in_alias,
        ];
        if !KmodRule::BuiltInNamesFirst.holds_for(self.config.kmod) {
            sources.swap(5, 6);
        }
        sources
            .iter()
            .map(|source| source(self, &name))
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    }

    fn of_config(&self, name: &str) -> Vec<Found> {
        let matches =
            |(pattern, _): &&(String, String)| fnmatch(pattern.as_bytes(), name.as_bytes());
        let lines = self.config.aliases.iter().filter(matches);
        lines.map(|(pattern, target)| Found::by_alias(target, pattern, None)).collect()
    }

    fn of_file(&self, name: &str) -> Vec<Found> {
        let is_there = !name.contains(':') && self.graph.index_of(name).is_some();
        is_there.then(|| Found::by_name(name, None)).into_iter().collect()
    }

    fn of_symbol(&self, name: &str) -> Vec<Found> {
        let exporter = name.strip_prefix("symbol:").and_then(|symbol| self.graph.exporter(symbol));
        let found = |index| Found::by_alias(self.graph.name(index), name, None);
        exporter.map(found).into_iter().collect()
    }

    fn of_command(&self, name: &str) -> Vec<Found> {
        let ModprobeConfig { install, remove, .. } = &self.config;
        let command = install.get_verbatim(name);
        let has = command.or(remove.get_verbatim(name)).is_some();
        let found = || Found { command: command.cloned(), ..Found::by_name(name, None) };
        has.then(found).into_iter().collect()
    }

    fn of_module_alias(&self, name: &str) -> Vec<Found> {
        let buses =
            is_apart(name.as_bytes()).then(|| self.read_bus_aliases.get_or_init(self.bus_aliases));
        let found = self.graph.with_alias(name, buses.map(Vec::as_slice).unwrap_or_default());
        let found = found.into_iter();
        found.map(|index| Found::by_alias(self.graph.name(index), name, None)).collect()
    }

    fn of_built_in(&self, name: &str) -> Vec<Found> {
        let has = self.built_in.has(name);
        has.then(|| Found::by_name(name, Some(true))).into_iter().collect()
    }

    fn of_built_in_alias(&self, name: &str) -> Vec<Found> {
        let found = self.built_in.with_alias(name).into_iter();
        found.map(|module| Found::by_alias(module, name, Some(true))).collect()
    }

    /// Returns what `modprobe NAME` does; empty if no module has the name. With `ignore_loaded`,
    /// what `modprobe --show-depends` shows: built-in modules are taken for absent.
    pub fn request(&self, name: &str, ignore_loaded: bool) -> Vec<Probe> {
        let found = self.lookup(name);
        let mut state = State::new(self, ignore_loaded);
        let objects: Vec<usize> = found.iter().map(|found| state.object(found.clone())).collect();
        found
            .into_iter()
            .zip(objects)
            .map(|(found, object)| Probe { outcome: state.probe(object), found })
            .collect()
    }

    /// Returns what is done for a module of the graph, by its name or by its path. A file named by
    /// its path is not looked for among what is built in.
    pub fn insert(&self, index: usize, by_path: bool) -> Outcome {
        let mut state = State::new(self, false);
        let found = Found::by_name(self.graph.name(index), by_path.then_some(false));
        let object = state.object(found);
        state.probe(object)
    }

    /// `true` if a module is taken for a part of the kernel's image.
    pub(crate) fn is_built_in(&self, found: &Found) -> bool {
        found.built_in.unwrap_or_else(|| self.built_in.has(&found.name))
    }

    /// `true` if a file or an `install` line is there for a name.
    pub(crate) fn is_there(&self, name: &str) -> bool {
        self.graph.index_of(name).is_some() || self.config.install.get(name).is_some()
    }

    /// The modules that a name stands for, remembered.
    pub(crate) fn known(&self, name: &str) -> Vec<Found> {
        if let Some(found) = self.known.borrow().get(name) {
            return found.clone();
        }
        let found = self.lookup(name);
        self.known.borrow_mut().insert(name.to_owned(), found.clone());
        found
    }
}

impl Found {
    fn by_name(name: &str, built_in: Option<bool>) -> Self {
        let name = name.split('.').next().unwrap_or(name);
        Self { name: ModuleName::new(name).to_string(), alias: None, built_in, command: None }
    }

    fn by_alias(name: &str, alias: &str, built_in: Option<bool>) -> Self {
        let (name, alias) = (name.to_owned(), Some(alias.to_owned()));
        Self { name, alias, built_in, command: None }
    }
}

/// A module during one call of modprobe.
struct Object {
    found: Found,
    visited: bool,
    required: bool,
    /// It has soft dependencies that are there, so it is loaded in any case.
    ignores_command: bool,
}

/// One call of modprobe.
struct State<'m, 'g> {
    modprobe: &'m Modprobe<'g>,
    ignore_loaded: bool,
    objects: Vec<Object>,
    by_key: HashMap<(String, Option<String>), usize, Hash>,
}

/// Soft dependencies can form long chains, so the tasks are kept on the heap.
enum Task {
    /// `__kmod_module_get_probe_list()`
    Visit(usize),
    /// `__kmod_module_fill_softdep()`
    Fill(usize),
    Place(usize, bool),
}

impl<'m, 'g> State<'m, 'g> {
    fn new(modprobe: &'m Modprobe<'g>, ignore_loaded: bool) -> Self {
        Self { modprobe, ignore_loaded, objects: Vec::new(), by_key: HashMap::default() }
    }

    /// The object of a module: one for each name and alias, as in libkmod's pool.
    fn object(&mut self, found: Found) -> usize {
        let key = (found.name.clone(), found.alias.clone());
        let next = self.objects.len();
        let at = *self.by_key.entry(key).or_insert(next);
        match self.objects.get_mut(at) {
            Some(Object { found: known, .. }) => {
                known.built_in = found.built_in.or(known.built_in);
                known.command = found.command.or(known.command.take());
            }
            None => {
                let (visited, required, ignores_command) = (false, false, false);
                self.objects.push(Object { found, visited, required, ignores_command });
            }
        }
        at
    }

    fn in_kernel(&self, object: usize) -> bool {
        self.modprobe.is_built_in(&self.objects[object].found)
    }

    /// Does what `kmod_module_probe_insert_module()` does.
    fn probe(&mut self, object: usize) -> Outcome {
        if !self.ignore_loaded && self.in_kernel(object) {
            return Outcome::BuiltIn;
        }
        let Found { name, alias, .. } = &self.objects[object].found;
        if alias.is_some() && self.modprobe.config.blacklist.contains(name) {
            return Outcome::Blacklisted;
        }
        let order = self.order(object);
        Outcome::Actions(order.into_iter().filter_map(|object| self.action(object)).collect())
    }

    /// The modules in the order in which they are probed.
    fn order(&mut self, wanted: usize) -> Vec<usize> {
        for object in &mut self.objects {
            (object.visited, object.required) = (false, false);
        }
        let mut order = Vec::new();
        let mut open = vec![Task::Visit(wanted)];
        while let Some(task) = open.pop() {
            match task {
                Task::Visit(object) if self.objects[object].visited => {}
                Task::Visit(object) => {
                    self.objects[object].visited = true;
                    let needs = self.needs(object);
                    if object == wanted {
                        let required = needs.iter().chain([&wanted]);
                        required.for_each(|&object| self.objects[object].required = true);
                    }
                    // The last task pushed runs first: modprobe loads a line from its end.
                    open.push(Task::Fill(object));
                    open.extend(needs.into_iter().map(Task::Fill));
                }
                Task::Fill(object) => {
                    let (pre, post) = self.soft(object);
                    let has_soft = !pre.is_empty() || !post.is_empty();
                    open.extend(post.into_iter().rev().map(Task::Visit));
                    open.push(Task::Place(object, has_soft));
                    open.extend(pre.into_iter().rev().map(Task::Visit));
                }
                Task::Place(object, has_soft) => {
                    self.objects[object].ignores_command = has_soft;
                    order.push(object);
                }
            }
        }
        order
    }

    /// The modules that a module needs, those that use others first. Their files led to them, so
    /// none of them is taken for built in.
    fn needs(&mut self, object: usize) -> Vec<usize> {
        let Modprobe { graph, rank, .. } = self.modprobe;
        let Some(index) = graph.index_of(&self.objects[object].found.name) else {
            return Vec::new();
        };
        let mut needs = graph.closure(index);
        needs.sort_by_key(|&index| rank[index]);
        let found = |index| Found::by_name(graph.name(index), Some(false));
        needs.into_iter().map(|index| self.object(found(index))).collect()
    }

    /// The modules before and after which a module wants to stand.
    fn soft(&mut self, object: usize) -> (Vec<usize>, Vec<usize>) {
        let Some(softdep) = self.modprobe.config.softdeps.get(&self.objects[object].found.name)
        else {
            return (Vec::new(), Vec::new());
        };
        let mut all = |names: &[String]| -> Vec<usize> {
            let found = names.iter().flat_map(|name| self.modprobe.known(name));
            found.map(|found| self.object(found)).collect()
        };
        (all(&softdep.pre), all(&softdep.post))
    }

    fn action(&self, object: usize) -> Option<Action> {
        let Object { found, required, ignores_command, .. } = &self.objects[object];
        if !self.ignore_loaded && self.in_kernel(object) {
            return None;
        }
        let Modprobe { graph, config, .. } = &self.modprobe;
        let command = found.command.as_ref().or_else(|| config.install.get(&found.name));
        let command = command.filter(|_| !ignores_command);
        let kind = match (command, graph.index_of(&found.name)) {
            (Some(command), _) => ActionKind::Install(command.clone()),
            (None, Some(index)) => ActionKind::Insert(index),
            (None, None) if self.in_kernel(object) => ActionKind::BuiltIn,
            (None, None) => ActionKind::NoFile,
        };
        let options = config.options(&found.name, found.alias.as_deref());
        Some(Action { name: found.name.clone(), kind, options, required: *required })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{graph::tests::module, modprobe_config::ConfigFile};

    /// Returns what is done for a name: the names of the modules, or a word.
    fn asked(graph: &Graph, text: &str, built_in: &str, name: &str) -> Vec<String> {
        let file = ConfigFile { path: "a.conf".to_owned(), text: text.to_owned() };
        let config = ModprobeConfig::of(graph, vec![file], KmodFacts::TRIXIE);
        let built_in = BuiltIn::read(built_in, b"disk.alias=pci:v*\0");
        let buses = || {
            let mut names = Names::default();
            names.push(b"pci:v00008086d[1-3]*");
            vec![names]
        };
        let modprobe = Modprobe::new(graph, config, built_in).unwrap().with_bus_aliases(&buses);
        let told = |action: &Action| match &action.kind {
            ActionKind::Insert(_) => format!("{} {}", action.name, action.options),
            ActionKind::Install(command) => format!("{command} {}", action.options),
            ActionKind::BuiltIn => format!("built in {}", action.name),
            ActionKind::NoFile => format!("no file {}", action.name),
        };
        let probes = modprobe.request(name, false);
        let told = probes.iter().flat_map(|probe| match &probe.outcome {
            Outcome::BuiltIn => vec![format!("{} is built in", probe.found.name)],
            Outcome::Blacklisted => vec![format!("{} is blacklisted", probe.found.name)],
            Outcome::Actions(actions) => actions.iter().map(told).collect(),
        });
        told.map(|told| told.trim_end().to_owned()).collect()
    }

    fn graph() -> Graph {
        Graph::new(vec![module("card", &["c"], &[]), module("top-one", &[], &["c"])])
    }

    #[test]
    fn an_alias_with_a_bus_finds_its_module() {
        let (graph, name) = (graph(), "pci:v00008086d2");
        assert_eq!(asked(&graph, "", "", name), ["card"]);
        assert_eq!(
            asked(&graph, &format!("softdep top_one pre: {name}\n"), "", "top-one"),
            ["card", "card", "top_one"]
        );
        assert_eq!(asked(&graph, "", "", "pci:v00001234d2"), ["disk is built in"]);
        assert_eq!(asked(&graph, "", "", "usb:v1"), [""; 0]);
    }

    #[test]
    fn a_built_in_module_is_loaded_already() {
        let graph = graph();
        assert_eq!(asked(&graph, "", "kernel/card.ko\n", "card"), ["card is built in"]);
        assert_eq!(asked(&graph, "", "kernel/x-y.ko\n", "x-y"), ["x_y is built in"]);
        // Its own path leads to a dependency, so it is not looked for in the list.
        assert_eq!(asked(&graph, "", "kernel/card.ko\n", "top-one"), ["card", "top_one"]);
    }

    #[test]
    fn a_blacklist_hides_what_is_asked_for_by_an_alias() {
        let (graph, text) = (graph(), "blacklist card\nalias c-alias card\n");
        assert_eq!(asked(&graph, text, "", "c-alias"), ["card is blacklisted"]);
        assert_eq!(asked(&graph, text, "", "pci:v00008086d2"), ["card is blacklisted"]);
        assert_eq!(asked(&graph, text, "", "card"), ["card"]);
        assert_eq!(asked(&graph, text, "", "top-one"), ["card", "top_one"]);
    }

    #[test]
    fn options_are_for_a_name_or_for_the_alias_that_was_asked_for() {
        let graph = graph();
        let text = "options card x=1\noptions c_alias y=2\noptions c* z=3\nalias c-alias card\n";
        assert_eq!(asked(&graph, text, "", "c-alias"), ["card x=1 y=2"]);
        assert_eq!(asked(&graph, text, "", "card"), ["card x=1"]);
    }

    #[test]
    fn an_install_line_needs_no_module() {
        let graph = graph();
        assert_eq!(asked(&graph, "install no-file /bin/true\n", "", "no-file"), ["/bin/true"]);
        assert_eq!(asked(&graph, "alias gone off\n", "", "gone"), ["no file off"]);
        assert_eq!(asked(&graph, "remove only /bin/true\n", "", "only"), ["no file only"]);
    }
}
