//! The guest's file system: a small tree, written as an initramfs that is the same for the same
//! contents, byte for byte.

use std::{
    collections::BTreeMap,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use cpio::newc::{Builder, ModeFileType, trailer};

use crate::{
    guest::{Boot, ldd, protocol::KMOD},
    host::{cache, file_system::read_file, open, root::Root},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// Bytes of the largest image: half of the guest's memory must hold it twice while it boots.
pub(super) const SIZE_MAX: u64 = 96 << 20;
/// Programs of the private root, each with its libraries.
///
/// The shell is dash, not busybox's, because that one runs a `modprobe` of its own wherever a
/// command says `modprobe`. So does every other tool of busybox that starts programs: those are
/// taken from their own packages.
const PROGRAMS: &[&str] = &[
    "usr/bin/kmod",
    "usr/bin/bash",
    "usr/bin/dash",
    "usr/bin/busybox",
    "usr/bin/env",
    "usr/bin/find",
    "usr/bin/nice",
    "usr/bin/setsid",
    "usr/bin/timeout",
    "usr/bin/xargs",
];
/// The libraries that kmod opens only when it meets a packed module, and `ldd` does not name
/// therefore: depmod reads no exports of a Debian kernel's own modules without.
const UNPACKERS: [&str; 2] =
    ["usr/lib/x86_64-linux-gnu/liblzma.so.5", "usr/lib/x86_64-linux-gnu/libzstd.so.1"];
/// Tools of busybox, each a link to it: none of kmod's, and none that starts other programs.
const BUSYBOX: &str = "\
    [ awk base64 basename cat chmod clear cmp cp cut date dd df diff dirname dmesg du echo expr \
    false free grep head hexdump id kill less ln ls mkdir mkfifo mknod mktemp mount mv nproc od \
    pidof printf ps pwd readlink realpath rm rmdir sed seq sha256sum sleep sort stat strings \
    stty sync tac tail tee test top touch tr true tty umount uname uniq uptime usleep wc which \
    xxd yes zcat";
/// The facts about the terminal that bash needs to edit lines on it, by the kernel's `TERM=linux`.
const TERMINFO: &str = "usr/share/terminfo/l/linux";
/// The mounts of `mount -a`, in order. The root file system is in memory already.
const FSTAB: &str = "proc /proc proc defaults 0 0\nsysfs /sys sysfs defaults 0 0\n\
    dev /dev devtmpfs defaults 0 0\ndebugfs /sys/kernel/debug debugfs defaults 0 0\n";
/// The files about the kernel itself that depmod reads.
const FACTS: [&str; 3] = ["modules.builtin", "modules.builtin.modinfo", "modules.order"];

/// The drivers of the agent's channel, in the order in which they load. Debian's kernels before
/// those of trixie have them as modules.
const CHANNEL: [&str; 6] = [
    "virtio/virtio",
    "virtio/virtio_ring",
    "virtio/virtio_pci_legacy_dev",
    "virtio/virtio_pci_modern_dev",
    "virtio/virtio_pci",
    "char/virtio_console",
];
/// Where the agent is when it cannot be the init, because the channel needs modules.
const AGENT: &str = "usr/lib/symstack/agent";
/// The program that the kernel starts.
const INIT: &str = "init";

/// Folders that are links to those of the same name in `usr`.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// One thing in the guest's file system.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File { bytes: Vec<u8>, executable: bool },
    Link(String),
    Device { major: u32, minor: u32 },
}

/// A tree for the guest, by path without a leading slash.
#[derive(Clone, Debug, Default)]
pub(super) struct Initramfs {
    nodes: BTreeMap<String, Node>,
}

impl Initramfs {
    /// Returns the files that every guest of a kernel has.
    pub(super) fn base(root: &Root, boot: &Boot, agent: Vec<u8>) -> Result<Self> {
        let mut image = Self::without_programs(boot)?;
        for library in UNPACKERS {
            let bytes = read_file(&root.path(library))?;
            image.node(library, Node::File { bytes, executable: true });
        }
        for program in PROGRAMS {
            image.program(root, program)?;
        }
        image.host_file(TERMINFO, &root.path(TERMINFO))?;
        let place = if image.nodes.contains_key(AGENT) { AGENT } else { INIT };
        image.node(place, Node::File { bytes: agent, executable: true });
        Ok(image)
    }

    /// All of that but what a root and its compiler make of it: the agent is an empty file.
    fn without_programs(boot: &Boot) -> Result<Self> {
        let mut image = Self::default();
        for folder in ["dev", "proc", "run", "sys", "tmp", "work", "usr/lib", "usr/lib64"] {
            image.folder(folder);
        }
        for folder in MERGED {
            image.link(folder, &format!("usr/{folder}"));
        }
        // Standard input, output and error of init, before it can mount anything.
        image.node("dev/console", Node::Device { major: 5, minor: 1 });
        image.node("dev/null", Node::Device { major: 1, minor: 3 });
        image.init(boot)?;
        image.bytes("etc/fstab", FSTAB.as_bytes());
        image.bytes("etc/passwd", b"root:x:0:0:root:/work:/bin/sh\n");
        image.link("usr/bin/sh", "dash");
        KMOD.iter().for_each(|tool| image.link(&format!("usr/sbin/{tool}"), "../bin/kmod"));
        BUSYBOX.split(' ').for_each(|tool| image.link(&format!("usr/bin/{tool}"), "busybox"));
        for fact in FACTS {
            image.host_file(
                &format!("usr/lib/modules/{}/{fact}", boot.release),
                &boot.modules.join(fact),
            )?;
        }
        Ok(image)
    }

    /// The agent's place, and before it the modules that its channel needs, if there are any.
    fn init(&mut self, boot: &Boot) -> Result<()> {
        let agent = Node::File { bytes: Vec::new(), executable: true };
        let modules = channel_modules(boot);
        if modules.is_empty() {
            self.node(INIT, agent);
            return Ok(());
        }
        let mut script = String::from("#!/bin/sh\n");
        for module in modules {
            let path = format!("usr/lib/symstack/{}", name(&module)?);
            self.host_file(&path, &module)?;
            script.push_str(&format!("/usr/sbin/insmod /{path}\n"));
        }
        script.push_str(&format!("exec /{AGENT}\n"));
        self.node(INIT, Node::File { bytes: script.into(), executable: true });
        self.node(AGENT, agent);
        Ok(())
    }

    /// A program of the private root, with all that it needs.
    pub(super) fn program(&mut self, root: &Root, program: &str) -> Result<()> {
        for file in ldd::files(root, program)? {
            let path = root.path(&file);
            let bytes = read_file(&path)?;
            self.node(&file.to_string_lossy(), Node::File { bytes, executable: true });
        }
        Ok(())
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.node(path, Node::Link(target.into()));
    }

    /// A file with these bytes.
    pub(super) fn bytes(&mut self, path: &str, bytes: &[u8]) {
        self.node(path, Node::File { bytes: bytes.into(), executable: false });
    }

    /// A copy of a file of the host, executable when it is.
    ///
    /// # Errors
    /// It cannot be read, or another file has the path.
    pub(super) fn host_file(&mut self, path: &str, file: &Path) -> Result<()> {
        let what = || format!("{} cannot be read", file.shown());
        let metadata = file.metadata().or_usage(what)?;
        if metadata.is_file() && metadata.len() > SIZE_MAX {
            return Err(too_large(metadata.len()));
        }
        let executable = metadata.permissions().mode() & 0o100 != 0;
        let bytes = open::read(file).or_usage(what)?;
        if self.nodes.contains_key(path) {
            let problem = format!("two files would be /{path} in the guest: {}", file.shown());
            return Err(Problem::usage(problem).hint("rename one of them"));
        }
        self.node(path, Node::File { bytes, executable });
        Ok(())
    }

    fn folder(&mut self, path: &str) {
        self.node(path, Node::Folder);
    }

    /// Puts a node in its place, and the folders above it.
    fn node(&mut self, path: &str, node: Node) {
        let path = &merged(path);
        for parent in Path::new(path).ancestors().skip(1) {
            let parent = parent.to_string_lossy();
            if !parent.is_empty() {
                self.nodes.entry(parent.into_owned()).or_insert(Node::Folder);
            }
        }
        self.nodes.insert(path.clone(), node);
    }

    /// The regular files: path, contents, whether it is a program.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8], bool)> {
        self.nodes.iter().filter_map(|(path, node)| match node {
            Node::File { bytes, executable } => {
                Some((path.as_str(), bytes.as_slice(), *executable))
            }
            _ => None,
        })
    }

    /// Checks that it is small enough.
    ///
    /// # Errors
    /// It is larger than [`SIZE_MAX`].
    pub(super) fn check_size(&self) -> Result<()> {
        let size = self.nodes.values().map(Node::size).sum::<u64>();
        if size > SIZE_MAX { Err(too_large(size)) } else { Ok(()) }
    }

    /// The initramfs. The kernel unpacks several that follow one another, later files over
    /// earlier ones.
    ///
    /// # Errors
    /// It would be larger than [`SIZE_MAX`].
    pub(super) fn archive(&self) -> Result<Vec<u8>> {
        self.check_size()?;
        let mut archive = Vec::new();
        self.write(&mut archive).or_host(|| "the initramfs cannot be written".into())?;
        Ok(archive)
    }

    fn write(&self, archive: &mut Vec<u8>) -> std::io::Result<()> {
        // The map is sorted, so a folder comes before what is in it.
        for (inode, (path, node)) in (1..).zip(&self.nodes) {
            let entry = Builder::new(path).ino(inode).nlink(1).uid(0).gid(0).mtime(0);
            let (entry, bytes): (_, &[u8]) = match node {
                Node::Folder => {
                    (entry.mode(0o755).set_mode_file_type(ModeFileType::Directory), &[])
                }
                Node::File { bytes, executable } => {
                    let mode = if *executable { 0o755 } else { 0o644 };
                    (entry.mode(mode).set_mode_file_type(ModeFileType::Regular), bytes)
                }
                Node::Link(target) => {
                    let entry = entry.mode(0o777).set_mode_file_type(ModeFileType::Symlink);
                    (entry, target.as_bytes())
                }
                Node::Device { major, minor } => {
                    let entry = entry.mode(0o600).set_mode_file_type(ModeFileType::Char);
                    (entry.rdev_major(*major).rdev_minor(*minor), &[])
                }
            };
            // Less than 2^32 by the limit above.
            let size = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
            let mut writer = entry.write(&mut *archive, size);
            writer.write_all(bytes)?;
            writer.finish()?;
        }
        trailer(&mut *archive)?;
        // The kernel wants each archive to begin at a multiple of four bytes.
        archive.resize(archive.len().next_multiple_of(4), 0);
        Ok(())
    }
}

/// A path by way of the real folder: unpacked over the link, a folder would replace it.
fn merged(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let first = path.split_once('/').map(|(first, _)| first);
    if first.is_some_and(|first| MERGED.contains(&first)) {
        return format!("usr/{path}");
    }
    path.into()
}

fn too_large(size: u64) -> Problem {
    let (size, max) = (size >> 20, SIZE_MAX >> 20);
    let problem = format!("the guest's files have {size} MiB, it takes at most {max} MiB");
    Problem::usage(problem).hint("give it fewer or smaller files")
}

impl Node {
    fn size(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => bytes.len() as u64,
            _ => 0,
        }
    }
}

/// Returns the text that stands for a base image in names of the cache: all that goes into it. The
/// agent's key stands for the root, which has the programs.
///
/// # Errors
/// A file of the kernel cannot be read.
pub(super) fn base_key(boot: &Boot, agent: &str) -> Result<String> {
    let rest = super::fingerprint(&Initramfs::without_programs(boot)?.archive()?);
    let programs = PROGRAMS.iter().copied().chain(UNPACKERS).chain([TERMINFO]);
    Ok(cache::key(programs.chain([agent, &rest])))
}

/// Those of [`CHANNEL`] that the kernel has as modules.
fn channel_modules(boot: &Boot) -> Vec<PathBuf> {
    let module = |driver| boot.modules.join(format!("kernel/drivers/{driver}.ko"));
    CHANNEL.iter().map(module).filter(|module| module.is_file()).collect()
}

/// The name of a file on the host, without its folder.
///
/// # Errors
/// It has none, or one that is not UTF-8.
pub(super) fn name(file: &Path) -> Result<&str> {
    let name = file.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Problem::usage(format!("{} does not name a file", file.shown())))
}

/// The folder of modules that are not the kernel's own, where depmod looks first.
pub(super) fn updates(release: &str) -> PathBuf {
    Path::new("usr/lib/modules").join(release).join("updates")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn image(files: &[(&str, &str)]) -> Initramfs {
        let mut image = Initramfs::default();
        files.iter().for_each(|(path, text)| image.bytes(path, text.as_bytes()));
        image.link("bin", "usr/bin");
        image.node("dev/null", Node::Device { major: 1, minor: 3 });
        image
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let one = image(&[("work/b", "2"), ("work/a", "1")]).archive().unwrap();
        let other = image(&[("work/a", "1"), ("work/b", "2")]).archive().unwrap();
        assert_eq!(one, other);
        assert_ne!(one, image(&[("work/a", "1"), ("work/b", "3")]).archive().unwrap());
        assert_eq!(one.len() % 4, 0);
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_nothing_tells_the_time() {
        let archive = image(&[("work/a/b", "1")]).archive().unwrap();
        let mut names = Vec::new();
        let mut rest = archive.as_slice();
        loop {
            let reader = cpio::newc::Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                break;
            }
            names.push(entry.name().to_owned());
            assert_eq!((entry.mtime(), entry.uid(), entry.gid()), (0, 0, 0));
            rest = reader.finish().unwrap();
        }
        assert_eq!(names, ["bin", "dev", "dev/null", "work", "work/a", "work/a/b"]);
    }

    #[test]
    fn a_path_through_a_merged_folder_leaves_the_folder_alone() {
        let mut image = Initramfs::default();
        image.link("/sbin/tool", "x");
        let paths: Vec<&str> = image.nodes.keys().map(String::as_str).collect();
        assert_eq!(paths, ["usr", "usr/sbin", "usr/sbin/tool"]);
    }

    #[test]
    fn a_folder_is_refused_as_a_file() {
        let mut image = Initramfs::default();
        for path in ["/dev/zero", "/usr", "/nowhere"] {
            let problem = image.host_file("work/x", Path::new(path)).unwrap_err();
            assert!(problem.fact.contains(path), "{problem}");
        }
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ko");
        fs::write(&file, "x").unwrap();
        let mut image = Initramfs::default();
        image.host_file("work/a.ko", &file).unwrap();
        let problem = image.host_file("work/a.ko", &file).unwrap_err();
        assert!(problem.fact.contains("/work/a.ko"), "{problem}");
    }

    #[test]
    fn too_much_is_refused() {
        let mut image = Initramfs::default();
        let half = vec![0; usize::try_from(SIZE_MAX / 2 + 1).unwrap()];
        image.bytes("a", &half);
        image.bytes("b", &half);
        assert!(image.archive().unwrap_err().fact.contains("at most"));
    }
}
