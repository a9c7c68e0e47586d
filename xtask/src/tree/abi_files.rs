//! The files that state an ABI: Module.symvers and `*.symtypes`.

use std::{fs, path::Path};

use stack::{symtypes::Symtypes, symvers::Symvers};

use crate::{
    host::file_system::{read_given, read_given_text},
    problem::{OrProblem, Problem, Result},
};

/// Reads a Module.symvers.
///
/// # Errors
/// A file that cannot be read is the request's fault; one that modpost would refuse does not hold.
pub fn read_symvers(path: &Path) -> Result<Symvers> {
    let bytes = read_given(path)?;
    Symvers::parse(bytes)
        .map_err(|error| Problem::does_not_hold(format!("{}: {error}", path.display())))
}

/// Reads a `.symtypes` file.
///
/// # Errors
/// A file that cannot be read, or that gendwarfksyms did not write.
pub fn read_symtypes(path: &Path) -> Result<Symtypes> {
    let text = read_given_text(path)?;
    Symtypes::parse(&text)
        .map_err(|error| Problem::does_not_hold(format!("{}: {error}", path.display())))
}

/// Adds a file, or every `*.symtypes` below a directory.
///
/// # Errors
/// As [`read_symtypes`].
pub fn merge_symtypes(path: &Path, into: &mut Symtypes) -> Result<()> {
    if !path.is_dir() {
        into.merge(read_symtypes(path)?);
        return Ok(());
    }
    let unreadable = || format!("cannot read {}", path.display());
    for entry in fs::read_dir(path).or_usage(unreadable)? {
        let entry = entry.or_usage(unreadable)?;
        let (path, kind) = (entry.path(), entry.file_type());
        let is_dir = kind.is_ok_and(|kind| kind.is_dir());
        if is_dir || path.extension().is_some_and(|extension| extension == "symtypes") {
            merge_symtypes(&path, into)?;
        }
    }
    Ok(())
}
