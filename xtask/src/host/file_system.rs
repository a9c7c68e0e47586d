//! Files and folders, each error with the path that it is about.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{
    host::open,
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// The bytes of a file.
///
/// # Errors
/// It cannot be read, which is this machine's fault.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    open::read(path).or_host(|| format!("{} cannot be read", path.shown()))
}

/// The text of a file.
///
/// # Errors
/// It cannot be read or is not UTF-8, which is this machine's fault.
pub fn read_text(path: &Path) -> Result<String> {
    open::read_text(path).or_host(|| format!("{} cannot be read", path.shown()))
}

/// The bytes of a file that a user names.
///
/// # Errors
/// It cannot be read, which is the request's fault.
pub fn read_given(path: &Path) -> Result<Vec<u8>> {
    open::read(path).or_usage(|| format!("{} cannot be read", path.shown()))
}

/// The text of a file that a user names.
///
/// # Errors
/// It cannot be read or is not UTF-8, which is the request's fault.
pub fn read_given_text(path: &Path) -> Result<String> {
    open::read_text(path).or_usage(|| format!("{} cannot be read", path.shown()))
}

/// Writes a file.
///
/// # Errors
/// It cannot be written, which is this machine's fault.
pub fn write_file(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, contents).or_host(|| format!("{} cannot be written", path.shown()))
}

/// Writes a file that a user names.
///
/// # Errors
/// It cannot be written, which is the request's fault.
pub fn write_given(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    open::write(path, contents.as_ref()).or_usage(|| format!("{} cannot be written", path.shown()))
}

/// Copies a file.
///
/// # Errors
/// It cannot be copied; both are named.
pub fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to).map(drop);
    copied.or_host(|| format!("{} cannot be copied to {}", from.shown(), to.shown()))
}

/// Makes a folder and those above it.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).or_host(|| format!("{} cannot be made", folder.shown()))
}

/// The names in a folder, in order.
///
/// # Errors
/// It cannot be read.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    let unreadable = || format!("{} cannot be read", folder.shown());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).or_host(unreadable)? {
        names.push(entry.or_host(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The files below a folder, in order. Links to folders count as files.
///
/// # Errors
/// A folder cannot be read.
pub fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// `true` if a file's name ends in a dot and this.
pub fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|end| end == extension)
}

/// Returns the time since a file was written, if it is there.
pub fn age(path: &Path) -> Option<Duration> {
    let written = path.metadata().and_then(|file| file.modified()).ok()?;
    SystemTime::now().duration_since(written).ok()
}
