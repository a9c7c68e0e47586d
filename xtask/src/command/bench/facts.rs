//! `bench facts`: reading a whole tree beside depmod, and beside unpacking alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use super::measure::{Cost, measure};
use crate::{
    build::project,
    host::{
        cache::{Cache, remove_dir},
        file_system::{make_folder, write_file},
        progress::say,
        root::{Root, TRIXIE},
        run::{Run, this_program},
    },
    kernel::{Kernel, KernelName, archive::Refresh, shipped},
    problem::Result,
    tree::{
        kmod::{Comparison, InstalledTree, Kmod},
        scan::map_files,
        section_reader::ModuleBuffer,
    },
};
use stack::module_file::ModuleFile;

/// Read whole module trees beside depmod, in one run
///
/// For each kernel's tree: depmod -n, ours, and decompression alone with the same threads,
/// interleaved; the best of the rounds counts. Then the same with the modules unpacked. With
/// --against-kmod nothing is timed: every fact is compared with kmod's instead, and exit status 1
/// means a difference.
#[derive(Debug, clap::Args)]
pub(super) struct Facts {
    /// A kernel whose own modules are read: stable, stock, stock:RELEASE; can be given again
    #[arg(long = "kernel", value_name = "K", default_values = ["stable", "stock"])]
    kernels: Vec<KernelName>,
    /// Compare every fact with kmod's instead of measuring
    #[arg(long)]
    against_kmod: bool,
    /// Rounds of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

impl Facts {
    pub(super) fn run(self) -> Result<ExitCode> {
        let cache = Cache::open()?;
        let root = Root::obtain(&cache, TRIXIE)?;
        let scratch = project().join("target/bench");
        make_folder(&scratch)?;
        let mut holds = true;
        for name in &self.kernels {
            if self.against_kmod {
                let (release, compared) =
                    shipped::compare_with_kmod(&cache, &root, name, &scratch)?;
                outln!("{release}");
                compared.iter().for_each(print_comparison);
                holds &= compared.iter().all(Comparison::holds);
                continue;
            }
            let kernel = Kernel::obtain(&cache, name, Refresh::Daily)?;
            let tree = shipped::modules(&cache, &kernel)?;
            let kmod = Kmod::of(&root, &scratch);
            Bench { kmod, rounds: self.rounds, scratch: scratch.clone() }.tree(&tree)?;
        }
        Ok(ExitCode::from(u8::from(!holds)))
    }
}

/// Prints what was compared, and the first differences.
fn print_comparison(comparison: &Comparison) {
    const SHOWN_MAX: usize = 10;
    let Comparison { compared, what, differences } = comparison;
    outln!("  {compared} {what}: {} differences", differences.len());
    differences.iter().take(SHOWN_MAX).for_each(|difference| outln!("    {difference}"));
}

/// A measurement's circumstances.
struct Bench {
    kmod: Kmod,
    rounds: u32,
    /// The folder in which trees are unpacked and depmod writes.
    scratch: PathBuf,
}

impl Bench {
    fn tree(&self, tree: &InstalledTree) -> Result<()> {
        let count = tree.files()?.len();
        let version = self.kmod.tool("depmod", tree).arg("--version").stdout()?;
        let version = version.lines().next().unwrap_or_default();
        say(&format!("==> {} (about 1 min)", tree.release));
        outln!("{}: {count} modules, best of {} rounds, {version}", tree.release, self.rounds);
        self.one("as shipped", tree)?;
        let unpacked = self.unpack(tree)?;
        self.one("unpacked", &unpacked)?;
        remove_dir(&unpacked.base)
    }

    fn one(&self, what: &str, tree: &InstalledTree) -> Result<()> {
        let files = tree.files()?;
        let (mut depmod, mut ours, mut again) = (Cost::MOST, Cost::MOST, Cost::MOST);
        let mut floor = f64::INFINITY;
        let cache = self.scratch.join("cache");
        remove_dir(&cache)?;
        for _ in 0..self.rounds {
            // To enter the private root is not the tool's own work.
            let entering = measure(&self.kmod.tool("true", tree))?.seconds;
            let Cost { seconds, peak_kb } = measure(&self.kmod.depmod(tree, None))?;
            depmod.take_best(Cost { seconds: seconds - entering, peak_kb });
            ours.take_best(measure(&our_command(tree, &cache, true))?);
            floor = floor.min(floor_seconds(&files));
        }
        // The first call fills the cache.
        for _ in 0..=self.rounds {
            again.take_best(measure(&our_command(tree, &cache, false))?);
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

    /// A copy of the tree with every module unpacked.
    fn unpack(&self, tree: &InstalledTree) -> Result<InstalledTree> {
        let base = self.scratch.join("unpacked");
        remove_dir(&base)?;
        let dir = base.join("lib/modules").join(&tree.release);
        let mut buffer = ModuleBuffer::default();
        for file in tree.files()? {
            let to = dir.join(stack::module_file::unpacked_path(&file.path));
            let bytes = buffer.read(&file.full).map_err(|error| error.problem(&file.full))?;
            make_folder(to.parent().unwrap_or(&dir))?;
            write_file(&to, bytes)?;
        }
        for name in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
            // A tree without them is only warned of by depmod.
            let _ = fs::copy(tree.dir.join(name), dir.join(name));
        }
        InstalledTree::new(&dir)
    }
}

fn our_command(tree: &InstalledTree, cache: &Path, alone: bool) -> Run {
    let ours = Run::new(this_program()).args(["order", "--format", "modules.dep", "--tree"]);
    let ours = ours.arg(&tree.dir).env("XDG_CACHE_HOME", cache);
    if alone { ours.arg("--no-cache") } else { ours }
}

/// Returns the seconds that reading and unpacking alone take, with the same threads: a lower bound
/// for any program that looks at every module.
fn floor_seconds(files: &[ModuleFile]) -> f64 {
    let begin = Instant::now();
    let sizes = map_files(files, |buffer, file| buffer.read(&file.full).map_or(0, <[u8]>::len));
    std::hint::black_box(sizes);
    begin.elapsed().as_secs_f64()
}
