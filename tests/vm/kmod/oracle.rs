//! depmod beside `order`, over trees made at random.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngSeed, TestRunner},
};
use stack::{graph::Graph, modules_dep, modules_lists};
use xtask::{
    build::project,
    host::{
        cache::Cache,
        root::{Root, TRIXIE},
        sandbox::Sandbox,
    },
    tree::{
        aliases::{modules_alias, modules_devname},
        depmod_files::depmod_config,
        scan::scan,
        walk,
    },
};

use super::trees::{RELEASE, Tree, tree};

/// The files of depmod's that are held beside ours.
const FILES: [&str; 6] = [
    "modules.dep",
    "modules.alias",
    "modules.softdep",
    "modules.weakdep",
    "modules.symbols",
    "modules.devname",
];

/// Trees in each test run; `SYMSTACK_DEPMOD_TREES` asks for more.
const TREES: usize = 60;

/// The files that depmod wrote; `None` when it wrote nothing.
type Written = Option<BTreeMap<&'static str, String>>;

struct Oracle {
    folder: PathBuf,
    sandbox: Sandbox,
}

impl Oracle {
    fn new() -> Self {
        let folder = project().join("target/build/kmod-fixtures/oracle");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let root = Root::obtain(&Cache::open().unwrap(), TRIXIE).unwrap();
        Self { sandbox: root.sandbox().bind(&folder), folder }
    }

    /// Writes the trees, and runs depmod over each: one entry of the sandbox for all. Over some
    /// that have a cycle, depmod never ends.
    fn depmod(&self, trees: &[Tree]) -> Vec<PathBuf> {
        let mut script = String::new();
        let mut bases = Vec::new();
        for (at, tree) in trees.iter().enumerate() {
            let base = self.folder.join(at.to_string());
            let _ = fs::remove_dir_all(&base);
            tree.write(&base);
            write!(script, "cd {} && timeout 1 depmod -b $PWD", base.display()).unwrap();
            let script = &mut script;
            for folder in tree.config_folders(&base) {
                write!(script, " -C {}", folder.display()).unwrap();
            }
            writeln!(script, " -o $PWD/out {RELEASE} 2>said; echo $? >status").unwrap();
            bases.push(base);
        }
        let file = self.folder.join("script");
        fs::write(&file, script).unwrap();
        self.sandbox.clone().run("sh").arg(&file).quiet().stdout().unwrap();
        bases
    }

    /// A sentence for the first difference.
    fn difference(&self, tree: &Tree, base: &Path) -> Option<String> {
        let (theirs, ours) = (theirs(base), ours(tree, base)?);
        let said = fs::read(base.join("said")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        // Its indices take ASCII alone: depmod ends in the middle of its files.
        if said.contains("only 7-bit ASCII is supported") {
            return None;
        }
        match (theirs, ours) {
            (None, None) => None,
            (Some(theirs), Some(ours)) => FILES.iter().find_map(|file| {
                let (theirs, ours) = (&theirs[file], &ours[file]);
                (theirs != ours)
                    .then(|| format!("{file}\ndepmod:\n{theirs}\nours:\n{ours}\nit said:\n{said}"))
            }),
            (theirs, ours) => {
                Some(format!("depmod wrote {theirs:?}\nours is {ours:?}\nit said:\n{said}"))
            }
        }
    }
}

fn theirs(base: &Path) -> Written {
    let status = fs::read_to_string(base.join("status")).unwrap();
    if status.trim() != "0" {
        return None;
    }
    let out = base.join("out/lib/modules").join(RELEASE);
    let read = |&name: &&'static str| {
        (name, String::from_utf8_lossy(&fs::read(out.join(name)).unwrap()).into_owned())
    };
    Some(FILES.iter().map(read).collect())
}

fn ours(tree: &Tree, base: &Path) -> Option<Written> {
    // A version pattern that POSIX leaves open is decided by nobody.
    let config = depmod_config(&tree.config_folders(base), RELEASE).ok()?;
    let dir = base.join("lib/modules").join(RELEASE);
    let files = walk::some_modules(&dir, &config).map(|found| found.modules).unwrap_or_default();
    let graph = Graph::new(scan(files.clone()).modules);
    let Ok(dep) = modules_dep::write(&graph).map(String::into_bytes) else {
        return Some(None);
    };
    let contents = [
        dep,
        modules_alias(&files).0,
        modules_lists::softdeps(&graph),
        modules_lists::weakdeps(&graph),
        modules_lists::symbols(&graph),
        modules_devname(&files).0,
    ];
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some(Some(FILES.into_iter().zip(contents.map(text)).collect()))
}

pub(super) fn depmod_and_order_write_the_same_files() {
    let count = std::env::var("SYMSTACK_DEPMOD_TREES").ok().and_then(|count| count.parse().ok());
    let seed = std::env::var("SYMSTACK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    tell!("SYMSTACK_SEED={seed}");
    let config = Config { rng_seed: RngSeed::Fixed(seed), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let oracle = Oracle::new();
    let strategy = tree();
    let mut left: usize = count.unwrap_or(TREES);
    let mut decided = 0;
    while left > 0 {
        let mut values: Vec<_> =
            (0..left.min(100)).map(|_| strategy.new_tree(&mut runner).unwrap()).collect();
        left -= values.len();
        let trees: Vec<Tree> = values.iter().map(|value| value.current()).collect();
        let bases = oracle.depmod(&trees);
        for (at, (tree, base)) in trees.iter().zip(&bases).enumerate() {
            decided += usize::from(theirs(base).is_some());
            if oracle.difference(tree, base).is_none() {
                continue;
            }
            let value = &mut values[at];
            let differs = |tree: &Tree| {
                oracle.difference(tree, &oracle.depmod(std::slice::from_ref(tree))[0])
            };
            let mut last = differs(&value.current()).unwrap();
            let mut shown = value.current();
            let mut steps = 0;
            let mut moved = value.simplify();
            while moved && steps < 400 {
                steps += 1;
                let now = value.current();
                match differs(&now) {
                    Some(difference) => {
                        (last, shown) = (difference, now);
                        moved = value.simplify();
                    }
                    None => moved = value.complicate(),
                }
            }
            panic!("seed {seed}: {shown:#?}\n{last}");
        }
    }
    tell!("{decided} trees with files of depmod's");
    assert!(2 * decided > count.unwrap_or(TREES), "depmod wrote nothing for most trees");
}
