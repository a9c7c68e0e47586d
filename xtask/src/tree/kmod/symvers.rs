//! The exports and imports of modules, beside the Module.symvers of the kernel's own build.

use std::{collections::HashMap, path::Path, result};

use ko::module::Module;
use stack::{
    module_file::ModuleFile,
    module_name::ModuleName,
    symvers::{Symvers, SymversEntry, VMLINUX},
};

use super::Comparison;
use crate::{
    host::file_system::read_file,
    problem::Result,
    tree::{
        abi_files,
        scan::map_files,
        section_reader::{FileError, ModuleBuffer},
    },
};

pub(super) fn compare(files: &[ModuleFile], path: &Path) -> Result<[Comparison; 2]> {
    let text = read_file(path)?;
    let symvers = abi_files::read_symvers(path)?;
    let same = symvers.to_text().as_bytes() == text;
    let written_back = Comparison {
        compared: symvers.entries().len(),
        what: "lines of Module.symvers, read and written back".into(),
        differences: if same { Vec::new() } else { vec!["other bytes".into()] },
    };
    Ok([written_back, compare_modules(files, &symvers)])
}

/// Compares a module's exports and imports with the kernel's Module.symvers.
struct Symbols {
    exports: Vec<SymversEntry>,
    imports: Vec<(String, Option<u32>)>,
}

/// A module of Module.symvers that is not in the tree is no difference: the kernel's build makes
/// some that its packages leave out.
fn compare_modules(files: &[ModuleFile], symvers: &Symvers) -> Comparison {
    let mut theirs: HashMap<ModuleName, Vec<&SymversEntry>> = HashMap::new();
    for entry in symvers.entries().iter().filter(|entry| entry.module != VMLINUX) {
        theirs.entry(entry.module_name()).or_default().push(entry);
    }
    let mut differences = Vec::new();
    let (mut exports, mut imports, mut crcs) = (0, 0, 0);
    for (file, symbols) in files.iter().zip(map_files(files, symbols)) {
        let Some(Ok(symbols)) = symbols else {
            differences.push(format!("{}: not read", file.path));
            continue;
        };
        exports += symbols.exports.len();
        imports += symbols.imports.len();
        crcs += symbols.imports.iter().filter(|(_, crc)| crc.is_some()).count();
        let named = theirs.remove(&file.name).unwrap_or_default();
        compare_exports(file, &symbols.exports, &named, &mut differences);
        compare_imports(file, &symbols.imports, symvers, &mut differences);
    }
    let what = format!("exports, and {imports} imports ({crcs} with CRC), beside Module.symvers");
    Comparison { compared: exports, what, differences }
}

fn symbols(buffer: &mut ModuleBuffer, file: &ModuleFile) -> result::Result<Symbols, FileError> {
    let module = Module::read(buffer.read(&file.full)?)?;
    let mut exports = Vec::new();
    for export in module.exports.iter() {
        let export = export?;
        exports.push(SymversEntry {
            crc: export.crc.unwrap_or(0),
            symbol: export.symbol.0.to_string(),
            module: file.name.to_string(),
            license: export.license,
            namespace: export.namespace.to_string(),
        });
    }
    let imports = module.imports()?;
    let imports = imports.iter().map(|import| (import.symbol.0.to_string(), import.crc)).collect();
    Ok(Symbols { exports, imports })
}

fn compare_exports(
    file: &ModuleFile,
    ours: &[SymversEntry],
    theirs: &[&SymversEntry],
    differences: &mut Vec<String>,
) {
    let sorted = |entries: &mut Vec<SymversEntry>| entries.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    let mut ours = ours.to_vec();
    let mut theirs: Vec<SymversEntry> = theirs
        .iter()
        .map(|&entry| SymversEntry { module: file.name.to_string(), ..entry.clone() })
        .collect();
    sorted(&mut ours);
    sorted(&mut theirs);
    if ours != theirs {
        let of = |entries: &[SymversEntry]| entries.len();
        let first = ours.iter().zip(&theirs).find(|(a, b)| a != b);
        let (ours, theirs) = (of(&ours), of(&theirs));
        differences.push(format!("{}: {ours} exports, theirs {theirs}, {first:?}", file.path));
    }
}

fn compare_imports(
    file: &ModuleFile,
    imports: &[(String, Option<u32>)],
    symvers: &Symvers,
    differences: &mut Vec<String>,
) {
    for (symbol, crc) in imports {
        match (symvers.get(symbol), crc) {
            (None, _) => differences.push(format!("{}: {symbol} is nobody's", file.path)),
            (Some(entry), Some(crc)) if entry.crc != *crc => differences.push(format!(
                "{}: {symbol} has {crc:#010x}, Module.symvers {:#010x}",
                file.path, entry.crc
            )),
            (Some(_), None) if symvers.has_crcs() => {
                differences.push(format!("{}: {symbol} has no CRC", file.path));
            }
            _ => {}
        }
    }
}
