//! The guard of the agent and its tools against programs that modules start.
//!
//! A helper that a module starts (`call_usermodehelper`) is root in the first namespace of mounts.
//! It may mount over any path there, overwrite and remove any file. So the agent goes on in a
//! namespace of its own, with a file system of its own that holds copies, before the first module
//! of a stack is loaded. The way from there to here is by /proc/PID/{root,ns,mem} and ptrace, all
//! of which the kernel denies to a process that has fewer capabilities than the other one
//! (security/commoncap.c:cap_ptrace_access_check): helpers go without one.

use std::{
    fs, io,
    os::unix::fs::{chroot, symlink},
    path::{Path, PathBuf},
};

use crate::{WORK, mount_all, system};

/// The new root, seen from the old one. A ramfs is in every kernel.
const ROOT: &str = "/guarded";
/// The folders that are copied into it. The other folders are mounted or empty.
const COPIED: [&str; 7] = ["bin", "etc", "lib", "lib64", "sbin", "usr", "work"];
const EMPTY: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];
/// The capabilities that a helper may have, in two words of which the first is the lower half.
const HELPERS: &str = "/proc/sys/kernel/usermodehelper/bset";
/// `CAP_SYS_PTRACE` of linux/capability.h.
const SYS_PTRACE: u32 = 1 << 19;

/// Takes the agent away, and all that it starts from now on.
pub(crate) fn guard() -> io::Result<()> {
    system::own_mounts()?;
    fs::create_dir(ROOT)?;
    system::mount_ramfs(ROOT)?;
    for name in COPIED {
        copy(&Path::new("/").join(name), &Path::new(ROOT).join(name))?;
    }
    EMPTY.iter().try_for_each(|name| fs::create_dir(Path::new(ROOT).join(name)))?;
    chroot(ROOT)?;
    std::env::set_current_dir(WORK)?;
    if !mount_all()? {
        return Err(io::Error::other("the file systems of /etc/fstab cannot be mounted again"));
    }
    let set = fs::read_to_string(HELPERS)?;
    let mut words = set.split_whitespace().map(str::parse);
    let (Some(Ok(low)), Some(Ok(high))) = (words.next(), words.next()) else {
        return Err(io::Error::other(format!("{HELPERS} has no two words: {set}")));
    };
    let (low, high): (u32, u32) = (low, high);
    fs::write(HELPERS, format!("{} {high}\n", low & !SYS_PTRACE))
}

/// Copies files, folders and links, with their modes.
fn copy(from: &PathBuf, to: &PathBuf) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if kind.is_file() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir(to)?;
    fs::read_dir(from)?.try_for_each(|entry| {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))
    })
}
