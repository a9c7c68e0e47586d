//! `bench facts`: our reading of a whole tree beside depmod's, and beside the floor.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use super::{
    against_kmod,
    process::{Cost, command, measure},
};
use crate::{
    module::file::Buffer,
    problem::{OrProblem, Problem, Result},
    stack::{
        read::side_by_side,
        tree::{self, Config, ModuleFile},
    },
};

/// Read whole module trees beside depmod, in one run
///
/// For each tree: depmod -n, ours, and decompression alone with the same threads, interleaved;
/// the best of the rounds counts. Then the same with the modules unpacked. With --against-kmod
/// nothing is timed: every fact is compared with kmod's instead, and exit status 1 means a
/// difference.
#[derive(Debug, clap::Args)]
pub(super) struct Facts {
    /// An installed tree, ending in lib/modules/RELEASE
    #[arg(long, required = true)]
    tree: Vec<PathBuf>,
    /// The Module.symvers of each tree's kernel, in the same order
    #[arg(long)]
    symvers: Vec<PathBuf>,
    /// Words that enter the place where kmod lives, one each
    #[arg(long, allow_hyphen_values = true)]
    enter: Vec<String>,
    /// Compare every fact with kmod's instead of measuring
    #[arg(long)]
    against_kmod: bool,
    /// Rounds of each measurement
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where to unpack trees and let depmod write
    #[arg(long, default_value = "target/bench")]
    scratch: PathBuf,
}

/// An installed tree: where it is, and how depmod is told.
pub(super) struct Installed {
    pub(super) dir: PathBuf,
    pub(super) base: PathBuf,
    pub(super) release: String,
}

impl Installed {
    fn new(dir: &Path) -> Result<Self> {
        let refuse =
            || Problem::usage(format!("{} does not end in lib/modules/RELEASE", dir.display()));
        let dir = fs::canonicalize(dir).or_usage(|| format!("no tree {}", dir.display()))?;
        let release = dir.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?.to_owned();
        let lib = dir.parent().filter(|parent| parent.ends_with("lib/modules"));
        let base = lib.and_then(|lib| lib.parent()?.parent()).ok_or_else(refuse)?.to_owned();
        Ok(Self { dir, base, release })
    }

    pub(super) fn files(&self) -> Result<Vec<ModuleFile>> {
        tree::modules(&self.dir, &Config::default())
            .or_usage(|| format!("cannot read the modules of {}", self.dir.display()))
    }
}

impl Facts {
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut holds = true;
        for (index, dir) in self.tree.iter().enumerate() {
            let tree = Installed::new(dir)?;
            let symvers = self.symvers.get(index).map(PathBuf::as_path);
            if self.against_kmod {
                holds &= against_kmod::compare(&tree, symvers, &self.enter, &self.scratch)?;
            } else {
                self.bench(&tree)?;
            }
        }
        Ok(ExitCode::from(u8::from(!holds)))
    }

    fn bench(&self, tree: &Installed) -> Result<()> {
        let count = tree.files()?.len();
        outln!("{}: {count} modules, best of {} rounds", tree.release, self.rounds);
        self.bench_one("as shipped", tree)?;
        let unpacked = self.unpack(tree)?;
        self.bench_one("unpacked", &unpacked)?;
        fs::remove_dir_all(&unpacked.base)
            .or_host(|| format!("cannot remove {}", unpacked.base.display()))
    }

    fn bench_one(&self, what: &str, tree: &Installed) -> Result<()> {
        let files = tree.files()?;
        let (mut depmod, mut ours, mut again) = (Best::new(), Best::new(), Best::new());
        let mut floor = f64::INFINITY;
        let cache = self.scratch.join("cache");
        self.clear(&cache)?;
        for _ in 0..self.rounds.max(1) {
            depmod.add(measure(depmod_command(&self.enter, tree, None))?);
            ours.add(measure(our_command(tree, &cache, true)?)?);
            floor = floor.min(floor_seconds(&files));
        }
        // The first call fills the cache.
        for _ in 0..=self.rounds.max(1) {
            again.add(measure(our_command(tree, &cache, false)?)?);
        }
        outln!("  {what}");
        outln!("    depmod -n         {depmod}");
        outln!("    order             {ours}   {:.2} times faster", depmod.seconds / ours.seconds);
        let floor_ratio = ours.seconds / floor;
        outln!(
            "    reading alone     {floor:>6.2} s             order takes {floor_ratio:.2} of it"
        );
        outln!("    order, once more  {again}");
        Ok(())
    }

    fn clear(&self, dir: &Path) -> Result<()> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).or_host(|| format!("cannot remove {}", dir.display()))
            }
            _ => Ok(()),
        }
    }

    /// A copy of the tree with every module unpacked.
    fn unpack(&self, tree: &Installed) -> Result<Installed> {
        let base = self.scratch.join("unpacked");
        self.clear(&base)?;
        let dir = base.join("lib/modules").join(&tree.release);
        let mut buffer = Buffer::default();
        for file in tree.files()? {
            let to = dir.join(tree::unpacked_path(&file.path));
            let bytes = buffer
                .read(&file.full)
                .map_err(|error| Problem::host(format!("{}: {error}", file.full.display())))?;
            let parent = to.parent().unwrap_or(&dir);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&to, bytes))
                .or_host(|| format!("cannot write {}", to.display()))?;
        }
        for name in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
            // A tree without them is only warned of by depmod.
            let _ = fs::copy(tree.dir.join(name), dir.join(name));
        }
        Installed::new(&dir)
    }
}

/// `depmod` over a tree: `-n`, or into a directory.
pub(super) fn depmod_command(enter: &[String], tree: &Installed, out: Option<&Path>) -> Command {
    let mut depmod = command(enter, "depmod");
    match out {
        None => depmod.arg("-n"),
        Some(dir) => depmod.arg("-o").arg(dir),
    };
    depmod.arg("-b").arg(&tree.base).arg(&tree.release);
    depmod
}

fn our_command(tree: &Installed, cache: &Path, alone: bool) -> Result<Command> {
    let program = env::current_exe().or_host(|| "cannot find this program".into())?;
    let cache = std::path::absolute(cache).or_host(|| "no current directory".into())?;
    let mut ours = Command::new(program);
    ours.args(["order", "--format", "modules.dep", "--tree"]).arg(&tree.dir);
    ours.env("XDG_CACHE_HOME", cache);
    if alone {
        ours.arg("--no-cache");
    }
    Ok(ours)
}

/// What reading and unpacking alone takes, with the same threads: nothing that looks at every
/// module can be faster.
fn floor_seconds(files: &[ModuleFile]) -> f64 {
    let files: Vec<&ModuleFile> = files.iter().collect();
    let begin = Instant::now();
    let sizes = side_by_side(&files, |buffer, file| buffer.read(&file.full).map_or(0, <[u8]>::len));
    std::hint::black_box(sizes);
    begin.elapsed().as_secs_f64()
}

/// The best of several rounds: whatever else the machine does can only make one slower.
struct Best {
    seconds: f64,
    peak_kb: u64,
}

impl Best {
    fn new() -> Self {
        Self { seconds: f64::INFINITY, peak_kb: 0 }
    }

    fn add(&mut self, cost: Cost) {
        self.seconds = self.seconds.min(cost.seconds);
        self.peak_kb = self.peak_kb.max(cost.peak_kb);
    }
}

impl std::fmt::Display for Best {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>6.2} s  {:>3} MB", self.seconds, self.peak_kb / 1000)
    }
}
