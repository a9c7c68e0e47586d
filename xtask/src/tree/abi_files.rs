//! The files that state an ABI: Module.symvers and `*.symtypes`.

use std::path::Path;

use stack::{symtypes::Symtypes, symvers::Symvers};

use crate::{
    host::file_system::{files_below, has_extension, read_given, read_given_text},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// Reads a Module.symvers.
///
/// # Errors
/// A file that cannot be read, or that modpost would refuse: about it nothing can be said.
pub fn read_symvers(path: &Path) -> Result<Symvers> {
    Symvers::parse(read_given(path)?).map_err(|error| {
        let problem = Problem::usage(format!("{}: {error}", path.shown()));
        problem.hint("copy it again from the build that wrote it")
    })
}

/// Reads a `.symtypes` file.
///
/// # Errors
/// A file that cannot be read, or that gendwarfksyms did not write.
pub fn read_symtypes(path: &Path) -> Result<Symtypes> {
    let text = read_given_text(path)?;
    Symtypes::parse(&text).map_err(|error| {
        let problem = Problem::usage(format!("{}: {error}", path.shown()));
        problem.hint("build it again: make KBUILD_SYMTYPES=1")
    })
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
    let files = files_below(path).or_usage(|| format!("cannot read {}", path.shown()))?;
    let mut files = files.iter().filter(|file| has_extension(file, "symtypes"));
    files.try_for_each(|file| read_symtypes(file).map(|types| into.merge(types)))
}
