//! `modules.dep` and load orders, beside depmod's.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use stack::{
    graph::Graph,
    load_order::is_load_order,
    module_file::ModuleFile,
    modules_dep::{self, ModulesDepLine},
    modules_lists,
};

use super::{Comparison, InstalledTree, Kmod};
use crate::{
    host::{file_system::make_folder, open},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
    tree::{aliases::modules_alias, scan::scan},
};

pub(super) fn compare(
    tree: &InstalledTree,
    files: &[ModuleFile],
    kmod: &Kmod,
    scratch: &Path,
) -> Result<Vec<Comparison>> {
    let out = scratch.join("depmod");
    make_folder(&out)?;
    kmod.depmod(tree, Some(&out)).stdout_bytes()?;
    let theirs = |name: &str| {
        let path = out.join("lib/modules").join(&tree.release).join(name);
        open::read(&path).or_host(|| format!("depmod did not write {}", path.shown()))
    };
    let graph = Graph::new(scan(files.to_vec()).modules);
    let ours = modules_dep::write(&graph)
        .map_err(|cycles| Problem::does_not_hold(format!("cycles: {cycles:?}")))?;
    let mut all = Vec::new();
    for (name, ours) in [
        ("modules.dep", ours.clone().into_bytes()),
        ("modules.alias", modules_alias(files).0),
        ("modules.softdep", modules_lists::softdeps(&graph)),
        ("modules.weakdep", modules_lists::weakdeps(&graph)),
    ] {
        all.push(compare_lines(name, &ours, &theirs(name)?));
    }
    let theirs = String::from_utf8_lossy(&theirs("modules.dep")?).into_owned();
    let parse = |text| modules_dep::parse(text).map_err(|error| Problem::host(error.to_string()));
    let (our_lines, their_lines) = (parse(&ours)?, parse(&theirs)?);
    let edges: usize = their_lines.iter().map(|line| line.needs.len()).sum();
    all.push(Comparison {
        compared: their_lines.len(),
        what: format!("closures of {edges} modules, ours and depmod's"),
        differences: closure_differences(&our_lines, &their_lines),
    });
    all.push(Comparison {
        compared: our_lines.len(),
        what: "load orders that a line of modules.dep states".into(),
        differences: order_differences(&graph, &our_lines),
    });
    Ok(all)
}

/// Compares two files byte for byte.
fn compare_lines(name: &str, ours: &[u8], theirs: &[u8]) -> Comparison {
    let lines = |text: &[u8]| -> Vec<Vec<u8>> {
        text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (our_lines, their_lines) = (lines(ours), lines(theirs));
    let mut differences = Vec::new();
    for (ours, theirs) in our_lines.iter().zip(&their_lines).filter(|(a, b)| a != b) {
        let (ours, theirs) = (ours.escape_ascii(), theirs.escape_ascii());
        differences.push(format!("ours \"{ours}\", depmod's \"{theirs}\""));
    }
    if our_lines.len() != their_lines.len() {
        let (ours, theirs) = (our_lines.len(), their_lines.len());
        differences.push(format!("ours has {ours} lines, depmod's {theirs}"));
    }
    let what = format!("lines of {name}, byte for byte, ours and depmod's");
    Comparison { compared: their_lines.len(), what, differences }
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
