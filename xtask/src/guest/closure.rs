//! What a program of the private root needs to run elsewhere: its interpreter and its libraries.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use object::{
    Endianness, elf,
    read::elf::{Dyn, FileHeader, ProgramHeader},
};

use crate::{
    host::root::Root,
    problem::{OrProblem, Problem, Result},
};

/// Where Debian keeps libraries, in the order in which the loader looks.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "usr/lib"];
/// More files than this are no small tool's closure.
const FILES_MAX: usize = 64;

type Header = elf::FileHeader64<Endianness>;

/// The files of the root, as paths within it, without which `program` cannot run; itself first.
///
/// # Errors
/// One of them is absent or is no ELF file of this architecture.
pub(super) fn of(root: &Root, program: &str) -> Result<Vec<PathBuf>> {
    let mut waiting = vec![PathBuf::from(program)];
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    while let Some(file) = waiting.pop() {
        if !seen.insert(file.clone()) {
            continue;
        }
        if files.len() == FILES_MAX {
            return Err(Problem::host(format!("{program} needs more than {FILES_MAX} files")));
        }
        let path = root.path(&file);
        let data = fs::read(&path).or_host(|| format!("{} cannot be read", path.display()))?;
        let needs = needs(&data).map_err(|why| {
            Problem::host(format!("{} cannot be put in the guest: {why}", path.display()))
        })?;
        for need in needs {
            waiting.push(find(root, &need)?);
        }
        files.push(file);
    }
    Ok(files)
}

/// What an ELF file names: its interpreter's path, its libraries' names.
fn needs(data: &[u8]) -> std::result::Result<Vec<String>, String> {
    let words = |error: object::Error| error.to_string();
    let header = Header::parse(data).map_err(words)?;
    let endian = header.endian().map_err(words)?;
    if header.e_machine(endian) != elf::EM_X86_64 {
        return Err("it is of another architecture".into());
    }
    let mut names = Vec::new();
    let segments = header.program_headers(endian, data).map_err(words)?;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, data).map_err(words)? {
            names.push(String::from_utf8_lossy(interpreter).into_owned());
        }
    }
    let sections = header.sections(endian, data).map_err(words)?;
    let Some((dynamic, link)) = sections.dynamic(endian, data).map_err(words)? else {
        return Ok(names);
    };
    let strings = sections.strings(endian, data, link).map_err(words)?;
    for entry in dynamic.iter().filter(|entry| entry.d_tag(endian) == elf::DT_NEEDED) {
        let name = u32::try_from(entry.d_val(endian)).ok().and_then(|at| strings.get(at).ok());
        let name = name.ok_or("the name of a library lies outside its strings")?;
        names.push(String::from_utf8_lossy(name).into_owned());
    }
    Ok(names)
}

/// The path within the root of a library's name or of an absolute path.
fn find(root: &Root, name: &str) -> Result<PathBuf> {
    if let Some(path) = name.strip_prefix('/') {
        // The interpreter is named by way of /lib64, a link to /usr/lib64 in a merged root.
        let path = Path::new(path);
        return Ok(if path.starts_with("usr") { path.into() } else { Path::new("usr").join(path) });
    }
    let places = LIBRARIES.iter().map(|folder| Path::new(folder).join(name));
    let found = places.into_iter().find(|place| root.path(place).exists());
    found.ok_or_else(|| Problem::host(format!("the private root lacks the library {name}")))
}
