//! Files in a folder that others could write: a sandboxed build, or the author of its sources.
//!
//! Every path is followed from an open folder, one name at a time and never through a link, so no
//! file outside of that folder is read, written or removed, whatever lies in it. What is read must
//! be a regular file and within a size; no FIFO or device is ever opened for it. `openat2` would
//! say the same in one call, but older kernels and some containers refuse it.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, chmod,
        fchmod, fstat, futimens, mkdirat, openat, renameat, renameat_with, statat, unlinkat,
    },
    io::Errno,
};

use crate::host::entry::{
    Content, EntryKind, LinkTarget, modified, regular, too_large, within_depth, within_limit,
};

/// The name under which a file is written, until it is complete.
const PARTIAL: &str = ".symstack-partial";
/// Opens a folder itself, never one that a link leads to.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Opens a file without waiting for whoever is at its other end.
const READ: OFlags =
    OFlags::NONBLOCK.union(OFlags::NOFOLLOW).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// Makes a file, and never writes to one that is there.
const CREATE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open folder.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    /// It is absent or no folder, or its last name is a link's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, FOLDER, Mode::empty())?))
    }

    /// Opens a folder, which is made anew where it is absent or something else has its name. The
    /// folder above it is ours.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(path: &Path) -> io::Result<Self> {
        let (above, name) = split(path)?;
        std::fs::create_dir_all(above)?;
        // The way to our own folder may lead through links, of the user's.
        let above = openat(CWD, above, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Self(above).made(name)
    }

    /// The kind of what has this path, and its status.
    fn stat(&self, path: &Path) -> io::Result<(EntryKind, Stat)> {
        let (above, name) = split(path)?;
        let stat = statat(&self.within(above)?.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((FileType::from_raw_mode(stat.st_mode).into(), stat))
    }

    /// The kind of what has this path.
    ///
    /// # Errors
    /// Nothing has it, or a link is on the way to it.
    pub fn kind(&self, path: &Path) -> io::Result<EntryKind> {
        Ok(self.stat(path)?.0)
    }

    /// The bytes of a regular file of at most `max` bytes.
    ///
    /// # Errors
    /// It cannot be read, is larger or no regular file, or a link is on the way to it.
    pub fn read(&self, path: &Path, max: u64) -> io::Result<Content> {
        let (above, name) = split(path)?;
        let above = self.within(above)?;
        // Before it is opened: to open a device may have an effect.
        regular(&statat(&above.0, name, AtFlags::SYMLINK_NOFOLLOW)?, max)?;
        let file = File::from(openat(&above.0, name, READ, Mode::empty())?);
        let stat = fstat(&file)?;
        let size = regular(&stat, max)?;
        let mut bytes = Vec::with_capacity(size);
        // It may have grown since.
        file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(too_large(max));
        }
        let modified = modified(&stat);
        Ok(Content { bytes, executable: stat.st_mode & 0o100 != 0, modified })
    }

    /// `true` if a regular file has these bytes, and may be executed or not as said.
    pub fn holds(&self, path: &Path, content: &Content) -> bool {
        let old = self.read(path, content.bytes.len() as u64);
        old.is_ok_and(|old| old.executable == content.executable && old.bytes == content.bytes)
    }

    /// The size and the time of the last change of a regular file.
    ///
    /// # Errors
    /// As [`Folder::kind`]; or it is no regular file.
    pub fn stamp(&self, path: &Path) -> io::Result<String> {
        let (_, stat) = self.stat(path)?;
        regular(&stat, u64::MAX)?;
        let changed = (stat.st_ctime, stat.st_ctime_nsec);
        Ok(format!("{} {} {}.{}", stat.st_ino, stat.st_size, changed.0, changed.1))
    }

    /// Writes a file in the place of whatever has its path, and makes the folders above it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(
        &self,
        path: &Path,
        bytes: &[u8],
        mode: u32,
        modified: Option<Timespec>,
    ) -> io::Result<()> {
        let (above, name) = split(path)?;
        let mut folder = self.within(Path::new(""))?;
        for name in names(above)? {
            folder = folder.made(name)?;
        }
        folder.clear(OsStr::new(PARTIAL))?;
        let mode = Mode::from_raw_mode(mode);
        let mut file = File::from(openat(&folder.0, PARTIAL, CREATE, mode)?);
        file.write_all(bytes)?;
        if let Some(modified) = modified {
            let (last_access, last_modification) = (modified, modified);
            futimens(&file, &Timestamps { last_access, last_modification })?;
        }
        match renameat(&folder.0, PARTIAL, &folder.0, name) {
            Err(Errno::ISDIR) => {
                folder.clear(name)?;
                Ok(renameat(&folder.0, PARTIAL, &folder.0, name)?)
            }
            renamed => Ok(renamed?),
        }
    }

    /// Removes a file or a link, and no folder.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let (above, name) = split(path)?;
        Ok(unlinkat(&self.within(above)?.0, name, AtFlags::empty())?)
    }

    /// The names in a folder in order, each with its kind.
    ///
    /// # Errors
    /// It cannot be read, has too many names, or a link is on the way to it.
    pub fn list(&self, path: &Path) -> io::Result<Vec<(OsString, EntryKind)>> {
        let folder = self.within(path)?;
        let mut found = Vec::new();
        folder.each(|name, kind| {
            found.push((name.to_owned(), kind));
            within_limit(found.len())
        })?;
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// All below it that is no folder, in order.
    ///
    /// # Errors
    /// A folder cannot be read or lies too deep, or there are too many.
    pub fn walk(&self) -> io::Result<Vec<(PathBuf, EntryKind)>> {
        let (mut found, mut todo, mut seen) = (Vec::new(), vec![PathBuf::new()], 0);
        while let Some(folder) = todo.pop() {
            within_depth(&folder)?;
            for (name, kind) in self.list(&folder)? {
                seen += 1;
                within_limit(seen)?;
                let path = folder.join(name);
                match kind {
                    EntryKind::Folder => todo.push(path),
                    kind => found.push((path, kind)),
                }
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// The place to which a link leads. `this` is the path of this folder, without links.
    pub fn target(&self, this: &Path, link: &Path) -> LinkTarget {
        match std::fs::canonicalize(this.join(link)) {
            Err(_) => LinkTarget::Nowhere,
            Ok(whole) => whole
                .strip_prefix(this)
                .map_or(LinkTarget::Outside, |within| LinkTarget::Within(within.into())),
        }
    }

    /// A folder below it.
    fn within(&self, path: &Path) -> io::Result<Self> {
        let mut folder = self.0.try_clone()?;
        for name in names(path)? {
            folder = openat(&folder, name, FOLDER, Mode::empty())?;
        }
        Ok(Self(folder))
    }

    /// The folder of this name, made where it is absent or something else has the name.
    fn made(&self, name: &OsStr) -> io::Result<Self> {
        match openat(&self.0, name, FOLDER, Mode::empty()) {
            Ok(folder) => return Ok(Self(folder)),
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR | Errno::LOOP) => unlinkat(&self.0, name, AtFlags::empty())?,
            Err(error) => return Err(error.into()),
        }
        mkdirat(&self.0, name, Mode::from_raw_mode(0o777))?;
        Ok(Self(openat(&self.0, name, FOLDER, Mode::empty())?))
    }

    /// Removes what has this name, and all in it.
    fn clear(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR) => {}
            removed => return Ok(removed?),
        }
        let top = self.opened(name)?;
        // Folders in `top`, to which those deeper down are moved: however deep they lie, few
        // descriptors and no recursion are needed.
        let (mut todo, mut moved) = (Vec::new(), 0_u64);
        top.empty(|folder| {
            todo.push(folder.to_owned());
            Ok(())
        })?;
        while let Some(above) = todo.pop() {
            let folder = top.opened(&above)?;
            folder.empty(|deeper| {
                // Its `..` changes, so it must be writable.
                drop(folder.opened(deeper)?);
                let to = loop {
                    let to = OsString::from(format!(".symstack-moved-{moved}"));
                    moved += 1;
                    match renameat_with(&folder.0, deeper, &top.0, &to, RenameFlags::NOREPLACE) {
                        Err(Errno::EXIST) => {}
                        renamed => break renamed.map(|()| to)?,
                    }
                };
                todo.push(to);
                Ok(())
            })?;
            unlinkat(&top.0, &above, AtFlags::REMOVEDIR)?;
        }
        Ok(unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes all files in it, and names each of its folders.
    fn empty(&self, mut folder: impl FnMut(&OsStr) -> io::Result<()>) -> io::Result<()> {
        self.each(|name, kind| match kind {
            EntryKind::Folder => folder(name),
            _ => Ok(unlinkat(&self.0, name, AtFlags::empty())?),
        })
    }

    /// The folder of this name, which its owner may read and write from now on.
    fn opened(&self, name: &OsStr) -> io::Result<Self> {
        let owners = Mode::from_raw_mode(0o700);
        let folder = match openat(&self.0, name, FOLDER, Mode::empty()) {
            Err(Errno::ACCESS) => {
                let path = openat(&self.0, name, FOLDER | OFlags::PATH, Mode::empty())?;
                chmod(format!("/proc/self/fd/{}", path.as_raw_fd()), owners)?;
                openat(&self.0, name, FOLDER, Mode::empty())?
            }
            opened => opened?,
        };
        if fstat(&folder)?.st_mode & 0o700 != 0o700 {
            fchmod(&folder, owners)?;
        }
        Ok(Self(folder))
    }

    fn each(&self, mut see: impl FnMut(&OsStr, EntryKind) -> io::Result<()>) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind(Path::new(name))?,
                kind => kind.into(),
            };
            see(name, kind)?;
        }
        Ok(())
    }
}

/// Removes a folder and all in it, if it is there; of a link, the link.
///
/// # Errors
/// Something in it cannot be removed.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    let (above, name) = split(path)?;
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    match openat(CWD, above, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => Ok(()),
        above => Folder(above?).clear(name),
    }
}

fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    path.parent().zip(path.file_name()).ok_or_else(leads_out)
}

/// The names that a path is made of.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let name = |component| match component {
        Component::Normal(name) => Ok(name),
        _ => Err(leads_out()),
    };
    path.components().map(name).collect()
}

fn leads_out() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "its path leads out of the folder")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    fn beside() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let base = tempfile::tempdir().unwrap();
        let (inside, outside) = (base.path().join("in"), base.path().join("out"));
        for folder in [&inside, &outside] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "kept").unwrap();
        }
        (base, inside, outside)
    }

    #[test]
    fn no_link_and_no_path_leads_out() {
        let (_base, inside, outside) = beside();
        symlink(&outside, inside.join("up")).unwrap();
        symlink(outside.join("file"), inside.join("link")).unwrap();
        let folder = Folder::open(&inside).unwrap();
        for path in ["up/file", "link", "../out/file", "/etc/passwd", "..", "", "a/../../out/file"]
        {
            assert!(folder.read(Path::new(path), 10).is_err(), "{path}");
            assert!(path == "link" || folder.remove(Path::new(path)).is_err(), "{path}");
        }
        assert!(folder.list(Path::new("up")).is_err());
        folder.write(Path::new("up/file"), b"ours", 0o644, None).unwrap();
        folder.write(Path::new("link"), b"ours", 0o644, None).unwrap();
        for name in ["up/file", "link"] {
            assert_eq!(folder.read(Path::new(name), 4).unwrap().bytes, b"ours");
        }
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "kept");
        assert!(folder.write(Path::new("../out/file"), b"", 0o644, None).is_err());
    }

    #[test]
    fn only_a_regular_file_within_the_size_is_read() {
        let (_base, inside, _) = beside();
        let folder = Folder::open(&inside).unwrap();
        rustix::fs::mknodat(CWD, inside.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(inside.join("socket")).unwrap();
        fs::File::create(inside.join("huge")).unwrap().set_len(1 << 40).unwrap();
        for (name, said) in [
            ("fifo", "it is a FIFO"),
            ("socket", "it is a socket"),
            ("huge", "larger than 1024 bytes"),
            (".", "leads out"),
        ] {
            let error = folder.read(Path::new(name), 1024).unwrap_err().to_string();
            assert!(error.contains(said), "{name}: {error}");
        }
        assert!(folder.read(Path::new("file"), 4).is_ok());
        assert!(folder.read(Path::new("file"), 3).is_err());
    }

    #[test]
    fn a_file_takes_the_place_of_a_folder() {
        let (_base, inside, outside) = beside();
        fs::create_dir_all(inside.join("a/b/c")).unwrap();
        symlink(&outside, inside.join("a/b/out")).unwrap();
        let folder = Folder::open(&inside).unwrap();
        folder.write(Path::new("a"), b"1", 0o644, None).unwrap();
        folder.write(Path::new("a/b"), b"2", 0o644, None).unwrap();
        assert_eq!(folder.walk().unwrap().len(), 2);
        assert!(outside.join("file").exists());
    }

    #[test]
    fn a_removal_ends_however_deep_and_leaves_what_links_lead_to() {
        let (_base, inside, outside) = beside();
        let mut deep = openat(CWD, &inside, FOLDER, Mode::empty()).unwrap();
        for _ in 0..1100 {
            mkdirat(&deep, "d", Mode::RWXU).unwrap();
            rustix::fs::symlinkat(&outside, &deep, "out").unwrap();
            deep = openat(&deep, "d", FOLDER, Mode::empty()).unwrap();
        }
        let error = Folder::open(&inside).unwrap().walk().unwrap_err().to_string();
        assert!(error.contains("more than 64 deep"), "{error}");
        fs::create_dir_all(inside.join("no/no")).unwrap();
        fs::set_permissions(inside.join("no"), fs::Permissions::from_mode(0o0)).unwrap();
        remove_folder(&inside).unwrap();
        remove_folder(&inside).unwrap();
        assert!(!inside.exists() && outside.join("file").exists());
        symlink(&outside, &inside).unwrap();
        remove_folder(&inside).unwrap();
        assert!(!inside.is_symlink() && outside.join("file").exists());
    }
}
