//! `modules.softdep`, `modules.weakdep`, `modules.symbols`, `modules.alias` and `modules.devname`:
//! what depmod takes out of modules for modprobe (`output_softdeps()` and its like, kmod's
//! `tools/depmod.c`).

use std::collections::HashMap;

use ko::{error::Malformed, kmod_elf::KmodElf, text::Text};

use crate::{
    dependency_info::Names,
    depmod_table::{SYMBOL_BUCKETS, sort_by_table},
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

/// The text of `modules.symbols`: the last module that exports a symbol, symbol by symbol in the
/// order of depmod's table (`output_symbols()`).
pub fn symbols(graph: &Graph) -> Vec<u8> {
    let mut owners: HashMap<&[u8], &str> = HashMap::new();
    for module in graph.modules() {
        owners.extend(module.info.exported().map(|name| (name.bytes(), &*module.file.name)));
    }
    let mut owners: Vec<(&[u8], &str)> = owners.into_iter().collect();
    sort_by_table(&mut owners, SYMBOL_BUCKETS, |(symbol, _)| symbol);
    let mut text = b"# Aliases for symbols, used by symbol_request().\n".to_vec();
    for (symbol, owner) in owners {
        text.extend([b"alias symbol:", symbol, b" ", owner.as_bytes(), b"\n"].concat());
    }
    text
}

/// The first line of `modules.alias`.
pub const ALIASES_HEADING: &str = "# Aliases extracted from modules themselves.\n";

/// The lines of `modules.alias` for one module.
///
/// # Errors
/// libkmod takes the file for no module.
pub fn alias_lines(module: &[u8], name: &str) -> Result<Vec<u8>, Malformed> {
    let mut text = Vec::new();
    for alias in KmodElf::parse(module)?.modinfo().unwrap_or_default().all("alias") {
        text.extend(b"alias ");
        text.extend(alias.bytes());
        text.extend(format!(" {name}\n").bytes());
    }
    Ok(text)
}

/// The first line of `modules.devname`, if it has another.
pub const DEVNAME_HEADING: &str = "# Device nodes to trigger on-demand module loading.\n";

/// The line of `modules.devname` for one module, if its aliases name a device and its numbers
/// (`output_devname()`).
///
/// # Errors
/// libkmod takes the file for no module.
pub fn devname_line(module: &[u8], name: &str) -> Result<Vec<u8>, Malformed> {
    let (mut device, mut numbers) = (None, None);
    for alias in KmodElf::parse(module)?.modinfo().unwrap_or_default().all("alias") {
        if let Some(named) = alias.strip_prefix("devname:") {
            device = Some(named);
        } else if let Some(found) = device_numbers(alias) {
            numbers = Some(found);
        }
        if let (Some(device), Some((kind, major, minor))) = (device, numbers) {
            let head = format!("{name} ");
            let tail = format!(" {kind}{major}:{minor}\n");
            return Ok([head.as_bytes(), device.bytes(), tail.as_bytes()].concat());
        }
    }
    Ok(Vec::new())
}

/// The kind of a device and its numbers, of `char-major-10-203`; what follows does not matter.
fn device_numbers(alias: Text<'_>) -> Option<(char, u32, u32)> {
    let (kind, rest) = match alias.strip_prefix("char-major-") {
        Some(rest) => ('c', rest),
        None => ('b', alias.strip_prefix("block-major-")?),
    };
    let (major, rest) = rest.split_once(b'-')?;
    let digits = rest.bytes().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse().ok();
    Some((kind, number(major.bytes())?, number(&rest.bytes()[..digits])?))
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
