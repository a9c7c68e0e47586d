//! Every fact of a tree beside kmod's and the kernel's own: modinfo, depmod, Module.symvers.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use super::{
    kmod::{Installed, Kmod},
    process::output,
};
use crate::problem::{OrProblem, Problem, Result};
use crate::tree::scan::{map_files, scan};
use crate::tree::section_reader::{FileError, ModuleBuffer};
use ko::module::{Facts, Module};
use ko::params::Param;
use ko::signature::Signature;
use stack::graph::Graph;
use stack::load_order::is_load_order;
use stack::module_file::ModuleFile;
use stack::modules_dep;
use stack::symvers::{Symvers, SymversEntry, VMLINUX};

/// How many files one modinfo is given: command lines have an end.
const BATCH: usize = 250;
/// How many differences of one kind are shown.
const SHOWN_MAX: usize = 10;

/// Compares a whole tree, and says whether there is no difference.
pub(super) fn compare(
    tree: &Installed,
    symvers: &Path,
    kmod: &Kmod,
    scratch: &Path,
) -> Result<bool> {
    let files = tree.files()?;
    outln!("{}: {} modules", tree.release, files.len());
    let mut holds = compare_modinfo(tree, &files, kmod)?;
    holds &= compare_depmod(tree, &files, kmod, scratch)?;
    let text = fs::read(symvers).or_host(|| format!("cannot read {}", symvers.display()))?;
    let symvers = crate::command::symvers::read(symvers)?;
    let same = symvers.to_text().into_bytes() == text;
    let word = if same { "the same bytes" } else { "other bytes" };
    outln!("  Module.symvers, read and written back: {word}");
    holds &= same & compare_symvers(&files, &symvers);
    Ok(holds)
}

/// Prints what was compared and each difference, and says whether there was none.
fn verdict(what: &str, differences: &[String]) -> bool {
    outln!("  {what}: {} differences", differences.len());
    differences.iter().take(SHOWN_MAX).for_each(|difference| outln!("    {difference}"));
    differences.is_empty()
}

type Fields = Vec<(String, Vec<u8>)>;

fn compare_modinfo(tree: &Installed, files: &[ModuleFile], kmod: &Kmod) -> Result<bool> {
    let mut differences = Vec::new();
    let (mut modules, mut fields) = (0, 0);
    for batch in files.chunks(BATCH) {
        let modinfo = kmod.tool("modinfo", tree).arg("-0");
        let modinfo = modinfo.args(batch.iter().map(|file| &file.full));
        let theirs = parse_modinfo(&output(&modinfo)?)?;
        let ours = batch.iter().collect::<Vec<_>>();
        let ours = map_files(&ours, our_fields);
        for (file, ours) in batch.iter().zip(ours) {
            modules += 1;
            let ours = ours.unwrap_or_else(|| Err("not read".into()));
            let theirs = theirs.get(file.full.as_os_str().as_encoded_bytes());
            match (ours, theirs) {
                (Ok(ours), Some(theirs)) => {
                    fields += theirs.len();
                    differ(&file.path, &ours, theirs, &mut differences);
                }
                (ours, theirs) => differences.push(format!(
                    "{}: ours {:?}, modinfo's {:?}",
                    file.path,
                    ours.err(),
                    theirs.map(Vec::len)
                )),
            }
        }
    }
    Ok(verdict(&format!("{fields} fields of {modules} modules, inspect and modinfo"), &differences))
}

/// Two sets of fields, each sorted by key, with the order within a key kept.
fn differ(path: &str, ours: &Fields, theirs: &Fields, differences: &mut Vec<String>) {
    let shown = |fields: &Fields, index: usize| {
        fields.get(index).map(|(key, value)| format!("{key}={}", value.escape_ascii()))
    };
    for index in 0..ours.len().max(theirs.len()) {
        if ours.get(index) != theirs.get(index) {
            let (ours, theirs) = (shown(ours, index), shown(theirs, index));
            differences.push(format!("{path}: ours {ours:?}, modinfo's {theirs:?}"));
            return;
        }
    }
}

/// The output of `modinfo -0`: records with a NUL after each, `filename:` first for each file.
fn parse_modinfo(text: &[u8]) -> Result<HashMap<Vec<u8>, Fields>> {
    let mut all: HashMap<Vec<u8>, Fields> = HashMap::new();
    let mut current: Option<Vec<u8>> = None;
    for record in text.split(|&byte| byte == 0).filter(|record| !record.is_empty()) {
        if let Some(path) = record.strip_prefix(b"filename:       ") {
            all.insert(path.to_vec(), Vec::new());
            current = Some(path.to_vec());
            continue;
        }
        let (key, value) = match record.strip_prefix(b"parm:           ") {
            Some(value) => ("parm", value),
            None => split_field(record)?,
        };
        let fields = current.as_ref().and_then(|path| all.get_mut(path));
        let fields = fields.ok_or_else(|| Problem::host("modinfo names no file first"))?;
        fields.push((key.to_owned(), value.to_vec()));
    }
    all.values_mut().for_each(|fields| fields.sort_by(|a, b| a.0.cmp(&b.0)));
    Ok(all)
}

fn split_field(record: &[u8]) -> Result<(&str, &[u8])> {
    let refuse = || Problem::host(format!("modinfo printed \"{}\"", record.escape_ascii()));
    let at = record.iter().position(|&byte| byte == b'=').ok_or_else(refuse)?;
    let key = std::str::from_utf8(&record[..at]).map_err(|_| refuse())?;
    Ok((key, &record[at + 1..]))
}

fn our_fields(buffer: &mut ModuleBuffer, file: &ModuleFile) -> std::result::Result<Fields, String> {
    let read = |error: FileError| error.to_string();
    let bytes = buffer.read(&file.full).map_err(read)?;
    let module = Module::read(bytes).map_err(|damage| damage.to_string())?;
    let facts = module.facts().map_err(|damage| damage.to_string())?;
    let mut fields = fields_of(&facts);
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(fields)
}

/// The facts in the words of modinfo.
fn fields_of(facts: &Facts<'_>) -> Fields {
    let mut fields = Fields::new();
    let mut add = |key: &str, value: &[u8]| fields.push((key.to_owned(), value.to_vec()));
    for (key, value) in [
        ("name", facts.name),
        ("license", facts.license),
        ("version", facts.version),
        ("srcversion", facts.srcversion),
        ("vermagic", facts.vermagic.map(|vermagic| vermagic.whole)),
    ] {
        value.into_iter().for_each(|value| add(key, value.bytes()));
    }
    for (key, values) in [
        ("description", &facts.description),
        ("author", &facts.authors),
        ("import_ns", &facts.namespaces),
        ("alias", &facts.aliases),
        ("firmware", &facts.firmware),
    ] {
        values.iter().for_each(|value| add(key, value.bytes()));
    }
    for (key, mark) in
        [("intree", facts.intree), ("livepatch", facts.livepatch), ("retpoline", facts.retpoline)]
    {
        if mark {
            add(key, b"Y");
        }
    }
    if facts.vermagic.is_some() {
        // modpost writes `depends=` into every module, with nothing after it if need be.
        let depends: Vec<&[u8]> = facts.depends.iter().map(|name| name.bytes()).collect();
        add("depends", &depends.join(&b","[..]));
    }
    facts.softdeps.iter().for_each(|soft| add("softdep", soft.text.bytes()));
    facts.weakdeps.iter().for_each(|weak| add("weakdep", weak.bytes()));
    facts.other.iter().for_each(|line| add(&line.key.lossy(), line.value.bytes()));
    // modinfo prints the parameter it saw last first.
    facts.params.iter().rev().for_each(|param| add("parm", &param_field(param)));
    facts.signature.iter().for_each(|signature| add_signature(signature, &mut add));
    fields
}

fn param_field(param: &Param<'_>) -> Vec<u8> {
    let Param { name, kind, description } = param;
    let mut field = [name.bytes(), b":"].concat();
    match (description, kind) {
        (Some(text), Some(kind)) => {
            field.extend([text.bytes(), b" (", kind.bytes(), b")"].concat())
        }
        (Some(text), None) => field.extend(text.bytes()),
        (None, kind) => field.extend(kind.map_or(&b""[..], |kind| kind.bytes())),
    }
    field
}

fn add_signature(signature: &Signature<'_>, add: &mut impl FnMut(&str, &[u8])) {
    let Signature { id, signer, key, hash, signature } = signature;
    add("sig_id", id.as_bytes());
    add("signer", signer.bytes());
    add("sig_key", wrapped(&key.to_string()).as_bytes());
    add("sig_hashalgo", hash.as_bytes());
    add("signature", wrapped(&signature.to_string()).as_bytes());
}

/// modinfo begins a new line after twenty bytes.
fn wrapped(hex: &str) -> String {
    const LINE_CHARS: usize = 20 * 3;
    let lines: Vec<&str> = (0..hex.len())
        .step_by(LINE_CHARS)
        .map(|at| &hex[at..hex.len().min(at + LINE_CHARS)])
        .collect();
    lines.join("\n\t\t")
}

fn compare_depmod(
    tree: &Installed,
    files: &[ModuleFile],
    kmod: &Kmod,
    scratch: &Path,
) -> Result<bool> {
    let out = scratch.join("depmod");
    fs::create_dir_all(&out).or_host(|| format!("cannot make {}", out.display()))?;
    output(&kmod.depmod(tree, Some(&out)))?;
    let theirs = out.join("lib/modules").join(&tree.release).join("modules.dep");
    let theirs = fs::read_to_string(&theirs)
        .or_host(|| format!("depmod did not write {}", theirs.display()))?;
    let graph = Graph::new(scan(files.to_vec()).modules);
    let ours = modules_dep::write(&graph)
        .map_err(|cycles| Problem::does_not_hold(format!("cycles: {cycles:?}")))?;
    let same = if ours == theirs { "byte for byte the same" } else { "not the same bytes" };
    outln!("  modules.dep, ours and depmod's: {same}");
    let parse = |text| modules_dep::parse(text).map_err(|error| Problem::host(error.to_string()));
    let (ours, theirs) = (parse(&ours)?, parse(&theirs)?);
    let edges: usize = theirs.iter().map(|line| line.needs.len()).sum();
    let closures = closure_differences(&ours, &theirs);
    let orders = order_differences(&graph, &ours);
    let closures = verdict(&format!("{} closures of {edges} modules", theirs.len()), &closures);
    Ok(verdict(&format!("{} load orders", ours.len()), &orders) && closures)
}

fn closure_differences(
    ours: &[modules_dep::ModulesDepLine<'_>],
    theirs: &[modules_dep::ModulesDepLine<'_>],
) -> Vec<String> {
    fn sets<'a>(
        lines: &'a [modules_dep::ModulesDepLine<'a>],
    ) -> HashMap<&'a str, BTreeSet<&'a str>> {
        lines.iter().map(|line| (line.path, line.needs.iter().copied().collect())).collect()
    }
    let (ours, theirs) = (sets(ours), sets(theirs));
    let paths: BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    let differs = |path: &&str| ours.get(path) != theirs.get(path);
    let differing = paths.into_iter().filter(differs);
    differing.map(|path| format!("{path}: ours {:?}", ours.get(path))).collect()
}

/// Read from right to left, with the module itself at the end, each line has to be a load order.
fn order_differences(graph: &Graph, lines: &[modules_dep::ModulesDepLine<'_>]) -> Vec<String> {
    let modules = graph.modules().iter().enumerate();
    let index: HashMap<&str, usize> = modules.map(|(i, m)| (m.file.path.as_str(), i)).collect();
    let broken = |line: &&modules_dep::ModulesDepLine<'_>| {
        let sequence = line.needs.iter().rev().chain([&line.path]);
        let sequence: Option<Vec<usize>> = sequence.map(|path| index.get(path).copied()).collect();
        !sequence.is_some_and(|sequence| is_load_order(graph, &sequence))
    };
    lines.iter().filter(broken).map(|line| line.path.to_owned()).collect()
}

/// What one module says it exports and imports, beside the kernel's Module.symvers.
struct Ties {
    exports: Vec<SymversEntry>,
    imports: Vec<(String, Option<u32>)>,
}

fn compare_symvers(files: &[ModuleFile], symvers: &Symvers) -> bool {
    let mut theirs: HashMap<String, Vec<&SymversEntry>> = HashMap::new();
    for entry in symvers.entries().iter().filter(|entry| entry.module != VMLINUX) {
        theirs.entry(entry.module_name()).or_default().push(entry);
    }
    let mut differences = Vec::new();
    let (mut exports, mut imports, mut crcs) = (0, 0, 0);
    let all = files.iter().collect::<Vec<_>>();
    for (file, ties) in files.iter().zip(map_files(&all, ties)) {
        let Some(Ok(ties)) = ties else {
            differences.push(format!("{}: not read", file.path));
            continue;
        };
        exports += ties.exports.len();
        imports += ties.imports.len();
        crcs += ties.imports.iter().filter(|(_, crc)| crc.is_some()).count();
        let named = theirs.remove(&file.name).unwrap_or_default();
        compare_exports(file, &ties.exports, &named, &mut differences);
        compare_imports(file, &ties.imports, symvers, &mut differences);
    }
    for (module, entries) in theirs {
        // The kernel's build makes modules that its packages leave out.
        outln!("  not in the tree: {module}, with {} exports", entries.len());
    }
    let what =
        format!("{exports} exports and {imports} imports ({crcs} with CRC) beside Module.symvers");
    verdict(&what, &differences)
}

fn ties(buffer: &mut ModuleBuffer, file: &ModuleFile) -> std::result::Result<Ties, FileError> {
    let module = Module::read(buffer.read(&file.full)?)?;
    let mut exports = Vec::new();
    for export in module.exports.iter() {
        let export = export?;
        exports.push(SymversEntry {
            crc: export.crc.unwrap_or(0),
            symbol: export.symbol.0.to_string(),
            module: file.name.clone(),
            license: export.license,
            namespace: export.namespace.to_string(),
        });
    }
    let imports = module.imports()?;
    let imports = imports.iter().map(|import| (import.symbol.0.to_string(), import.crc)).collect();
    Ok(Ties { exports, imports })
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
        .map(|&entry| SymversEntry { module: file.name.clone(), ..entry.clone() })
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
