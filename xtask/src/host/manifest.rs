//! The files of a complete entry of the cache: their stamps and checksums, so that damage to them
//! is told from a fault of what uses them.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    io::{self, Read as _, Seek as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rayon::prelude::*;
use rustix::io::Errno;

use crate::{
    host::{file_system::files_below, open},
    printer::Shown as _,
    problem::{Problem, Result},
};

/// The file of an entry that lists the others.
pub const MANIFEST: &str = ".manifest";
/// The files of a root's entry that each version of symstack writes anew: the script that enters it
/// and the system calls that are refused there.
const WRITTEN_ANEW: [&str; 2] = ["enter", "refused-calls.bpf"];
/// Bytes of the last line, which is the checksum of the others.
const SUM: usize = 9;
/// The unit in which holes are left out.
const PAGE: usize = 4096;

/// The share of an entry that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The files whose stamps differ.
    Changed,
    /// All files.
    Whole,
}

/// Writes the manifest of a folder that is complete.
///
/// # Errors
/// A file cannot be read, or the manifest cannot be written.
pub fn write(folder: &Path) -> io::Result<()> {
    let files = files_below(folder)?;
    let lines: Vec<Option<String>> =
        files.par_iter().map(|file| line_of(folder, file)).collect::<io::Result<_>>()?;
    let mut text: String = lines.into_iter().flatten().collect();
    text.push_str(&sum_line(&text));
    let aside = folder.join(format!("{MANIFEST}.{}", std::process::id()));
    fs::write(&aside, text).and_then(|()| fs::rename(&aside, folder.join(MANIFEST))).inspect_err(
        |_| {
            let _ = fs::remove_file(&aside);
        },
    )
}

/// Returns the first damage to a folder's files, in a few words. A folder without a manifest, or
/// none at all, has no damage that is known.
pub fn damage(folder: &Path, depth: Depth) -> Option<String> {
    let lines = match lines(folder)? {
        Ok(lines) => lines,
        Err(why) => return Some(why),
    };
    let judged = lines.par_iter().map(|line| judge(folder, line, depth));
    let found = judged.filter(|judged| *judged != Judged::Same).collect::<Vec<_>>();
    let damage = found.iter().find_map(|judged| match judged {
        Judged::Damaged(why) => Some(why.clone()),
        _ => None,
    });
    if damage.is_none() && !found.is_empty() {
        // As after a copy: the next time the stamps are enough. If not, it takes longer again.
        let _ = write(folder);
    }
    damage
}

/// Returns the damage to one file of a folder, in a few words.
pub fn damage_to(folder: &Path, file: &Path) -> Option<String> {
    let text = open::read_text(folder.join(MANIFEST)).ok()?;
    // Of some 20,000 lines one is read.
    let end = text.find(&format!(" {}\n", file.to_str()?))?;
    let begin = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
    match judge(folder, &line(text[begin..].lines().next()?)?, Depth::Changed) {
        Judged::Damaged(why) => Some(why),
        _ => None,
    }
}

/// The entries that this process used.
static USED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// `true` once a program ran in a sandbox.
static RAN: AtomicBool = AtomicBool::new(false);

/// Remembers that a program runs in a sandbox, and so the files of a root are used.
pub(super) fn ran() {
    RAN.store(true, Ordering::Relaxed);
}

/// Remembers an entry as one that this process used.
pub(super) fn used(entry: &Path) {
    USED.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.into());
}

/// Checks the entries that this process used, before anyone is blamed for what went wrong.
///
/// # Errors
/// One of them is damaged.
pub fn require_used() -> Result<()> {
    let mut used = USED.lock().unwrap_or_else(PoisonError::into_inner);
    // One that is whole is not looked at again: a proof asks first, and then the verb.
    while let Some(entry) = used.first() {
        // Its tens of thousands of files are looked at only where one of them had a part.
        if is_root(entry) && !RAN.load(Ordering::Relaxed) {
            used.pop_first();
            continue;
        }
        damage(entry, Depth::Changed).map_or(Ok(()), |why| Err(damaged(entry, &why)))?;
        used.pop_first();
    }
    Ok(())
}

fn is_root(entry: &Path) -> bool {
    entry.parent().is_some_and(|folder| folder.ends_with("roots"))
}

/// The problem that an entry is damaged.
pub(super) fn damaged(entry: &Path, why: &str) -> Problem {
    let place = entry.shown();
    let quoted = shell_words::quote(&place.to_string()).into_owned();
    let problem = Problem::host(format!("the cache is damaged: in {place}, {why}"));
    problem.hint(format!("remove it, and the next run makes it again: rm -r {quoted}"))
}

/// A line of a manifest.
struct Line {
    stamp: String,
    sum: String,
    path: PathBuf,
}

/// The state of a file.
#[derive(PartialEq, Eq)]
enum Judged {
    Same,
    /// Another stamp, and the same contents.
    Touched,
    Damaged(String),
}

fn judge(folder: &Path, line: &Line, depth: Depth) -> Judged {
    let (path, name) = (folder.join(&line.path), line.path.shown());
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        // Another user's cache may have folders that we cannot look into: nothing is known of them.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Judged::Same,
        Err(_) => return Judged::Damaged(format!("{name} is gone")),
    };
    let same = stamp(&metadata) == line.stamp;
    if same && depth == Depth::Changed {
        return Judged::Same;
    }
    match sum_of(&path, &metadata) {
        Ok(Some(sum)) if sum == line.sum => {
            if same {
                Judged::Same
            } else {
                Judged::Touched
            }
        }
        Ok(_) => Judged::Damaged(format!("{name} is not what was written")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Judged::Same,
        Err(error) => Judged::Damaged(format!("{name} cannot be read: {error}")),
    }
}

/// The lines of a folder's manifest, if it has one.
fn lines(folder: &Path) -> Option<Result<Vec<Line>, String>> {
    let text = match open::read_text(folder.join(MANIFEST)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(_) => return None,
    };
    Some(parse(&text).ok_or_else(|| format!("{MANIFEST} is not what was written")))
}

fn parse(text: &str) -> Option<Vec<Line>> {
    let (body, sum) = text.split_at_checked(text.len().checked_sub(SUM)?)?;
    if sum != sum_line(body) {
        return None;
    }
    body.lines().map(line).collect()
}

fn line(line: &str) -> Option<Line> {
    let (stamp, rest) = line.split_once(' ')?;
    let (sum, path) = rest.split_once(' ')?;
    Some(Line { stamp: stamp.into(), sum: sum.into(), path: path.into() })
}

/// The last line of a manifest.
fn sum_line(body: &str) -> String {
    format!("{:08x}\n", crc32fast::hash(body.as_bytes()))
}

/// The line of a file; none for what is no file, and for names that a line cannot hold.
fn line_of(folder: &Path, file: &Path) -> io::Result<Option<String>> {
    let path = file.strip_prefix(folder).unwrap_or(file);
    let anew = WRITTEN_ANEW.iter().any(|name| path == Path::new(name));
    let of_root = anew && folder.join("root").is_dir();
    let Some(name) = path.to_str().filter(|name| !name.contains('\n') && !of_root) else {
        return Ok(None);
    };
    if path.as_os_str().as_bytes().starts_with(MANIFEST.as_bytes()) {
        return Ok(None);
    }
    let metadata = file.symlink_metadata()?;
    let sum = sum_of(file, &metadata)?;
    Ok(sum.map(|sum| format!("{} {sum} {name}\n", stamp(&metadata))))
}

/// Returns the facts that show that a file was written, without its contents. Its number counts
/// not: a copy has another, and every write changes the time of change.
fn stamp(file: &Metadata) -> String {
    let (modified, changed) =
        ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    format!("{},{}.{:09},{}.{:09}", file.size(), modified.0, modified.1, changed.0, changed.1)
}

/// The checksum of a regular file or of a link's target; none of anything else.
fn sum_of(path: &Path, file: &Metadata) -> io::Result<Option<String>> {
    if file.is_symlink() {
        let target = fs::read_link(path)?;
        return Ok(Some(format!("link-{:08x}", crc32fast::hash(target.as_os_str().as_bytes()))));
    }
    if !file.is_file() {
        return Ok(None);
    }
    let (length, sum) = checksum(path)?;
    Ok(Some(format!("{length}-{sum:08x}")))
}

/// The length of a file, and a sum over its pages with their places. A page of zeros does not
/// count, whether it is a hole or was written, so a copy has the same sum.
///
/// # Errors
/// It cannot be read.
pub fn checksum(path: &Path) -> io::Result<(u64, u32)> {
    let (mut file, metadata) = open::open(path, open::FILE_BYTES_MAX)?;
    let length = metadata.len();
    let mut sum = crc32fast::Hasher::new();
    let mut buffer = Vec::with_capacity(256 * PAGE);
    let mut at = 0;
    loop {
        at = match rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)) {
            Ok(at) => at - at % PAGE as u64,
            // The rest of the file is a hole.
            Err(Errno::NXIO) => return Ok((length, sum.finalize())),
            Err(error) => return Err(error.into()),
        };
        file.seek(io::SeekFrom::Start(at))?;
        buffer.clear();
        let read = (&file).take(256 * PAGE as u64).read_to_end(&mut buffer)?;
        for (number, page) in buffer.chunks(PAGE).enumerate() {
            if page != &ZEROS[..page.len()] {
                sum.update(&(at + (number * PAGE) as u64).to_le_bytes());
                sum.update(page);
            }
        }
        at += read as u64;
        if read == 0 {
            return Ok((length, sum.finalize()));
        }
    }
}

static ZEROS: [u8; PAGE] = [0; PAGE];

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn one_byte_of_any_file_is_noticed_and_a_touch_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("usr/lib")).unwrap();
        fs::write(path("usr/lib/a b"), "word").unwrap();
        fs::write(path("image"), vec![7; 3 * PAGE]).unwrap();
        std::os::unix::fs::symlink("image", path("link")).unwrap();
        let damage = |depth| damage(folder.path(), depth);
        assert_eq!(damage(Depth::Whole), None, "without a manifest nothing is known");
        write(folder.path()).unwrap();
        assert_eq!(damage(Depth::Whole), None);
        let again = || {
            fs::write(path("usr/lib/a b"), "word").unwrap();
            assert_eq!(damage(Depth::Changed), None, "a touch");
        };
        again();
        fs::write(path("usr/lib/a b"), "wort").unwrap();
        assert_eq!(damage(Depth::Changed).unwrap(), "usr/lib/a b is not what was written");
        assert!(damage_to(folder.path(), Path::new("usr/lib/a b")).is_some());
        assert_eq!(damage_to(folder.path(), Path::new("image")), None);
        again();
        File::options().write(true).open(path("image")).unwrap().set_len(PAGE as u64).unwrap();
        assert_eq!(damage(Depth::Changed).unwrap(), "image is not what was written");
        fs::write(path("image"), vec![7; 3 * PAGE]).unwrap();
        fs::remove_file(path("link")).unwrap();
        assert_eq!(damage(Depth::Changed).unwrap(), "link is gone");
        std::os::unix::fs::symlink("usr", path("link")).unwrap();
        assert_eq!(damage(Depth::Changed).unwrap(), "link is not what was written");
    }

    #[test]
    fn a_manifest_that_is_damaged_itself_says_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "word").unwrap();
        write(folder.path()).unwrap();
        let manifest = folder.path().join(MANIFEST);
        let whole = fs::read(&manifest).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(&manifest, &bytes).unwrap();
            assert!(damage(folder.path(), Depth::Changed).is_some(), "{at}");
            fs::write(&manifest, &whole[..at]).unwrap();
            assert!(damage(folder.path(), Depth::Changed).is_some(), "cut at {at}");
        }
    }
}
