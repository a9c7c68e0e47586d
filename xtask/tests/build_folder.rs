//! A build folder and a folder of sources in which anything may have happened between two runs:
//! whatever lies there, nothing outside changes, nothing large is read, and nothing waits.
//!
//! `HOSTILE_CASES=100000 cargo test --release -p xtask --test build_folder`.

#![expect(clippy::unwrap_used, reason = "it is all tests")]

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use peak_alloc::PeakAlloc;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use xtask::{
    build::{Stack, Workspace},
    host::run,
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The cases of an ordinary run.
const CASES_DEFAULT: u32 = 200;
/// The longest time that one case may take on a busy machine; a FIFO that is waited for takes for
/// ever.
const CASE_MAX: Duration = Duration::from_secs(60);
/// The memory that the host may hold at once: the largest file below has more.
const MEMORY_MAX: usize = 8 << 20;

/// The places at which something is put: of sources, of products, of ours, and others.
const PLACES: [&str; 20] = [
    "",
    "Kbuild",
    "a.c",
    "d",
    "d/b.c",
    "d/e",
    "d/e/c.h",
    "a.ko",
    "d/b.ko",
    "modules.order",
    "Module.symvers",
    "d/Module.symvers",
    "a.symtypes",
    ".copied",
    "memory.json",
    ".symstack-partial",
    "d/.symstack-partial",
    ".symstack-moved-0",
    "d/.symstack-moved-1",
    "x",
];
/// The targets of a link.
const LINKS: [&str; 10] =
    ["OUT", "OUT/key", "OUT/d", "..", "../../outside", "/", "d", "a.c", ".", "nowhere"];
/// The entries of a list.
const TEXTS: [&str; 6] = [
    "a.o\nd/b.o\n",
    "../../outside/key.o\n",
    "OUT/key.ko\n",
    "TREE/a.o\n",
    "\0\n\n/\n.\n..\n",
    "x",
];

/// A change of one place.
#[derive(Clone, Debug)]
enum Change {
    Remove,
    Text(&'static str),
    Link(&'static str),
    HardLink(&'static str),
    Fifo,
    Socket,
    Device,
    Folder,
    Sparse(u64),
    Mode(u32),
    Deep(usize),
    Many(usize),
    Odd(Vec<u8>),
}

/// Changes of the tree, of the folder around it, and of the sources.
#[derive(Clone, Copy, Debug)]
enum Within {
    Tree,
    Products,
    Sources,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => Just(Change::Remove),
        4 => select(&TEXTS[..]).prop_map(Change::Text),
        6 => select(&LINKS[..]).prop_map(Change::Link),
        2 => select(&PLACES[..]).prop_map(Change::HardLink),
        2 => Just(Change::Fifo),
        1 => Just(Change::Socket),
        1 => Just(Change::Device),
        3 => Just(Change::Folder),
        2 => select(&[1_u64 << 29, 1 << 40, i64::MAX as u64][..]).prop_map(Change::Sparse),
        2 => select(&[0, 0o111, 0o444, 0o4755, 0o1777][..]).prop_map(Change::Mode),
        1 => (1_usize..100).prop_map(Change::Deep),
        1 => (1_usize..100).prop_map(Change::Many),
        1 => prop::collection::vec(1_u8..=255, 1..255).prop_map(Change::Odd),
    ]
}

/// Makes a change where it can be made.
fn apply(base: &Path, folder: &Path, place: &str, change: &Change) {
    let path = folder.join(place);
    let named = |text: &str| {
        let text = text.replace("OUT", &base.join("outside").to_string_lossy());
        text.replace("TREE", &base.join("workspace/tree").to_string_lossy())
    };
    if let Change::Mode(mode) = change {
        if path.symlink_metadata().is_ok_and(|file| !file.is_symlink()) {
            let _ = fs::set_permissions(&path, PermissionsExt::from_mode(*mode));
        }
        return;
    }
    // The change itself must stay inside: no link may be on the way to it.
    let above = path.parent().unwrap();
    if above.canonicalize().ok().as_deref() != Some(above) {
        return;
    }
    let remove = || match path.symlink_metadata() {
        Ok(file) if file.is_dir() => drop(fs::remove_dir_all(&path)),
        _ => drop(fs::remove_file(&path)),
    };
    let node = |kind, device| {
        // Only root can make a device.
        let _ = mknodat(CWD, &path, kind, Mode::RWXU, device);
    };
    match change {
        Change::Deep(_) | Change::Many(_) | Change::Odd(_) if path.is_symlink() => return,
        Change::Deep(_) | Change::Many(_) | Change::Odd(_) => {}
        _ => remove(),
    }
    match change {
        Change::Remove | Change::Mode(_) => {}
        Change::Text(text) => drop(fs::write(&path, named(text))),
        Change::Link(to) => drop(symlink(named(to), &path)),
        Change::HardLink(to) => drop(fs::hard_link(folder.join(to), &path)),
        Change::Fifo => node(FileType::Fifo, 0),
        Change::Socket => drop(UnixListener::bind(&path)),
        Change::Device => node(FileType::CharacterDevice, makedev(1, 5)),
        Change::Folder => drop(fs::create_dir(&path)),
        Change::Sparse(size) => drop(fs::File::create(&path).map(|file| file.set_len(*size))),
        Change::Deep(depth) => drop(fs::create_dir_all(path.join("n/".repeat(*depth)))),
        Change::Many(number) => {
            (0..*number).for_each(|n| drop(fs::write(path.join(format!("{n}.ko")), "m")));
        }
        Change::Odd(name) => drop(fs::write(path.join(OsStr::from_bytes(name)), "odd")),
    }
}

/// All that is known of what no run may change.
fn outside(base: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["outside", "outside/d"] {
        let mut paths: Vec<PathBuf> =
            base.join(folder).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let file = path.symlink_metadata().unwrap();
            let time = (file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec());
            found.push(format!("{} {} {} {time:?}", path.display(), file.mode(), file.size()));
        }
    }
    found
}

/// Does the host's part of one run, from the sources to the products.
fn host_side(base: &Path) {
    let workspace = Workspace::at(base.join("workspace"));
    let Ok(stack) = Stack::in_folder(&base.join("stack")) else { return };
    let _ = stack.sources().and_then(|sources| workspace.refresh(&sources));
    let _ = workspace.export();
    let products = workspace.products();
    if let Ok(modules) = workspace.modules() {
        for module in modules {
            let near = module.strip_prefix(&products).unwrap();
            assert!(!near.to_string_lossy().contains(".."), "{}", near.display());
            assert!(module.symlink_metadata().unwrap().is_file(), "{}", module.display());
        }
    }
}

fn case(changes: &[Vec<(Within, &'static str, Change)>]) {
    let base = tempfile::tempdir().unwrap();
    let base = base.path().canonicalize().unwrap();
    for file in ["stack/Kbuild", "stack/a.c", "stack/d/b.c", "outside/key", "outside/d/key.ko"] {
        let path = base.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "1").unwrap();
    }
    host_side(&base);
    let before = outside(&base);
    for round in changes {
        for (within, place, change) in round {
            let folder = match within {
                Within::Tree => "workspace/tree",
                Within::Products => "workspace/products",
                Within::Sources => "stack",
            };
            apply(&base, &base.join(folder), place, change);
        }
        MEMORY.reset_peak_usage();
        let begin = MEMORY.current_usage();
        host_side(&base);
        let used = MEMORY.peak_usage().saturating_sub(begin);
        assert!(used < MEMORY_MAX, "{used} bytes were held");
        assert_eq!(outside(&base), before);
    }
    xtask::host::beneath::remove_folder(&base.join("workspace")).unwrap();
    xtask::host::beneath::remove_folder(&base.join("stack")).unwrap();
    assert_eq!(outside(&base), before);
}

#[test]
fn nothing_outside_changes_whatever_lies_in_a_build_folder() {
    run::echo_off();
    static CASE: AtomicU64 = AtomicU64::new(0);
    thread::spawn(|| {
        let mut last = (u64::MAX, Instant::now());
        loop {
            thread::sleep(Duration::from_secs(1));
            let now = CASE.load(Ordering::Relaxed);
            if now != last.0 {
                last = (now, Instant::now());
            } else if last.1.elapsed() > CASE_MAX {
                eprintln!("case {now} takes more than {CASE_MAX:?}");
                std::process::abort();
            }
        }
    });
    let cases = std::env::var("HOSTILE_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(CASES_DEFAULT),
        failure_persistence: None,
        ..Config::default()
    };
    let within = prop_oneof![
        6 => Just(Within::Tree),
        1 => Just(Within::Products),
        3 => Just(Within::Sources),
    ];
    let changes = prop::collection::vec((within, select(&PLACES[..]), change()), 1..8);
    let rounds = prop::collection::vec(changes, 1..4);
    let result = TestRunner::new(config).run(&rounds, |rounds| {
        CASE.fetch_add(1, Ordering::Relaxed);
        case(&rounds);
        Ok(())
    });
    result.unwrap();
}
