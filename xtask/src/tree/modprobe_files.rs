//! The files that modprobe reads beside the modules: the files of modprobe.d, and the lists of what
//! is built in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ko::kmod_facts::KmodFacts;
use stack::{built_in::BuiltIn, kmod_rules::KmodRule, modprobe_config::ConfigFile};

use crate::{
    host::file_system::read_given,
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// Reads files and the files of directories, in the order of kmod's `-C`: of a directory those that
/// end in `.conf` and do not begin with a dot (`conf_files_filter_out()`, kmod's
/// `libkmod/libkmod-config.c`).
///
/// # Errors
/// A file that cannot be read.
pub fn config_files(paths: &[PathBuf], kmod: KmodFacts) -> Result<Vec<ConfigFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries =
                fs::read_dir(path).or_usage(|| format!("cannot read {}", path.shown()))?;
            let names = entries.flatten().map(|entry| entry.path());
            files.extend(names.filter(|path| is_config(path, kmod)));
        } else {
            files.push(path.clone());
        }
    }
    files.iter().map(|path| config_file(path)).collect()
}

fn is_config(path: &Path, kmod: KmodFacts) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = |end: &str| name.len() > end.len() && name.ends_with(end);
    let is_named = ends(".conf") || !KmodRule::OnlyConfFiles.holds_for(kmod) && ends(".alias");
    is_named && !name.starts_with('.') && !path.is_dir()
}

fn config_file(path: &Path) -> Result<ConfigFile> {
    let text = String::from_utf8_lossy(&read_given(path)?).into_owned();
    Ok(ConfigFile { path: path.shown().to_string(), text })
}

/// Returns the built-in modules of a tree's kernel; nothing, where the tree has no such lists.
///
/// # Errors
/// A list that cannot be read.
pub fn built_in(tree: &Path) -> Result<BuiltIn> {
    let read = |name: &str| {
        let path = tree.join(name);
        if path.exists() { read_given(&path) } else { Ok(Vec::new()) }
    };
    let names = read("modules.builtin")?;
    Ok(BuiltIn::read(&String::from_utf8_lossy(&names), &read("modules.builtin.modinfo")?))
}
