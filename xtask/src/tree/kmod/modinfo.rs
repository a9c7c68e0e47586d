//! The facts that a module tells of itself, beside `modinfo -0`.

use std::{collections::HashMap, result};

use ko::{
    module::{Facts, Module},
    params::Param,
    signature::Signature,
};
use stack::module_file::ModuleFile;

use super::{Comparison, InstalledTree, Kmod};
use crate::{
    problem::{Problem, Result},
    tree::{
        scan::map_files,
        section_reader::{FileError, ModuleBuffer},
    },
};

/// The number of files that one modinfo is given: command lines have an end.
const BATCH: usize = 250;

/// Keys and values, sorted by key, with the order within a key kept.
type Fields = Vec<(String, Vec<u8>)>;

pub(super) fn compare(
    tree: &InstalledTree,
    files: &[ModuleFile],
    kmod: &Kmod,
) -> Result<Comparison> {
    let mut differences = Vec::new();
    let mut fields = 0;
    for batch in files.chunks(BATCH) {
        let modinfo = kmod.tool("modinfo", tree).arg("-0");
        let modinfo = modinfo.args(batch.iter().map(|file| &file.full));
        let theirs = parse_modinfo(&modinfo.stdout_bytes()?)?;
        let ours = map_files(batch, our_fields);
        for (file, ours) in batch.iter().zip(ours) {
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
    let what = format!("fields of {} modules, inspect and modinfo", files.len());
    Ok(Comparison { compared: fields, what, differences })
}

/// Adds the first difference of two lists.
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

fn our_fields(buffer: &mut ModuleBuffer, file: &ModuleFile) -> result::Result<Fields, String> {
    let mut read =
        || Ok(fields_of(&Module::read_in_part(buffer.read_for_kmod(&file.full)?)?.facts()));
    let mut fields = read().map_err(|error: FileError| error.to_string())?;
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
