//! The files that `check` loads, and their order.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use stack::{
    graph::Graph,
    load_order::{Request, load_order},
    modprobe::Modprobe,
    module_file::ModuleFile,
    module_name::ModuleName,
};

use super::{
    scan::{scan, scan_cached},
    scan_cache, walk,
};
use crate::problem::Result;

/// A file to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedLoad {
    /// The file.
    pub file: PathBuf,
    /// `true` if it was asked for; else another file needs it.
    pub wanted: bool,
    /// The names of the modules whose symbols it uses.
    pub needs: Vec<String>,
}

impl PlannedLoad {
    /// The name by which the kernel knows the module.
    pub fn name(&self) -> ModuleName {
        ModuleName::of_build_path(&self.file.with_extension("").to_string_lossy())
    }
}

/// The files one by one, as `insmod` would be given them.
pub fn as_given(files: &[PathBuf]) -> Vec<PlannedLoad> {
    let load = |file: &PathBuf| PlannedLoad { file: file.clone(), wanted: true, needs: Vec::new() };
    files.iter().map(load).collect()
}

/// The files, each after those of them that it needs.
///
/// # Errors
/// A file that is not there.
pub fn in_order(files: &[PathBuf]) -> Result<Vec<PlannedLoad>> {
    let given = walk::module_files(files)?;
    let names = names(&given);
    Ok(plan(files, &names, Graph::new(scan(given).modules)))
}

/// The same, with what they need of the modules beside them and of the kernel's own tree. What is
/// read of that tree is remembered below `cache_dir`.
///
/// # Errors
/// A file or a directory that cannot be read.
pub fn with_dependencies(
    files: &[PathBuf],
    kernel_modules: Option<&Path>,
    cache_dir: &Path,
) -> Result<Vec<PlannedLoad>> {
    let mut found = walk::module_files(files)?;
    let given = names(&found);
    found.extend(others(files, kernel_modules, &given)?);
    let scanned = match kernel_modules {
        Some(folder) => scan_cached(found, &scan_cache::file_for(cache_dir, folder)),
        None => scan(found),
    };
    Ok(plan(files, &given, Graph::new(scanned.modules)))
}

fn names(files: &[ModuleFile]) -> Vec<ModuleName> {
    files.iter().map(|file| file.name.clone()).collect()
}

/// The modules that may be loaded before: the kernel's own, and those beside the files given.
fn others(
    files: &[PathBuf],
    kernel_modules: Option<&Path>,
    given: &[ModuleName],
) -> Result<Vec<ModuleFile>> {
    let beside = |file: &PathBuf| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let folders = kernel_modules.map(Path::to_path_buf).into_iter().chain(files.iter().map(beside));
    let mut known: HashSet<ModuleName> = given.iter().cloned().collect();
    let mut others = Vec::new();
    for folder in folders {
        let modules = walk::modules(&folder)?;
        others.extend(modules.into_iter().filter(|module| known.insert(module.name.clone())));
    }
    Ok(others)
}

fn plan(files: &[PathBuf], given: &[ModuleName], graph: Graph) -> Vec<PlannedLoad> {
    let wanted = given.iter().filter_map(|name| graph.index_of(name)).map(Request::File);
    // Modules that need each other load in no order: the kernel refuses the first.
    let Ok(modprobe) = Modprobe::unconfigured(&graph) else { return as_given(files) };
    let order = load_order(&modprobe, &wanted.collect::<Vec<_>>(), None);
    let mut loads: Vec<PlannedLoad> = Vec::new();
    for index in order.steps.iter().filter_map(|step| step.index) {
        let file = &graph.modules()[index].file;
        let needs = graph.edges(index).iter().map(|edge| graph.name(edge.to).to_owned());
        loads.push(PlannedLoad {
            file: file.full.clone(),
            wanted: given.contains(&file.name),
            needs: needs.collect(),
        });
    }
    // The kernel refuses a file that is no module, too; it stands where it was given.
    for (place, load) in as_given(files).into_iter().enumerate() {
        if !loads.iter().any(|other| other.file == load.file) {
            loads.insert(place.min(loads.len()), load);
        }
    }
    loads
}
