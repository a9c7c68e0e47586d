//! The prediction for the modules of a stack, before any is loaded.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use ko::{license::License, text::Text};
use loader::{errno::Errno, kernel_model::KernelModel, verdict::Verdict};
use stack::{
    graph::{Cycle, Graph},
    module_name::ModuleName,
};

use super::{
    ExportInStack, ModuleInStack,
    expectations::{Expectations, OfModule},
};
use crate::{
    build,
    host::{cache::Cache, file_system::read_file},
    kernel::{Kernel, facts},
    problem::Result,
    tree::{judge, modprobe_files::built_in, picture::Picture, scan::scan, walk},
};

/// One load, and what the kernel would do.
#[derive(Debug)]
pub(super) struct PredictedLoad {
    pub(super) file: PathBuf,
    pub(super) name: String,
    /// It is of the stack; else it is one of the kernel's own that the stack needs.
    pub(super) of_stack: bool,
    /// The names of the modules whose symbols it uses.
    pub(super) needs: Vec<String>,
    /// The kernel has a module of this name built in, so modprobe takes it for loaded.
    pub(super) built_in: bool,
    /// The words for modprobe after its name.
    pub(super) parameters: Vec<String>,
    /// The error that its init must return.
    pub(super) expects: Option<Errno>,
    pub(super) verdict: Verdict,
}

/// All loads in their order.
#[derive(Debug)]
pub(super) struct Prediction {
    pub(super) loads: Vec<PredictedLoad>,
    /// Modules that need each other. depmod gives up then.
    pub(super) cycles: Vec<Cycle>,
    pub(super) modules: Vec<ModuleInStack>,
    pub(super) picture: String,
}

impl Prediction {
    /// The names of those that a module of the stack cannot do without, itself among them. modprobe
    /// goes on where another one, which only a soft dependency names, fails.
    pub(super) fn essential(&self) -> HashSet<&str> {
        let mut essential = HashSet::new();
        // Each stands after those that it needs.
        for load in self.loads.iter().rev() {
            if load.of_stack || essential.contains(load.name.as_str()) {
                essential.insert(load.name.as_str());
                essential.extend(load.needs.iter().map(String::as_str));
            }
        }
        essential
    }
}

/// Predicts the loads of a stack's modules, and of what they need of the kernel's own.
pub(super) fn predict(
    cache: &Cache,
    kernel: &Kernel,
    files: &[PathBuf],
    expectations: &Expectations,
) -> Result<Prediction> {
    let graph = Graph::new(scan(walk::module_files(files)?).modules);
    let cycles = graph.users_first().err().unwrap_or_default();
    let facts = facts::of_kernel(kernel, || build::this_module(kernel))?;
    let built_in = built_in(&kernel.modules)?;
    let mut model = KernelModel::new(&facts.target);
    let mut loads = Vec::new();
    for load in build::with_kernels_own(cache, kernel, files)? {
        let raw = read_file(&load.file)?;
        let (name, file, of_stack, needs) = (name(&load.file), load.file, load.wanted, load.needs);
        let expected = expectations.of_module(&name).filter(|_| of_stack);
        let args = expected.map(OfModule::arguments).unwrap_or_default();
        let args = args.as_bytes();
        let verdict = judge::judge_as_insmod(&mut model, &facts.target, &file, &raw, args)?;
        let parameters = expected.map(OfModule::parameters).unwrap_or_default();
        let expects = expected.and_then(OfModule::errno);
        let built_in = built_in.has(&name);
        loads.push(PredictedLoad {
            file,
            name,
            of_stack,
            needs,
            built_in,
            parameters,
            expects,
            verdict,
        });
    }
    let order: Vec<usize> = loads.iter().filter_map(|load| index(&graph, &load.name)).collect();
    let picture = Picture::new(&graph, &order).svg();
    let modules = order.iter().map(|&index| module(&graph, index)).collect();
    Ok(Prediction { loads, cycles, modules, picture })
}

fn index(graph: &Graph, name: &str) -> Option<usize> {
    graph.index_of(&ModuleName::new(name))
}

/// The name under which the kernel has a module.
fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    ModuleName::of_file(&name).map_or_else(|| name.to_string(), |name| name.to_string())
}

fn module(graph: &Graph, index: usize) -> ModuleInStack {
    let info = &graph.modules()[index].info;
    let uses = graph.edges(index).iter().map(|edge| graph.name(edge.to).to_owned()).collect();
    let users: Vec<(usize, Vec<Text<'_>>)> = (0..graph.modules().len())
        .filter(|&user| graph.edges(user).iter().any(|edge| edge.to == index))
        .map(|user| (user, graph.symbols(user, index)))
        .collect();
    let export = |symbol: Text<'_>| ExportInStack {
        symbol: symbol.lossy().into_owned(),
        license: if info.gpl_exports.iter().any(|gpl| gpl == symbol) {
            License::GplOnly
        } else {
            License::Any
        },
        users: users
            .iter()
            .filter(|(_, symbols)| symbols.contains(&symbol))
            .map(|(user, _)| graph.name(*user).to_owned())
            .collect(),
    };
    ModuleInStack {
        name: graph.name(index).to_owned(),
        uses,
        exports: info.exports.iter().map(export).collect(),
    }
}
