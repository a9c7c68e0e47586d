//! The kernel's own modules that a stack's modules need.

use std::path::PathBuf;

use ko::text::Text;
use stack::{graph::Graph, module_name::ModuleName};

use crate::{
    host::cache::Cache,
    kernel::{Kernel, recipe::Ships},
    problem::Result,
    tree::{
        load_plan::{self, PlannedLoad},
        scan::scan,
        walk,
    },
};

/// The modules of a stack and those of the kernel's own that they need, in the order of loading.
///
/// # Errors
/// A module cannot be read, or the kernel's own cannot be had.
pub fn with_kernels_own(
    cache: &Cache,
    kernel: &Kernel,
    files: &[PathBuf],
) -> Result<Vec<PlannedLoad>> {
    let graph = Graph::new(scan(walk::module_files(files)?).modules);
    match own_modules(cache, kernel, &graph)? {
        Some(own) => load_plan::with_dependencies(files, Some(&own), &cache.room("facts")?),
        None => load_plan::in_order(files),
    }
}

/// The folder of the kernel's own modules, where a module of the stack depends on one of them, or
/// softly: modprobe loads those as well.
fn own_modules(cache: &Cache, kernel: &Kernel, graph: &Graph) -> Result<Option<PathBuf>> {
    let foreign = |name: Text<'_>| graph.index_of(&ModuleName::new(&name.lossy())).is_none();
    let asks = graph.modules().iter().any(|module| {
        let soft = module.info.soft();
        let mut soft = soft.flat_map(|soft| soft.pre.into_iter().chain(soft.post));
        module.info.depends.iter().any(foreign) || soft.any(foreign)
    });
    match kernel.name.ships() {
        _ if !asks => Ok(None),
        Ships::Nothing => Ok(kernel.modules.is_dir().then(|| kernel.modules.clone())),
        Ships::Inside | Ships::Apart => kernel.shipped_modules(cache).map(Some),
    }
}
