//! Files and trees that a user names, and the names that others gave them.

use std::{
    ffi::OsStr,
    fs,
    io::Read as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::harness::{Needs, Test};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Nothing => [
        a_pipe_named_as_a_module_is_refused,
        a_pipe_named_as_a_file_of_a_kernel_is_refused,
        a_pipe_named_as_a_configuration_or_a_table_is_refused,
        a_pipe_of_the_shell_is_refused_with_what_to_do,
        a_device_is_refused,
        a_socket_is_refused,
        a_folder_named_as_a_module_is_refused,
        a_file_larger_than_memory_is_refused_unread,
        standard_input_is_read_where_it_is_a_file,
        a_report_into_a_pipe_that_nobody_reads_is_refused,
        a_tree_of_links_to_its_own_folders_ends,
        a_tree_of_links_out_of_it_is_followed_once,
        a_folder_without_permission_is_named_and_the_others_are_ordered,
        a_fifo_in_a_tree_is_named,
        relocations_over_each_other_are_not_followed,
    ])
}

/// A case that waits longer has failed.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The memory that a case may map, in KiB: less than the hostile file that it is given has.
const MEMORY_MAX: usize = 3 << 20;

/// Returns the runner's output, and its status.
pub(crate) struct Said {
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    pub(crate) status: i32,
}

impl Said {
    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }

    /// Refuses with a status of the documented ones, and in these words.
    #[track_caller]
    pub(crate) fn refuses(&self, words: &str) {
        let Self { err, status, .. } = self;
        assert!([1, 2].contains(status) && err.contains(words), "{status}: {}{err}", self.out());
    }
}

/// Runs a command to its end within [`WAIT_MAX`] and [`MEMORY_MAX`].
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Said {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let pid = child.id();
    let (send, ended) = mpsc::channel();
    thread::spawn(move || {
        let errors = thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        let status = child.wait().unwrap().code().unwrap_or(-1);
        let err = String::from_utf8_lossy(&errors.join().unwrap()).into_owned();
        send.send(Said { out: bytes, err, status })
    });
    ended.recv_timeout(WAIT_MAX).unwrap_or_else(|_| {
        let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
        panic!("{command:?} waited longer than {WAIT_MAX:?}")
    })
}

/// The runner with its memory bounded. Each `{}` of the words stands for the next of the paths.
pub(crate) fn symstack(words: &str, paths: &[&Path]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {MEMORY_MAX}; exec \"$@\""), "sh"]);
    command.arg(env!("CARGO_BIN_EXE_xtask")).stdin(Stdio::null());
    let mut paths = paths.iter();
    for word in words.split(' ') {
        let path = if word == "{}" { paths.next() } else { None };
        command.arg(path.map_or(OsStr::new(word), |path| path.as_os_str()));
    }
    command
}

#[track_caller]
pub(crate) fn said(words: &str, paths: &[&Path]) -> Said {
    run(&mut symstack(words, paths))
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A tree of a kernel, small enough to be read at once.
pub(crate) fn kernel_tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |from: &str, to: &str| {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture(from), to).unwrap();
    };
    put("kernel-7.3/.config", ".config");
    put("kernel-7.3/Module.symvers", "Module.symvers");
    put("kernel-7.3/kernel.release", "include/config/kernel.release");
    folder
}

pub(crate) fn pipe(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

/// A tree with the fixture under these names.
pub(crate) fn tree(names: &[&[u8]]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(fixture("exporter-7.3.ko"), path).unwrap();
    }
    folder
}

/// Each verb that takes a module refuses this one in these words.
#[track_caller]
fn no_verb_takes(module: &Path, words: &str) {
    let (kernel, symvers) = (kernel_tree(), fixture("old.symvers"));
    let kernel = kernel.path();
    for (verb, paths) in [
        ("inspect {}", [module].as_slice()),
        ("inspect --json {}", &[module]),
        ("vermagic --tree {} {}", &[kernel, module]),
        ("vermagic --intree {}", &[module]),
        ("check --tree {} {}", &[kernel, module]),
        ("check --tree {} --as-given --bare {}", &[kernel, module]),
        ("check --tree {} --with-deps {}", &[kernel, module]),
        ("order {}", &[module]),
        ("symvers explain x --symvers {} --modules {}", &[&symvers, module]),
    ] {
        said(verb, paths).refuses(words);
    }
}

fn a_pipe_named_as_a_module_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    no_verb_takes(&pipe(folder.path(), "x.ko"), "it is a pipe");
}

/// Each file that stands for a part of a kernel is refused in these words.
#[track_caller]
fn no_kernel_takes(file: &Path, words: &str) {
    let kernel = kernel_tree();
    let (kernel, module) = (kernel.path(), fixture("exporter-7.3.ko"));
    for option in ["config", "symvers", "certificate", "image"] {
        // Only a kernel that verifies signatures asks for an image.
        fs::write(kernel.join(".config"), "CONFIG_X86_64=y\nCONFIG_MODULE_SIG=y\n").unwrap();
        let verb = format!("check --tree {{}} --{option} {{}} {{}}");
        said(&verb, &[kernel, file, &module]).refuses(words);
    }
    fs::remove_file(kernel.join(".config")).unwrap();
    symlink(file, kernel.join(".config")).unwrap();
    let refused = said("check --tree {} {}", &[kernel, &module]);
    refused.refuses("has no configuration");
}

fn a_pipe_named_as_a_file_of_a_kernel_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    no_kernel_takes(&pipe(folder.path(), "x"), "it is a pipe");
}

/// Each table or configuration is refused in these words.
#[track_caller]
fn no_table_takes(file: &Path, words: &str) {
    let (tree, symvers) = (tree(&[b"a.ko"]), fixture("old.symvers"));
    let tree = tree.path();
    for (verb, paths) in [
        ("order --tree {} --depmod-config {}", [tree, file].as_slice()),
        ("order --tree {} --modprobe-config {}", &[tree, file]),
        ("order --tree {} --symvers {}", &[tree, file]),
        ("symvers diff {} {}", &[file, &symvers]),
        ("symvers diff {} {}", &[&symvers, file]),
        ("symvers explain x --symvers {}", &[file]),
        ("symvers explain x --symvers {} --symtypes {}", &[&symvers, file]),
    ] {
        said(verb, paths).refuses(words);
    }
    symlink(file, tree.join("modules.order")).unwrap();
    said("order --tree {}", &[tree]).refuses(words);
}

fn a_pipe_named_as_a_configuration_or_a_table_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    no_table_takes(&pipe(folder.path(), "x"), "it is a pipe");
}

fn a_pipe_of_the_shell_is_refused_with_what_to_do() {
    let mut bash = Command::new("bash");
    let script = "\"$0\" inspect <(cat \"$1\")";
    bash.args(["-c", script, env!("CARGO_BIN_EXE_xtask")]).arg(fixture("exporter-7.3.ko"));
    run(&mut bash).refuses("it is a pipe, not a file: save what comes out of it");
}

fn a_device_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let zero = folder.path().join("zero.ko");
    symlink("/dev/zero", &zero).unwrap();
    no_verb_takes(&zero, "it is a device");
    no_table_takes(Path::new("/dev/zero"), "it is a device");
}

fn a_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("x.ko");
    let _listener = UnixListener::bind(&socket).unwrap();
    no_verb_takes(&socket, "it is a socket");
    no_kernel_takes(&socket, "it is a socket");
}

fn a_folder_named_as_a_module_is_refused() {
    let tree = tree(&[b"x.ko/y.ko"]);
    no_verb_takes(&tree.path().join("x.ko"), "a folder");
}

fn a_file_larger_than_memory_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.ko");
    fs::File::create(&file).unwrap().set_len(4 << 30).unwrap();
    no_verb_takes(&file, "larger than 320 MiB");
    no_kernel_takes(&file, "it is larger than");
    no_table_takes(&file, "it is larger than");
}

fn standard_input_is_read_where_it_is_a_file() {
    let mut inspect = symstack("inspect /dev/stdin", &[]);
    let file = fs::File::open(fixture("exporter-7.3.ko")).unwrap();
    let read = run(inspect.stdin(file));
    assert!(read.status == 0 && read.out().contains("exports of every class"), "{}", read.err);
}

fn a_report_into_a_pipe_that_nobody_reads_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let report = pipe(folder.path(), "rust-project.json");
    // The verb that writes a file where the user says, without a guest.
    let stack = tree(&[]);
    fs::write(stack.path().join("Kbuild"), "obj-m := a.o\n").unwrap();
    fs::write(stack.path().join("a.rs"), "//! A.\n").unwrap();
    let said = said("editor --stack {} --output {}", &[stack.path(), &report]);
    assert!(said.status != 0, "{}{}", said.out(), said.err);
}

fn a_tree_of_links_to_its_own_folders_ends() {
    let tree = tree(&[b"a/1.ko", b"b/2.ko", b"c/3.ko", b"d/4.ko"]);
    for folder in ["a", "b", "c", "d"] {
        (0..4).for_each(|n| symlink("..", tree.path().join(format!("{folder}/{n}"))).unwrap());
    }
    let ordered = said("order --no-cache --tree {} --format modules.dep", &[tree.path()]);
    // In the order of depmod's table.
    assert_eq!(ordered.out(), "d/4.ko:\nc/3.ko:\nb/2.ko:\na/1.ko:\n", "{}", ordered.err);
}

fn a_tree_of_links_out_of_it_is_followed_once() {
    // Each folder has two links to the next: 2^24 ways to the last.
    let folder = tempfile::tempdir().unwrap();
    for n in 0..24 {
        let here = folder.path().join(n.to_string());
        fs::create_dir(&here).unwrap();
        for link in ["l", "r"] {
            symlink(format!("../{}", n + 1), here.join(link)).unwrap();
        }
    }
    fs::create_dir(folder.path().join("24")).unwrap();
    fs::copy(fixture("exporter-7.3.ko"), folder.path().join("24/last.ko")).unwrap();
    let ordered = said("order --no-cache --tree {}", &[&folder.path().join("0")]);
    assert!(ordered.status == 0 && ordered.out().contains("last"), "{}", ordered.err);
}

fn a_folder_without_permission_is_named_and_the_others_are_ordered() {
    let tree = tree(&[b"closed/1.ko", b"open/2.ko"]);
    let closed = tree.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads it all the same, unless that capability is gone.
    let mut order = Command::new("setpriv");
    order.args(["--bounding-set=-all", "--inh-caps=-all", env!("CARGO_BIN_EXE_xtask")]);
    order.args(["order", "--no-cache", "--format", "modules.dep", "--tree"]).arg(tree.path());
    let ordered = run(&mut order);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let Said { err, status, .. } = &ordered;
    assert_eq!(ordered.out(), "open/2.ko:\n", "{err}");
    assert!(*status == 1 && err.contains("/closed: Permission denied"), "{status}: {err}");
}

fn a_fifo_in_a_tree_is_named() {
    let tree = tree(&[b"good.ko", b"\xff.ko"]);
    pipe(tree.path(), "pipe.ko");
    symlink("/dev/zero", tree.path().join("device.ko")).unwrap();
    symlink("nowhere", tree.path().join("gone.ko")).unwrap();
    let ordered = said("order --no-cache --tree {} --format modules.dep", &[tree.path()]);
    assert_eq!((ordered.status, ordered.out().as_str()), (1, "good.ko:\n"));
    for words in ["pipe.ko: it is a pipe", "device.ko: it is a device", "\\xff.ko: its name is not"]
    {
        assert!(ordered.err.contains(words), "{}", ordered.err);
    }
    assert!(!ordered.err.contains("gone.ko"), "{}", ordered.err);
}

fn relocations_over_each_other_are_not_followed() {
    let mut bytes = fs::read(fixture("exporter-7.3.ko")).unwrap();
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let count = usize::from(u16::from_le_bytes(bytes[60..62].try_into().unwrap()));
    let mut headers = bytes[number(40) as usize..][..64 * count].to_vec();
    // .text is section 6, the symbols are section 30.
    let mut header = [4u32, 4].map(u32::to_le_bytes).concat();
    header.extend([0, 0, bytes.len() as u64, 2 << 20].map(u64::to_le_bytes).concat());
    header.extend([30u32, 6].map(u32::to_le_bytes).concat());
    header.extend([8u64, 24].map(u64::to_le_bytes).concat());
    headers.extend(header.repeat(32_000));
    bytes.resize(bytes.len() + (2 << 20), 0);
    let at = bytes.len() as u64;
    bytes.extend_from_slice(&headers);
    bytes[40..48].copy_from_slice(&at.to_le_bytes());
    bytes[60..62].copy_from_slice(&(32_000 + count as u16).to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exporter.ko");
    fs::write(&file, bytes).unwrap();
    let kernel = kernel_tree();
    let checked = said("check --tree {} {}", &[kernel.path(), &file]);
    let out = checked.out();
    assert!(checked.status == 1 && out.contains("lie over each other"), "{out}{}", checked.err);
}
