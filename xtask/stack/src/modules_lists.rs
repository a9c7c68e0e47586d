//! `modules.softdep`, `modules.weakdep` and `modules.alias`: what depmod takes out of `.modinfo`
//! for modprobe (`output_softdeps()`, `output_weakdeps()`, `output_aliases()`, kmod's
//! `tools/depmod.c`).

use ko::{elf::Elf, error::Malformed, modinfo::Modinfo};

use crate::{
    dependency_info::Names,
    graph::{Graph, ScannedModule},
};

/// The text of `modules.softdep`.
pub fn softdeps(graph: &Graph) -> Vec<u8> {
    list("# Soft dependencies extracted from modules themselves.\n", "softdep", graph, |module| {
        &module.info.softdeps
    })
}

/// The text of `modules.weakdep`, which kmod 33 and later write.
pub fn weakdeps(graph: &Graph) -> Vec<u8> {
    list("# Weak dependencies extracted from modules themselves.\n", "weakdep", graph, |module| {
        &module.info.weakdeps
    })
}

fn list(heading: &str, key: &str, graph: &Graph, of: fn(&ScannedModule) -> &Names) -> Vec<u8> {
    let mut text = heading.as_bytes().to_vec();
    for module in graph.modules() {
        for value in of(module).iter() {
            text.extend(format!("{key} {} ", module.file.name).bytes());
            text.extend(value.bytes());
            text.push(b'\n');
        }
    }
    text
}

/// The first line of `modules.alias`.
pub const ALIASES_HEADING: &str = "# Aliases extracted from modules themselves.\n";

/// The lines of `modules.alias` for one module.
///
/// # Errors
/// The file is no module.
pub fn alias_lines(module: &[u8], name: &str) -> Result<Vec<u8>, Malformed> {
    let mut text = Vec::new();
    for alias in Modinfo::parse(&Elf::parse(module)?).all("alias") {
        text.extend(b"alias ");
        text.extend(alias.bytes());
        text.extend(format!(" {name}\n").bytes());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::module;

    #[test]
    fn each_line_of_modinfo_is_a_line_of_the_file() {
        let mut soft = module("a", &[], &[]);
        soft.info.softdeps.push(b"pre: b-c");
        soft.info.weakdeps.push(b"d");
        soft.info.weakdeps.push(b"e");
        let graph = Graph::new(vec![soft, module("b", &[], &[])]);
        assert!(softdeps(&graph).ends_with(b"themselves.\nsoftdep a pre: b-c\n"));
        assert!(weakdeps(&graph).ends_with(b"themselves.\nweakdep a d\nweakdep a e\n"));
    }
}
