//! depmod.d: the files that are given by `-C`, in depmod's order.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use stack::depmod_config::DepmodConfig;

use crate::{
    host::{file_system::read_given_text, root_kmod::kmod_facts},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// Reads the configuration in files and in folders of `.conf` files, for a kernel's release. The
/// files are taken by their names, whatever folder they lie in; of one name, the first that was
/// given counts (`cfg_files_insert_sorted()`, kmod's `tools/depmod.c`).
///
/// # Errors
/// A path that cannot be read, or a version pattern that cannot be decided.
pub fn depmod_config(paths: &[PathBuf], release: &str) -> Result<DepmodConfig> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        let found = if path.is_dir() { files_of(path)? } else { vec![path.clone()] };
        for file in found {
            if !files.iter().any(|known| known.file_name() == file.file_name()) {
                files.push(file);
            }
        }
    }
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let mut config = DepmodConfig::of_kmod(kmod_facts());
    for path in files {
        config = config.with_file(&read_given_text(&path)?, release).map_err(|error| {
            let problem = Problem::usage(format!("{}: {error}", path.shown()));
            problem.hint("write it as a POSIX extended regular expression, or as *")
        })?;
    }
    Ok(config)
}

/// The files of a folder that depmod reads: those named `….conf` that are not hidden.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("cannot read {}", folder.shown());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).or_usage(what)? {
        let path = entry.or_usage(what)?.path();
        let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
        if !name.starts_with(b".") && name.ends_with(b".conf") && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(files)
}
