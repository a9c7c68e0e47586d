//! Folders of sources, and what a build leaves behind. It is long because each thing that may lie
//! there is a case of its own.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use tempfile::TempDir;
use xtask::{
    build::{BuildDir, MakeTarget, Stack},
    problem::{Kind, Problem},
};

use crate::{
    harness::{Needs, Test, skip},
    kernel,
};

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    tests!(
        Needs::Nothing => [
            a_list_that_a_build_wrote_removes_nothing_of_the_host,
            a_link_that_a_build_planted_is_not_written_through,
            the_memory_of_a_build_is_out_of_its_reach,
            the_lock_is_out_of_a_builds_reach,
            a_link_out_of_the_stack_is_named_and_not_shown_to_the_build,
            a_link_within_the_stack_is_followed,
            files_beside_a_stack_are_read_only_and_shown_within_its_repository_alone,
            objects_of_another_kbuild_are_not_taken_for_todays,
            folders_that_no_path_leads_to_are_removed,
            words_of_the_callers_environment_are_not_the_sandboxs,
            links_that_lead_round_in_a_circle_end,
            a_folder_of_any_name_builds,
            a_folder_with_a_newline_in_its_name_builds,
            messages_name_paths_within_the_stack,
            sockets_and_links_beside_the_sources_are_left_out_by_name,
            a_newline_in_a_name_makes_no_second_name,
            names_of_255_bytes_are_copied,
            a_huge_source_is_left_out,
            a_hundred_thousand_files_are_refused,
            very_deep_sources_are_refused,
            an_unreadable_source_is_left_out,
            a_module_that_is_a_link_is_not_read,
            a_module_that_is_a_fifo_is_not_waited_for,
            a_module_that_is_a_folder_is_none,
            a_module_that_is_a_device_is_not_opened,
            a_huge_module_is_not_read,
            a_list_of_modules_names_none_outside,
            a_list_of_modules_that_is_a_fifo_is_not_waited_for,
            a_list_of_symbols_is_a_regular_file_or_none,
            a_list_of_types_that_is_a_link_is_not_read,
            a_product_is_neither_executable_nor_setuid,
            a_tree_that_became_a_link_is_made_anew,
            a_source_in_the_tree_that_became_something_else_is_written_anew,
            a_source_in_the_tree_with_a_second_name_is_not_written_in_place,
            a_folder_in_the_tree_without_permissions_does_not_stop_the_next_build,
            a_hundred_thousand_files_of_a_build_are_refused_and_removed,
            very_deep_folders_of_a_build_are_refused_and_removed,
            a_removal_leaves_what_links_lead_to,
            a_product_that_was_changed_is_taken_out_again,
            the_hosts_own_compilers_run_in_a_sandbox,
        ],
    )
}

/// The longest time that a refusal may take.
const REFUSAL_MAX: Duration = Duration::from_secs(10);
/// The smallest module.
const MODULE: &str = "#include <linux/module.h>\nMODULE_LICENSE(\"GPL\");\n\
                      MODULE_DESCRIPTION(\"a\");\n";

/// A stack in a folder with other things beside it, all of which go away.
struct Stranger {
    base: TempDir,
    name: &'static str,
}

impl Stranger {
    /// A stack with one module, whose Kbuild runs a script: OUT is a folder of the host's.
    fn new(script: &str) -> Self {
        Self::called("stack", script)
    }

    fn called(name: &'static str, script: &str) -> Self {
        let base = tempfile::tempdir().unwrap();
        let stranger = Self { base, name };
        fs::create_dir(stranger.stack("")).unwrap();
        fs::create_dir(stranger.outside("")).unwrap();
        fs::write(stranger.outside("key"), "secret").unwrap();
        let script = script.replace("OUT", &stranger.outside("").to_string_lossy());
        let script = script.trim_end_matches('/').replace('\'', "'\\''");
        let line = format!("obj-m := a.o\n$(info $(shell sh -c 'cd $(src); {script}' 2>&1))\n");
        fs::write(stranger.stack("Kbuild"), line).unwrap();
        fs::write(stranger.stack("a.c"), MODULE).unwrap();
        stranger
    }

    fn stack(&self, name: impl AsRef<Path>) -> PathBuf {
        self.base.path().join(self.name).join(name)
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.base.path().join("outside").join(name)
    }

    fn open(&self) -> Result<BuildDir, Problem> {
        BuildDir::open(kernel(), &Stack::in_folder(&self.stack("")).unwrap())
    }

    /// Returns the output of `build`, and its status.
    fn build(&self) -> (String, i32) {
        self.verb(&["build"])
    }

    fn verb(&self, words: &[&str]) -> (String, i32) {
        let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
        run.args(words).arg("--stack").arg(self.stack(""));
        run.args(["--kernel", &kernel().name.to_string()]).stdin(Stdio::null());
        let output = run.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&text).into_owned(), output.status.code().unwrap())
    }

    /// A build folder in which something was left, and what was taken out of it.
    fn left(&self, leave: impl FnOnce(&Path)) -> (BuildDir, Result<(), Problem>) {
        let build_dir = self.open().unwrap();
        leave(&build_dir.tree());
        let begin = Instant::now();
        let taken = build_dir.export();
        assert!(begin.elapsed() < REFUSAL_MAX, "{:?}", begin.elapsed());
        assert_eq!(fs::read_to_string(self.outside("key")).unwrap(), "secret");
        (build_dir, taken)
    }

    /// The names of the products after something was left.
    fn products(&self, leave: impl FnOnce(&Path)) -> Vec<String> {
        let (build_dir, taken) = self.left(leave);
        taken.unwrap();
        names(&build_dir.products())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let workspace = self.open().map(|build_dir| (build_dir.tree(), build_dir.remove()));
        if let Ok((tree, _)) = workspace {
            let _ = fs::remove_dir_all(tree.ancestors().nth(2).unwrap());
        }
    }
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn node(path: &Path, kind: FileType) {
    let device = if kind == FileType::Fifo { 0 } else { makedev(1, 5) };
    // Only root can make a device.
    let made = mknodat(CWD, path, kind, Mode::RWXU, device);
    assert!(made.is_ok() || kind != FileType::Fifo, "{made:?}");
}

fn sparse(path: &Path, size: u64) {
    fs::File::create(path).unwrap().set_len(size).unwrap();
}

fn a_list_that_a_build_wrote_removes_nothing_of_the_host() {
    let stranger = Stranger::new("printf '%s\\n' OUT/key ../../../../outside/key > .copied");
    let (said, status) = stranger.build();
    assert_eq!(status, 0, "{said}");
    let (said, status) = stranger.build();
    assert!(status == 0 && stranger.outside("key").exists(), "{said}");
}

fn a_link_that_a_build_planted_is_not_written_through() {
    let stranger = Stranger::new("rm -rf d a.c.old; ln -s OUT d; ln -s OUT/key n");
    fs::create_dir(stranger.stack("d")).unwrap();
    fs::write(stranger.stack("d/key"), "theirs").unwrap();
    let (said, status) = stranger.build();
    assert_eq!(status, 0, "{said}");
    fs::write(stranger.stack("d/key"), "theirs, again").unwrap();
    fs::write(stranger.stack("n"), "theirs").unwrap();
    let (said, status) = stranger.build();
    assert_eq!(status, 0, "{said}");
    assert_eq!(fs::read_to_string(stranger.outside("key")).unwrap(), "secret");
    assert_eq!(names(&stranger.outside("")), ["key"]);
}

fn the_memory_of_a_build_is_out_of_its_reach() {
    let stranger = Stranger::new("ls -A .. | sed s/^/beside:/; echo x > ../memory.json");
    let (said, status) = stranger.build();
    assert!(
        status == 0 && said.contains("beside:tree") && !said.contains("beside:products"),
        "{said}"
    );
    let tree = stranger.open().unwrap().tree();
    let memory = fs::read_to_string(tree.with_file_name("memory.json")).unwrap();
    assert!(memory.contains("a.c"), "{memory}");
}

fn the_lock_is_out_of_a_builds_reach() {
    let stranger = Stranger::new("echo x >&0; flock -u 0; readlink /proc/self/fd/0");
    let (said, status) = stranger.build();
    assert!(status == 0 && !said.contains(".lock"), "{said}");
    let lock = stranger.open().unwrap().tree().parent().unwrap().with_extension("lock");
    let tree = stranger.open().unwrap().tree();
    let all = tree.ancestors().nth(2).unwrap();
    let locks: Vec<String> =
        names(all).into_iter().filter(|name| name.ends_with(".lock")).collect();
    assert_eq!(locks.len(), 1, "{} {locks:?}", lock.display());
    assert_eq!(all.join(&locks[0]).metadata().unwrap().len(), 0);
}

fn a_link_out_of_the_stack_is_named_and_not_shown_to_the_build() {
    let stranger = Stranger::new("cat key more/key");
    symlink(stranger.outside("key"), stranger.stack("key")).unwrap();
    symlink("../outside", stranger.stack("more")).unwrap();
    let (said, status) = stranger.build();
    assert!(status == 0 && !said.contains("secret"), "{said}");
    for name in ["key", "more"] {
        let line = format!("left out: {name}: a link that leads out of the stack; copy there");
        assert!(said.contains(&line), "{said}");
    }
}

fn a_link_within_the_stack_is_followed() {
    let stranger = Stranger::new("cat d/b.h again/b.h");
    fs::create_dir(stranger.stack("d")).unwrap();
    fs::write(stranger.stack("h"), "one of mine").unwrap();
    symlink("../h", stranger.stack("d/b.h")).unwrap();
    symlink(stranger.stack("d"), stranger.stack("again")).unwrap();
    let (said, status) = stranger.build();
    assert!(status == 0 && said.contains("one of mineone of mine"), "{said}");
    assert!(!said.contains("left out"), "{said}");
}

fn files_beside_a_stack_are_read_only_and_shown_within_its_repository_alone() {
    let script = "cat ../outside/key ../.git/config ../link ../../../../../etc/shadow; \
                  echo x > ../outside/key; echo x > ../new; rm ../outside/key; echo done";
    let stranger = Stranger::new(script);
    let base = stranger.base.path().to_owned();
    let far = tempfile::tempdir().unwrap();
    fs::write(far.path().join("key"), "of another folder").unwrap();
    symlink(far.path().join("key"), base.join("link")).unwrap();
    let (said, status) = stranger.build();
    assert!(status == 0 && said.contains("done") && !said.contains("secret"), "{said}");
    fs::create_dir(base.join(".git")).unwrap();
    fs::write(base.join(".git/config"), "a word to log in with").unwrap();
    // Whoever the build runs as may write there, as far as modes go.
    for (path, mode) in [("", 0o777), ("outside", 0o777), ("outside/key", 0o666)] {
        fs::set_permissions(base.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let (said, status) = stranger.build();
    assert!(status == 0 && said.contains("secret") && said.contains("done"), "{said}");
    for hidden in ["a word to log in with", "of another folder", "root:"] {
        assert!(!said.contains(hidden), "{said}");
    }
    assert_eq!(fs::read_to_string(stranger.outside("key")).unwrap(), "secret");
    assert!(!base.join("new").exists());
}

fn links_that_lead_round_in_a_circle_end() {
    let stranger = Stranger::new("");
    fs::create_dir(stranger.stack("d")).unwrap();
    fs::create_dir(stranger.stack("e")).unwrap();
    for (to, link) in [(".", "here"), ("../e", "d/e"), ("../d", "e/d"), ("l", "l"), ("..", "d/up")]
    {
        symlink(to, stranger.stack(link)).unwrap();
    }
    let names = names(&stranger.open().unwrap().tree());
    assert_eq!(names, ["Kbuild", "a.c"]);
    let products = stranger.products(|tree| {
        fs::create_dir(tree.join("d")).unwrap();
        fs::write(tree.join("d/a.ko"), "").unwrap();
        (0..4).for_each(|n| symlink("..", tree.join(format!("d/up{n}"))).unwrap());
    });
    assert_eq!(products, ["d"]);
}

fn a_folder_of_any_name_builds() {
    let stranger = Stranger::called("a b'c\"d$e%f:g,h;i&j#k(l", "");
    let (said, status) = stranger.build();
    assert!(status == 0 && said.contains("a.ko"), "{said}");
}

fn a_folder_with_a_newline_in_its_name_builds() {
    let stranger = Stranger::called("a\nb\\ü", "");
    let (said, status) = stranger.build();
    assert!(status == 0 && said.contains("a.ko"), "{said}");
}

fn messages_name_paths_within_the_stack() {
    let stranger = Stranger::called("a b", "");
    fs::write(stranger.stack("a.c"), "int a = b;\n").unwrap();
    let (said, status) = stranger.verb(&["prove"]);
    assert!(status == 1 && said.contains(" a.c:1:9: error"), "{said}");
}

fn sockets_and_links_beside_the_sources_are_left_out_by_name() {
    let stranger = Stranger::new("");
    let _socket = UnixListener::bind(stranger.stack("socket")).unwrap();
    node(&stranger.stack("fifo"), FileType::Fifo);
    node(&stranger.stack("zero"), FileType::CharacterDevice);
    symlink("me@host.1:2", stranger.stack(".#a.c")).unwrap();
    fs::write(stranger.stack(OsStr::from_bytes(b"\xff.c")), "").unwrap();
    let (said, status) = stranger.build();
    assert_eq!(status, 0, "{said}");
    for line in [
        "left out: socket: a socket\n",
        "left out: fifo: a FIFO\n",
        "left out: .#a.c: a link that leads nowhere\n",
        "left out: \\xff.c: its name is no plain text\n",
    ] {
        assert_eq!(said.matches(line).count(), 1, "{line}{said}");
    }
    let zero = stranger.stack("zero").exists();
    assert_eq!(said.contains("left out: zero: a device\n"), zero, "{said}");
}

fn a_newline_in_a_name_makes_no_second_name() {
    let stranger = Stranger::new("");
    fs::create_dir(stranger.stack("a\n")).unwrap();
    let path = format!("a\n{}", stranger.outside("key").display());
    fs::create_dir_all(stranger.stack(&path).parent().unwrap()).unwrap();
    fs::write(stranger.stack(&path), "").unwrap();
    stranger.open().unwrap();
    fs::remove_dir_all(stranger.stack("a\n")).unwrap();
    stranger.open().unwrap();
    assert!(stranger.outside("key").exists());
}

fn names_of_255_bytes_are_copied() {
    let stranger = Stranger::new("");
    let name = "n".repeat(255);
    fs::create_dir(stranger.stack(&name)).unwrap();
    fs::write(stranger.stack(&name).join(&name), "x").unwrap();
    let tree = stranger.open().unwrap().tree();
    assert_eq!(fs::read_to_string(tree.join(&name).join(&name)).unwrap(), "x");
}

fn a_huge_source_is_left_out() {
    let stranger = Stranger::new("");
    sparse(&stranger.stack("huge.bin"), 1 << 40);
    let begin = Instant::now();
    let tree = stranger.open().unwrap().tree();
    assert!(begin.elapsed() < REFUSAL_MAX && !tree.join("huge.bin").exists());
}

/// The problem of opening it, which is there soon.
fn refused(stranger: &Stranger) -> Problem {
    let begin = Instant::now();
    let problem = stranger.open().unwrap_err();
    assert!(begin.elapsed() < REFUSAL_MAX, "{:?}", begin.elapsed());
    assert_eq!(problem.kind, Kind::Usage);
    problem
}

fn many(folder: &Path) {
    fs::create_dir(folder).unwrap();
    (0..=100_000).for_each(|n| drop(fs::File::create(folder.join(n.to_string())).unwrap()));
}

fn a_hundred_thousand_files_are_refused() {
    let stranger = Stranger::new("");
    many(&stranger.stack("many"));
    let problem = refused(&stranger);
    assert!(problem.fact.ends_with("more than 100000 files and folders"), "{problem}");
    fs::remove_dir_all(stranger.stack("many")).unwrap();
}

fn very_deep_sources_are_refused() {
    let stranger = Stranger::new("");
    fs::create_dir_all(stranger.stack("d/".repeat(70))).unwrap();
    let problem = refused(&stranger);
    assert!(problem.fact.ends_with("folders more than 64 deep"), "{problem}");
    fs::remove_dir_all(stranger.stack("d")).unwrap();
}

fn an_unreadable_source_is_left_out() {
    let stranger = Stranger::new("");
    fs::write(stranger.stack("b"), "").unwrap();
    fs::set_permissions(stranger.stack("b"), PermissionsExt::from_mode(0o0)).unwrap();
    let tree = stranger.open().unwrap().tree();
    // Root can read it.
    assert_eq!(tree.join("b").exists(), fs::read(stranger.stack("b")).is_ok());
}

/// A list of modules that names a module of which nothing is taken out.
fn not_taken(leave: impl FnOnce(&Stranger, &Path)) {
    let stranger = Stranger::new("");
    let (build_dir, taken) = stranger.left(|tree| {
        leave(&stranger, &tree.join("leak.ko"));
        fs::write(tree.join("modules.order"), "leak.o\n").unwrap();
    });
    taken.unwrap();
    assert_eq!(names(&build_dir.products()), ["modules.order"]);
    let problem = build_dir.modules().unwrap_err();
    assert_eq!(problem.kind, Kind::DoesNotHold);
    assert!(problem.fact.contains("names \"leak.o\", of which the build left no"), "{problem}");
}

fn a_module_that_is_a_link_is_not_read() {
    not_taken(|stranger, module| symlink(stranger.outside("key"), module).unwrap());
}

fn a_module_that_is_a_fifo_is_not_waited_for() {
    not_taken(|_, module| node(module, FileType::Fifo));
}

fn a_module_that_is_a_folder_is_none() {
    not_taken(|_, module| fs::create_dir(module).unwrap());
}

fn a_module_that_is_a_device_is_not_opened() {
    not_taken(|_, module| node(module, FileType::CharacterDevice));
}

fn a_huge_module_is_not_read() {
    not_taken(|_, module| sparse(module, 1 << 40));
}

fn a_list_of_modules_names_none_outside() {
    let stranger = Stranger::new("");
    fs::write(stranger.outside("x.ko"), "").unwrap();
    let outside = stranger.outside("x.o").to_string_lossy().into_owned();
    for line in ["../../x.o", "/etc/passwd", &outside, "..", "a\0b.o", ""] {
        let (build_dir, taken) = stranger.left(|tree| {
            fs::write(tree.with_file_name("x.ko"), "").unwrap();
            fs::write(tree.join("modules.order"), format!("{line}\n")).unwrap();
        });
        taken.unwrap();
        let problem = build_dir.modules().unwrap_err();
        assert!(problem.fact.contains("the build left no module"), "{line}: {problem}");
    }
}

fn a_list_of_modules_that_is_a_fifo_is_not_waited_for() {
    let stranger = Stranger::new("");
    let products = stranger.products(|tree| node(&tree.join("modules.order"), FileType::Fifo));
    assert_eq!(products, [""; 0]);
    let problem = stranger.open().unwrap().modules().unwrap_err();
    assert!(problem.fact.contains("builds no module"), "{problem}");
}

fn a_list_of_symbols_is_a_regular_file_or_none() {
    let leaves: [fn(&Path); 3] = [
        |list| node(list, FileType::Fifo),
        |list| symlink("/dev/zero", list).unwrap(),
        |list| sparse(list, 1 << 40),
    ];
    for leave in leaves {
        let stranger = Stranger::new("");
        let products = stranger.products(|tree| leave(&tree.join("Module.symvers")));
        assert_eq!(products, [""; 0]);
    }
}

fn a_list_of_types_that_is_a_link_is_not_read() {
    let stranger = Stranger::new("");
    let key = stranger.outside("key");
    let products = stranger.products(|tree| {
        fs::write(tree.join("b.symtypes"), "").unwrap();
        symlink(key, tree.join("a.symtypes")).unwrap();
    });
    assert_eq!(products, ["b.symtypes"]);
}

fn a_product_is_neither_executable_nor_setuid() {
    let stranger = Stranger::new("");
    let (build_dir, taken) = stranger.left(|tree| {
        fs::write(tree.join("a.ko"), "").unwrap();
        fs::set_permissions(tree.join("a.ko"), PermissionsExt::from_mode(0o6777)).unwrap();
    });
    taken.unwrap();
    let mode = build_dir.products().join("a.ko").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
}

fn a_tree_that_became_a_link_is_made_anew() {
    let stranger = Stranger::new("");
    let tree = stranger.open().unwrap().tree();
    fs::remove_dir_all(&tree).unwrap();
    symlink(stranger.outside(""), &tree).unwrap();
    stranger.open().unwrap();
    assert!(!tree.is_symlink() && tree.join("a.c").exists());
    assert_eq!(names(&stranger.outside("")), ["key"]);
}

fn a_source_in_the_tree_that_became_something_else_is_written_anew() {
    let stranger = Stranger::new("");
    let source = stranger.open().unwrap().tree().join("a.c");
    let leaves: [&dyn Fn(); 5] = [
        &|| node(&source, FileType::Fifo),
        &|| symlink(stranger.outside("key"), &source).unwrap(),
        &|| symlink("a.c", &source).unwrap(),
        &|| fs::create_dir_all(source.join("d/e")).unwrap(),
        &|| sparse(&source, 1 << 40),
    ];
    for leave in leaves {
        fs::remove_file(&source).unwrap();
        leave();
        stranger.open().unwrap();
        assert!(source.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read_to_string(&source).unwrap(), MODULE);
    }
    assert_eq!(fs::read_to_string(stranger.outside("key")).unwrap(), "secret");
}

fn a_source_in_the_tree_with_a_second_name_is_not_written_in_place() {
    let stranger = Stranger::new("");
    let source = stranger.open().unwrap().tree().join("a.c");
    fs::remove_file(&source).unwrap();
    fs::hard_link(stranger.outside("key"), &source).unwrap();
    stranger.open().unwrap();
    assert_eq!(source.metadata().unwrap().nlink(), 1);
    assert_eq!(fs::read_to_string(stranger.outside("key")).unwrap(), "secret");
}

fn a_folder_in_the_tree_without_permissions_does_not_stop_the_next_build() {
    let stranger = Stranger::new("");
    fs::create_dir(stranger.stack("d")).unwrap();
    fs::write(stranger.stack("d/b.c"), "1").unwrap();
    let tree = stranger.open().unwrap().tree();
    fs::set_permissions(tree.join("d"), PermissionsExt::from_mode(0o0)).unwrap();
    fs::write(stranger.stack("d/b.c"), "2").unwrap();
    stranger.open().unwrap();
    assert_eq!(fs::read_to_string(tree.join("d/b.c")).unwrap(), "2");
    fs::set_permissions(&tree, PermissionsExt::from_mode(0o0)).unwrap();
    stranger.open().unwrap().empty().unwrap();
    assert_eq!(names(&tree), ["Kbuild", "a.c", "d"]);
}

fn a_hundred_thousand_files_of_a_build_are_refused_and_removed() {
    let stranger = Stranger::new("");
    let (build_dir, taken) = stranger.left(|tree| many(&tree.join("many")));
    let problem = taken.unwrap_err();
    assert!(problem.fact.contains("left more than 100000 files and folders"), "{problem}");
    build_dir.empty().unwrap();
    assert_eq!(names(&build_dir.tree()), ["Kbuild", "a.c"]);
}

fn very_deep_folders_of_a_build_are_refused_and_removed() {
    let stranger = Stranger::new("");
    // Deeper than a path can say, and than a process may have files open.
    let (build_dir, taken) = stranger.left(|tree| {
        let deep = "i=0; while [ $i -lt 1100 ]; do mkdir d && cd -P d || exit; i=$((i + 1)); done";
        let made = Command::new("sh").args(["-c", deep]).current_dir(tree).status().unwrap();
        assert!(made.success());
    });
    let problem = taken.unwrap_err();
    assert!(problem.fact.contains("left folders more than 64 deep"), "{problem}");
    let begin = Instant::now();
    build_dir.empty().unwrap();
    assert!(begin.elapsed() < REFUSAL_MAX, "{:?}", begin.elapsed());
}

fn a_removal_leaves_what_links_lead_to() {
    let stranger = Stranger::new("");
    let build_dir = stranger.open().unwrap();
    fs::create_dir(build_dir.tree().join("d")).unwrap();
    symlink(stranger.outside(""), build_dir.tree().join("d/out")).unwrap();
    symlink("/", build_dir.tree().join("d/root")).unwrap();
    build_dir.empty().unwrap();
    assert_eq!(names(&stranger.outside("")), ["key"]);
}

fn a_product_that_was_changed_is_taken_out_again() {
    let stranger = Stranger::new("");
    let build_dir = stranger.open().unwrap();
    let built = || build_dir.build_quiet(MakeTarget::Modules).unwrap();
    let module = &built()[0];
    let before = fs::read(module).unwrap();
    fs::write(module, "damaged").unwrap();
    assert_eq!(fs::read(&built()[0]).unwrap(), before);
    fs::remove_file(module).unwrap();
    assert_eq!(fs::read(&built()[0]).unwrap(), before);
}

/// A folder that passes for a kernel's tree which was prepared with the host's own rustc.
fn the_hosts_own_compilers_run_in_a_sandbox() {
    let Ok(rustc) = Command::new("rustc").arg("--version").current_dir("/").output() else {
        skip("this machine has no rustc of its own")
    };
    let stranger = Stranger::new("");
    let version = String::from_utf8(rustc.stdout).unwrap();
    let config = format!("CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT=\"{}\"\n", version.trim());
    let makefile = "modules:\n\t@echo home $$HOME; rustc --version; \
                    cat OUT/key /etc/shadow; touch OUT/new; tail -n +3 /proc/net/dev; false\n";
    let makefile = makefile.replace("OUT/", &stranger.outside("").to_string_lossy());
    let kernel = stranger.base.path().join("kernel");
    for (file, text) in [
        ("Makefile", makefile.as_str()),
        (".config", &config),
        ("include/config/kernel.release", "7.3.4-own\n"),
        ("rust/libkernel.rmeta", ""),
        ("scripts/module.lds", ""),
        ("Module.symvers", ""),
    ] {
        fs::create_dir_all(kernel.join(file).parent().unwrap()).unwrap();
        fs::write(kernel.join(file), text).unwrap();
    }
    let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
    run.args(["build", "--stack"]).arg(stranger.stack("")).arg("--kernel").arg(&kernel);
    let output = run.env("SECRET_OF_HOST", "secret").output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("home /tmp\n") && said.contains(version.trim()), "{said}");
    assert!(!said.contains("secret") && !said.contains("root:"), "{said}");
    assert_eq!(names(&stranger.outside("")), ["key"]);
}

/// Makes what is in a build folder newer than all sources, as a build can.
fn touch(tree: &Path) {
    let mut touch = Command::new("find");
    touch.arg(tree).args(["-exec", "touch", "-h", "-d", "2035-01-01", "{}", "+"]);
    assert!(touch.status().unwrap().success());
}

fn objects_of_another_kbuild_are_not_taken_for_todays() {
    let stranger = Stranger::new("true");
    let (said, status) = stranger.build();
    assert_eq!(status, 0, "{said}");
    touch(&stranger.open().unwrap().tree());
    // The honest one.
    fs::write(stranger.stack("Kbuild"), "obj-m := a.o\n").unwrap();
    fs::write(stranger.stack("a.c"), format!("{MODULE}MODULE_ALIAS(\"honest\");\n")).unwrap();
    let (said, status) = stranger.build();
    assert_eq!(status, 0, "{said}");
    let products = stranger.open().unwrap().products();
    let module = fs::read(products.join("a.ko")).unwrap();
    assert!(module.windows(12).any(|bytes| bytes == b"alias=honest"), "it is the stranger's");
}

fn folders_that_no_path_leads_to_are_removed() {
    let deep = "perl -e \"mkdir q(d) and chdir q(d) for 1..3000\"";
    let stranger = Stranger::new(&format!("cd $(obj); {deep}"));
    for _ in 0..2 {
        let (said, status) = stranger.build();
        assert!(status != 69, "it is no fault of the machine: {said}");
    }
    fs::write(stranger.stack("Kbuild"), "obj-m := a.o\n").unwrap();
    let (said, status) = stranger.build();
    assert_eq!(status, 0, "{said}");
}

fn words_of_the_callers_environment_are_not_the_sandboxs() {
    let stranger = Stranger::new("true");
    let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"));
    run.args(["build", "--kernel", &kernel().name.to_string(), "--stack"]);
    run.arg(stranger.stack("")).env("AS", "as").env("THROUGH", "/nowhere").stdin(Stdio::null());
    let output = run.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
