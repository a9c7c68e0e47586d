//! `modules.dep` and load orders, beside depmod's.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use stack::{
    graph::Graph,
    load_order::is_load_order,
    module_file::ModuleFile,
    modules_dep::{self, ModulesDepLine},
};

use super::{Comparison, InstalledTree, Kmod};
use crate::{
    problem::{OrProblem, Problem, Result},
    tree::scan::scan,
};

pub(super) fn compare(
    tree: &InstalledTree,
    files: &[ModuleFile],
    kmod: &Kmod,
    scratch: &Path,
) -> Result<Vec<Comparison>> {
    let out = scratch.join("depmod");
    fs::create_dir_all(&out).or_host(|| format!("cannot make {}", out.display()))?;
    kmod.depmod(tree, Some(&out)).stdout_bytes()?;
    let theirs = out.join("lib/modules").join(&tree.release).join("modules.dep");
    let theirs = fs::read_to_string(&theirs)
        .or_host(|| format!("depmod did not write {}", theirs.display()))?;
    let graph = Graph::new(scan(files.to_vec()).modules);
    let ours = modules_dep::write(&graph)
        .map_err(|cycles| Problem::does_not_hold(format!("cycles: {cycles:?}")))?;
    let compare_lines = |(ours, theirs): (&str, &str)| {
        (ours != theirs).then(|| format!("ours \"{ours}\", depmod's \"{theirs}\""))
    };
    let mut unlike: Vec<String> =
        ours.lines().zip(theirs.lines()).filter_map(compare_lines).collect();
    if ours.len() != theirs.len() {
        unlike.push(format!("ours has {} bytes, depmod's {}", ours.len(), theirs.len()));
    }
    let parse = |text| modules_dep::parse(text).map_err(|error| Problem::host(error.to_string()));
    let (our_lines, their_lines) = (parse(&ours)?, parse(&theirs)?);
    let edges: usize = their_lines.iter().map(|line| line.needs.len()).sum();
    Ok(vec![
        Comparison {
            compared: their_lines.len(),
            what: "lines of modules.dep, byte for byte, ours and depmod's".into(),
            differences: unlike,
        },
        Comparison {
            compared: their_lines.len(),
            what: format!("closures of {edges} modules, ours and depmod's"),
            differences: closure_differences(&our_lines, &their_lines),
        },
        Comparison {
            compared: our_lines.len(),
            what: "load orders that a line of modules.dep states".into(),
            differences: order_differences(&graph, &our_lines),
        },
    ])
}

fn closure_differences(ours: &[ModulesDepLine<'_>], theirs: &[ModulesDepLine<'_>]) -> Vec<String> {
    fn sets<'a>(lines: &'a [ModulesDepLine<'a>]) -> HashMap<&'a str, BTreeSet<&'a str>> {
        lines.iter().map(|line| (line.path, line.needs.iter().copied().collect())).collect()
    }
    let (ours, theirs) = (sets(ours), sets(theirs));
    let paths: BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    let differs = |path: &&str| ours.get(path) != theirs.get(path);
    let differing = paths.into_iter().filter(differs);
    differing.map(|path| format!("{path}: ours {:?}", ours.get(path))).collect()
}

/// Read from right to left, with the module itself at the end, each line has to be a load order.
fn order_differences(graph: &Graph, lines: &[ModulesDepLine<'_>]) -> Vec<String> {
    let modules = graph.modules().iter().enumerate();
    let index: HashMap<&str, usize> = modules.map(|(i, m)| (m.file.path.as_str(), i)).collect();
    let broken = |line: &&ModulesDepLine<'_>| {
        let sequence = line.needs.iter().rev().chain([&line.path]);
        let sequence: Option<Vec<usize>> = sequence.map(|path| index.get(path).copied()).collect();
        !sequence.is_some_and(|sequence| is_load_order(graph, &sequence))
    };
    lines.iter().filter(broken).map(|line| line.path.to_owned()).collect()
}
