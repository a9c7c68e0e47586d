//! A stranger's cache, a damaged one, one that cannot be written, and one that is full.
//!
//! The common cache is seen through links, and is never written: what a test damages is another
//! file mounted over the one in the cache, in a mount namespace of the command's own.

mod own_cache;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use xtask::host::{
    cache::Cache,
    lock::Lock,
    root::{Root, TRIXIE},
};

use self::own_cache::{DAMAGED, NOBODY, OwnCache, as_root, command, told};
use crate::{
    harness::{Needs, Test},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(Needs::Rust => [
        the_cache_of_another_user_is_refused,
        a_cache_that_others_may_write_is_refused,
        a_folder_above_that_others_may_write_is_refused,
        an_entry_of_another_user_is_refused,
        a_script_that_others_may_write_is_not_run,
        a_link_to_a_folder_of_another_user_is_refused,
        a_damaged_image_is_named_and_not_the_stack,
        a_damaged_symvers_is_named_and_not_the_stack,
        a_damaged_configuration_is_named_and_not_the_stack,
        a_damaged_script_is_named_and_not_the_stack,
        a_damaged_tool_of_the_root_is_named_and_not_the_stack,
        a_file_that_is_gone_is_named_and_not_the_stack,
        a_damaged_manifest_is_named,
        a_damaged_file_system_is_named_and_comes_again_by_the_hint,
        a_damaged_unpacked_kernel_is_named,
        a_damaged_agent_is_named,
        a_touched_entry_that_is_whole_is_not_damaged,
        a_read_only_cache_runs_a_prepared_kernel,
        a_full_disk_runs_a_prepared_kernel_and_what_was_left_is_swept,
        a_full_disk_keeps_no_half_of_a_state,
        an_ordinary_user_needs_nothing_but_bwrap_for_a_prepared_root,
        an_unused_entry_is_pruned_with_its_lock,
    ])
}

/// The kernel's name, as an argument.
fn name() -> String {
    kernel().name.to_string()
}

/// The kernel's entry in the cache.
fn entry() -> String {
    let image = kernel().image.clone().unwrap();
    let common = Cache::open().unwrap().path("kernels");
    let within = image.strip_prefix(&common).unwrap();
    format!("kernels/{}", within.components().next().unwrap().as_os_str().to_str().unwrap())
}

/// A file of the prepared kernel, of whatever cache.
fn within_entry(file: &Path) -> PathBuf {
    file.strip_prefix(Cache::open().unwrap().path(entry())).unwrap().into()
}

fn changed(file: &Path) -> Vec<u8> {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

/// A stack of one module.
fn stack() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Kbuild"), "obj-m := plain.o\n").unwrap();
    let source = "#include <linux/module.h>\nMODULE_LICENSE(\"GPL\");\n\
        MODULE_DESCRIPTION(\"plain\");\n\
        static int __init begin(void) { pr_info(\"here\\n\"); return 0; }\n\
        static void __exit end(void) { }\nmodule_init(begin);\nmodule_exit(end);\n";
    fs::write(folder.path().join("plain.c"), source).unwrap();
    folder
}

fn the_cache_of_another_user_is_refused() {
    as_root();
    let cache = OwnCache::new();
    let ran = cache.0.path().join("ran");
    let folder = cache.own("kernels");
    let script = cache.own(entry()).join("enter");
    fs::remove_file(&script).unwrap();
    fs::write(&script, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    for path in [cache.path(""), folder, cache.path(entry()), script] {
        chown(path, Some(NOBODY), None).unwrap();
    }
    let said = command(&cache, &["enter", "--kernel", &name(), "--", "true"]);
    said.is_refused("belongs to user 65534", "XDG_CACHE_HOME");
    assert!(!ran.exists(), "its script was run");
}

fn a_cache_that_others_may_write_is_refused() {
    let cache = OwnCache::new();
    for mode in [0o777, 0o707, 0o1777] {
        fs::set_permissions(cache.path(""), PermissionsExt::from_mode(mode)).unwrap();
        let said = command(&cache, &["vm", "--no-stack", "--kernel", &name(), "--", "true"]);
        said.is_refused(&format!("(mode {mode:o})"), "chmod go-w ");
    }
}

fn a_folder_above_that_others_may_write_is_refused() {
    let cache = OwnCache::new();
    fs::set_permissions(cache.0.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let said = command(&cache, &["doctor"]);
    said.is_refused("others may write in ", "chmod go-w ");
}

fn an_entry_of_another_user_is_refused() {
    as_root();
    let cache = OwnCache::new();
    cache.own("kernels");
    let own = cache.own(entry());
    chown(own, Some(NOBODY), None).unwrap();
    let said = command(&cache, &["enter", "--kernel", &name(), "--", "true"]);
    said.is_refused("belongs to user 65534", "");
}

fn a_script_that_others_may_write_is_not_run() {
    let cache = OwnCache::new();
    cache.own("kernels");
    let script = cache.own(entry()).join("enter");
    let text = fs::read(&script).unwrap();
    fs::remove_file(&script).unwrap();
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o757)).unwrap();
    let said = command(&cache, &["enter", "--kernel", &name(), "--", "true"]);
    said.is_refused("/enter (mode 757)", "chmod go-w ");
}

fn a_link_to_a_folder_of_another_user_is_refused() {
    as_root();
    let cache = OwnCache::new();
    let theirs = tempfile::tempdir().unwrap();
    chown(theirs.path(), Some(NOBODY), None).unwrap();
    fs::create_dir_all(theirs.path().join(entry())).unwrap();
    fs::remove_file(cache.path("kernels")).unwrap();
    symlink(theirs.path().join("kernels"), cache.path("kernels")).unwrap();
    fs::write(theirs.path().join("kernels/stock.offer"), "").unwrap();
    let offer = format!("kernels/{}.offer", name());
    let common = Cache::open().unwrap().path(&offer);
    fs::copy(common, theirs.path().join(&offer)).unwrap();
    let said = command(&cache, &["enter", "--kernel", &name(), "--", "true"]);
    said.is_refused("belongs to user 65534", "");
}

fn a_damaged_image_is_named_and_not_the_stack() {
    let (cache, image) = (OwnCache::new(), kernel().image.clone().unwrap());
    let arguments = ["vm", "--no-stack", "--kernel", &name(), "--", "true"];
    for contents in [changed(&image), fs::read(&image).unwrap()[..1 << 20].to_vec()] {
        let said = cache.damaged(&image, &contents, &arguments);
        said.is_damage(&format!("{} {DAMAGED}", within_entry(&image).display()));
    }
}

#[track_caller]
fn a_build_meets_damage(file: &Path, contents: &[u8], verb: &[&str]) {
    let (cache, stack) = (OwnCache::new(), stack());
    let folder = stack.path().to_str().unwrap();
    let kernel = name();
    let arguments = [verb, &["--stack", folder, "--kernel", &kernel]].concat();
    cache.damaged(file, contents, &arguments).is_damage("");
}

fn a_damaged_symvers_is_named_and_not_the_stack() {
    let file = kernel().tree.join("Module.symvers");
    let half = fs::read(&file).unwrap();
    a_build_meets_damage(&file, &half[..half.len() / 9], &["prove"]);
    a_build_meets_damage(&file, b"", &["build"]);
}

fn a_damaged_configuration_is_named_and_not_the_stack() {
    a_build_meets_damage(&kernel().tree.join(".config"), b"", &["prove"]);
    let autoconf = kernel().tree.join("include/generated/autoconf.h");
    a_build_meets_damage(&autoconf, b"#error damaged\n", &["prove"]);
}

fn a_damaged_script_is_named_and_not_the_stack() {
    let script = Cache::open().unwrap().path(entry()).join("enter");
    a_build_meets_damage(&script, b"#!/bin/sh\nexit 0\n", &["prove"]);
}

fn a_damaged_tool_of_the_root_is_named_and_not_the_stack() {
    let root = Root::present(&Cache::open().unwrap(), TRIXIE).unwrap();
    let make = fs::canonicalize(root.path("usr/bin/make")).unwrap();
    a_build_meets_damage(&make, b"#!/bin/sh\nexit 3\n", &["prove"]);
}

fn a_file_that_is_gone_is_named_and_not_the_stack() {
    let cache = OwnCache::new();
    cache.own("kernels");
    let (stack, own) = (stack(), cache.own(entry()));
    fs::remove_file(own.join("usr")).unwrap();
    let script = fs::read(own.join("enter")).unwrap();
    fs::remove_file(own.join("enter")).unwrap();
    fs::write(own.join("enter"), script).unwrap();
    let said =
        cache.run(&["prove", "--stack", stack.path().to_str().unwrap(), "--kernel", &name()]);
    said.is_damage("usr/");
    said.is_refused(" is gone", "");
}

fn a_damaged_manifest_is_named() {
    let cache = OwnCache::new();
    let manifest = Cache::open().unwrap().path(entry()).join(".manifest");
    let half = fs::read(&manifest).unwrap();
    let stack = tempfile::tempdir().unwrap();
    fs::write(stack.path().join("Kbuild"), "obj-m := nothing.o\n").unwrap();
    let folder = stack.path().to_str().unwrap();
    let arguments = ["prove", "--stack", folder, "--kernel", &name()];
    let said = cache.damaged(&manifest, &half[..half.len() / 2], &arguments);
    said.is_damage(&format!(".manifest {DAMAGED}"));
}

/// The one entry of a kind that guests of this kernel are made of: the newest.
fn newest(cache: &OwnCache, kind: &str) -> PathBuf {
    let entries = fs::read_dir(cache.path("guest")).unwrap().flatten().map(|entry| entry.path());
    let of_kind = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
    let dated = |path: PathBuf| (path.metadata().unwrap().modified().unwrap(), path);
    entries.filter(of_kind).map(dated).max().unwrap().1
}

fn a_damaged_file_system_is_named_and_comes_again_by_the_hint() {
    let cache = OwnCache::new();
    cache.forget("base-");
    let vm = ["vm", "--boot", "--no-stack", "--accel", "tcg", "--kernel", &name(), "--", "true"];
    cache.run(&vm).holds();
    let image = newest(&cache, "base-").join("base.cpio");
    fs::write(&image, changed(&image)).unwrap();
    let said = cache.run(&vm);
    said.is_damage(&format!("base.cpio {DAMAGED}"));
    let (_, again) = said.text.rsplit_once("makes it again: ").unwrap();
    assert!(Command::new("sh").args(["-c", again.trim()]).status().unwrap().success());
    cache.run(&vm).holds();
}

/// A boot while a file of all entries of a kind is another: other versions have theirs.
#[track_caller]
fn a_boot_meets_damage(cache: &OwnCache, kind: &str, file: &str) {
    let other = tempfile::NamedTempFile::new().unwrap();
    fs::set_permissions(other.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (mut mounts, mut paths) = (String::from("true"), vec![other.path().to_owned()]);
    for entry in fs::read_dir(cache.path("guest")).unwrap().flatten() {
        if entry.file_name().to_str().unwrap().starts_with(kind) {
            paths.push(entry.path().join(file));
            mounts.push_str(&format!(" && mount --bind \"$1\" \"${{{}}}\"", paths.len()));
        }
    }
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let vm = ["vm", "--boot", "--no-stack", "--accel", "tcg", "--kernel", &name(), "--", "true"];
    cache.after(&mounts, &paths, &vm).is_damage(&format!("{file} {DAMAGED}"));
}

fn a_damaged_unpacked_kernel_is_named() {
    a_boot_meets_damage(&OwnCache::new(), "kernel-", "kernel");
}

fn a_damaged_agent_is_named() {
    let cache = OwnCache::new();
    cache.forget("base-");
    a_boot_meets_damage(&cache, "agent-", "init");
}

fn a_touched_entry_that_is_whole_is_not_damaged() {
    let cache = OwnCache::new();
    let file = kernel().tree.join("Module.symvers");
    let stack = tempfile::tempdir().unwrap();
    fs::write(stack.path().join("Kbuild"), "obj-m := nothing.o\n").unwrap();
    let folder = stack.path().to_str().unwrap();
    let arguments = ["prove", "--stack", folder, "--kernel", &name()];
    let said = cache.damaged(&file, &fs::read(&file).unwrap(), &arguments);
    assert!(said.status == Some(1) && !said.text.contains("damaged"), "{}", said.text);
}

fn a_read_only_cache_runs_a_prepared_kernel() {
    let (cache, stack) = (OwnCache::new(), stack());
    let mounts = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && \
        for f in roots kernels sources apt; do p=$(readlink \"$1/$f\") && mount --bind \"$p\" \"$p\" \
        && mount -o remount,bind,ro \"$p\"; done && mount -t tmpfs none /dev/shm";
    let folder = stack.path().to_str().unwrap();
    let arguments = ["prove", "--stack", folder, "--kernel", &name()];
    cache.after(mounts, &[&cache.path("")], &arguments).holds();
}

/// A file system that is full: the cache's own folders are on it, the rest are links.
const FULL: &str = "cp -a \"$1\" \"$2\" && mount -t tmpfs -o size=4M,mode=755 none \"$1\" && \
    cp -a \"$2\"/symstack/. \"$1\" && mkdir -p \"$1/guest/states/X.partial\" && \
    { dd if=/dev/zero of=\"$1/guest/states/X.partial/memory\" bs=1M; \
    dd if=/dev/zero of=\"$1/full\" bs=512; } 2>/dev/null; \
    mount -t tmpfs none /dev/shm";

fn a_full_disk_runs_a_prepared_kernel_and_what_was_left_is_swept() {
    let (cache, copy) = (OwnCache::new(), tempfile::tempdir().unwrap());
    let paths = [&cache.path(""), copy.path()];
    let vm = ["vm", "--no-stack", "--accel", "tcg", "--kernel", &name(), "--", "uname", "-r"];
    let said = cache.after(FULL, &paths, &vm);
    said.holds();
    assert!(said.text.contains(&kernel().release), "{}", said.text);
    let list = format!(
        "{FULL}; \"$3\" vm --no-stack --kernel {} -- true; ls \"$1\"/guest/states; \
        exit 7",
        name()
    );
    let program = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let said = cache.after(&list, &[paths[0], paths[1], program], &[]);
    assert!(said.status == Some(7) && !said.text.contains("X.partial"), "{}", said.text);
}

fn a_full_disk_keeps_no_half_of_a_state() {
    let cache = OwnCache::new();
    fs::create_dir_all(cache.path("guest/states")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=16M none \"$1\" && \
         \"$2\" vm --no-stack --accel tcg --kernel {} -- true && ls \"$1\" && exit 7",
        name()
    );
    let states = cache.path("guest/states");
    let said = cache.after(&script, &[&states, Path::new(env!("CARGO_BIN_EXE_xtask"))], &[]);
    assert!(said.status == Some(7) && !said.text.contains(".partial"), "{}", said.text);
}

fn an_ordinary_user_needs_nothing_but_bwrap_for_a_prepared_root() {
    as_root();
    let (cache, tools) = (OwnCache::new(), tempfile::tempdir().unwrap());
    let bwrap = xtask::host::packages::find("bwrap").unwrap();
    for tool in ["sh", "id", "readlink", "dirname"].map(|tool| Path::new("/usr/bin").join(tool)) {
        symlink(&tool, tools.path().join(tool.file_name().unwrap())).unwrap();
    }
    symlink(bwrap, tools.path().join("bwrap")).unwrap();
    fs::set_permissions(tools.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // The common cache may be where only root can go.
    let common = Cache::open().unwrap().path("");
    let script = format!(
        "mkdir \"$1/common\" && mount --bind \"$2\" \"$1/common\" && \
         for f in roots kernels sources apt; do ln -sfn \"$1/common/$f\" \"$1/symstack/$f\"; done \
         && rm -f \"$1\"/symstack/guest/* && \
         exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \
         env HOME=/nonexistent PATH=\"$3\" \"$4\" vm --no-stack --accel tcg --kernel {} -- 'id -u; exit 3'",
        name()
    );
    let program = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh"]);
    command.arg(cache.0.path()).arg(common).arg(tools.path()).arg(program);
    command.env("XDG_CACHE_HOME", cache.0.path()).current_dir("/");
    let said = told(command);
    // The command in the guest failed; and what this user cannot look into is no damage.
    assert_eq!(said.status, Some(3), "{}", said.text);
    assert!(!said.text.contains("damaged"), "{}", said.text);
}

fn an_unused_entry_is_pruned_with_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join("symstack").join(name);
    for entry in ["stacks/old/stock", "stacks/new/stock", "guest", "kernels"] {
        fs::create_dir_all(path(entry)).unwrap();
    }
    for place in ["stacks/old/stock", "stacks/new/stock", "guest/gone"] {
        drop(Lock::beside(&path(place)).unwrap());
    }
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    for old in ["stacks/old/stock.lock", "stacks/old"] {
        fs::File::open(path(old)).unwrap().set_modified(long_ago).unwrap();
    }
    let _held = Lock::beside(&path("guest/held")).unwrap();
    let mut prune = Command::new(env!("CARGO_BIN_EXE_xtask"));
    prune.args(["kernels", "prune"]).env("XDG_CACHE_HOME", folder.path());
    told(prune).holds();
    for gone in ["stacks/old", "guest/gone.lock", "stacks/old.lock"] {
        assert!(!path(gone).exists(), "{gone}");
    }
    assert!(path("stacks/new/stock.lock").exists() && path("guest/held.lock").exists());
}
