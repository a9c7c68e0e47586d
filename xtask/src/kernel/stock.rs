//! Debian's own kernel, unmodified, and its header package completed with the Rust metadata that
//! it lacks.
//!
//! The packages of a kernel with `CONFIG_RUST=y` export some 2,500 Rust symbols and carry none of
//! the metadata that rustc needs to name them. It is made again from Debian's source, by the
//! toolchain that the kernel's configuration names, and proven by its symbols' names: the crate
//! hash in each covers the compiler's full version.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use object::{Object, ObjectSymbol};

use ko::kconfig::Kconfig;

use crate::{
    host::{
        cache::{self, Cache, Partial},
        progress::{Step, say},
        root::Root,
        run::Run,
        sandbox::Sandbox,
    },
    kernel::{
        Kernel, KernelName,
        archive::{Archive, Candidate, Refresh, cached},
        config, copy, make_folder, names, require_rust,
        source::Source,
        write_enter,
    },
    problem::{OrProblem, Problem, Result},
};

/// Part of the cache's key: raised when a kernel is prepared in another way.
const RECIPE: &str = "1";
/// Bytes that the build of the metadata needs.
const SPACE: u64 = 1 << 30;
/// How long the build of the metadata may take: 2 minutes on 2 cores of 2026.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// The stock kernel of this name, prepared if it is absent.
///
/// # Errors
/// The archive does not offer it, or it cannot be prepared.
pub fn obtain(cache: &Cache, root: &Root, name: &KernelName, refresh: Refresh) -> Result<Kernel> {
    // What was offered some hours ago and not taken may be gone: old kernels leave the archive.
    let refresh = if present(cache, root, name).is_some() { refresh } else { Refresh::Now };
    let candidate = Archive::open(cache, root)?.resolve(name, refresh)?;
    let folder = cache.entry(&entry(root, &candidate), Partial::Resume, |aside| {
        prepare(&Preparation { cache, root, candidate: &candidate, aside })
    })?;
    Ok(Kernel::installed(name.clone(), &folder, &candidate.release))
}

/// The stock kernel of this name if it is there.
pub fn present(cache: &Cache, root: &Root, name: &KernelName) -> Option<Kernel> {
    let candidate = cached(cache, name)?;
    let folder = cache.path(entry(root, &candidate));
    folder.exists().then(|| Kernel::installed(name.clone(), &folder, &candidate.release))
}

fn entry(root: &Root, candidate: &Candidate) -> String {
    let key = cache::key([RECIPE, &candidate.version, &Root::name(root.suite)]);
    format!("kernels/stock-{}-{key}", candidate.release)
}

/// The modules of a stock kernel, which the preparation leaves out: some 4,000, 107 MB packed.
/// Their folder is `/lib/modules/RELEASE` of an installed system, before depmod has been there.
///
/// # Errors
/// The archive does not offer them any more.
pub fn modules(cache: &Cache, root: &Root, name: &KernelName, refresh: Refresh) -> Result<PathBuf> {
    let archive = Archive::open(cache, root)?;
    let candidate = archive.resolve(name, refresh)?;
    let release = &candidate.release;
    // The second has `modules.order` and its like.
    let packages = ["modules", "base"].map(|part| format!("linux-{part}-{release}"));
    let parts = packages.iter().map(String::as_str).chain([RECIPE, &candidate.version]);
    let entry = format!("kernels/modules-{release}-{}", cache::key(parts));
    let folder = cache.entry(&entry, Partial::Discard, |aside| {
        let log = cache.log(&format!("modules-{release}"))?;
        let step = Step::begin(format!("Debian's modules of {release}"), "107 MB");
        archive.unpack(&step, &log, &packages, aside)?;
        step.done();
        Ok(())
    })?;
    Ok(folder.join("usr/lib/modules").join(release))
}

/// What the steps of a preparation need to know.
struct Preparation<'a> {
    cache: &'a Cache,
    root: &'a Root,
    candidate: &'a Candidate,
    aside: &'a Path,
}

fn prepare(prep: &Preparation) -> Result<()> {
    cache::need_space(prep.aside, SPACE)?;
    unpack(prep)?;
    let headers = prep.headers();
    let config = config::read(&headers.join(".config"))?;
    require_rust(&config, &prep.candidate.release)?;
    toolchain(prep.root, &config)?;
    let source = Source::obtain(prep.cache, prep.root, prep.candidate)?;
    build_metadata(prep, &source, &config)?;
    same_symbols(prep)?;
    complete(prep)?;
    cache::remove_dir(&prep.build())
}

impl Preparation<'_> {
    fn headers(&self) -> PathBuf {
        self.aside.join("usr/src").join(format!("linux-headers-{}", self.candidate.release))
    }

    /// Where the metadata is built; an interrupted `make` goes on there.
    fn build(&self) -> PathBuf {
        self.aside.join("build")
    }

    fn rust(&self) -> PathBuf {
        self.build().join("rust")
    }
}

fn unpack(prep: &Preparation) -> Result<()> {
    let Preparation { cache, root, candidate, aside } = *prep;
    let release = &candidate.release;
    cache::remove_dir(&aside.join("usr"))?;
    let log = cache.log(&format!("kernel-{release}"))?;
    let step = Step::begin(format!("Debian's kernel {release}, its headers"), "30 MB");
    let archive = Archive::open(cache, root)?;
    archive.unpack(&step, &log, &archive.kernel_packages(candidate, "linux-binary")?, aside)?;
    step.done();
    write_enter(root, aside, &[])
}

/// The root's compilers must be the very ones that the kernel was built with.
fn toolchain(root: &Root, config: &Kconfig) -> Result<()> {
    let wanted = |option: &str| config.get(option).unwrap_or_default().to_owned();
    let compiler = config.compiler();
    let gcc = compiler.trim_start_matches("CC=");
    for (command, option) in [
        ("rustc", "RUSTC_VERSION_TEXT"),
        ("bindgen", "BINDGEN_VERSION_TEXT"),
        (gcc, "CC_VERSION_TEXT"),
    ] {
        let run = root.sandbox().run(command).arg("--version").quiet();
        let has = run.stdout().unwrap_or_else(|_| format!("no {command}"));
        let has = has.lines().next().unwrap_or_default().trim();
        let wants = wanted(option);
        if has != wants {
            let suite = root.suite.name;
            return Err(Problem::host(format!(
                "a wrong {command}: the kernel was built with \"{wants}\", {suite} has \"{has}\""
            ))
            .hint(
                "its packages may have moved on: remove the cached root and run it again, or \
                   choose another kernel",
            ));
        }
    }
    Ok(())
}

fn build_metadata(prep: &Preparation, source: &Source, config: &Kconfig) -> Result<()> {
    let (release, build) = (&prep.candidate.release, prep.build());
    let step = Step::begin(format!("Rust metadata of {release}"), "about 2 min on 2 cores");
    let log = prep.cache.log(&format!("metadata-{release}"))?;
    make_folder(&build)?;
    if !build.join(".config").exists() {
        configure(prep)?;
    }
    // At the same place for everyone: where the cache is must not show in what is built.
    let inside = Path::new("/build");
    prep.root.mount_point(source.inside())?;
    let sandbox = prep.root.sandbox().writable(&build, inside);
    let make = make_inside(sandbox, source, inside)
        .args([config.compiler(), format!("LOCALVERSION={}", prep.candidate.local())]);
    make.clone().arg("olddefconfig").logged(&log, &step)?;
    make.arg("prepare").deadline(DEADLINE).logged(&log, &step)?;
    step.done();
    Ok(())
}

/// `make` of a kernel's source into `build`, a folder that the sandbox lets us write.
pub(super) fn make_inside(sandbox: Sandbox, source: &Source, build: &Path) -> Run {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let inside = source.inside();
    let sandbox = sandbox.read_only(&source.path, &inside);
    let run = sandbox.run("make").arg("-C").arg(inside).arg(format!("O={}", build.display()));
    run.args(["ARCH=x86".into(), "CROSS_COMPILE=x86_64-linux-gnu-".into(), format!("-j{jobs}")])
}

/// Debian's configuration, without the certificate that only Debian's build has.
fn configure(prep: &Preparation) -> Result<()> {
    let config = prep.headers().join(".config");
    let text = fs::read_to_string(&config);
    let text = text.or_host(|| format!("{} cannot be read", config.display()))?;
    let keyless = |line: &str| match line.starts_with("CONFIG_SYSTEM_TRUSTED_KEYS=") {
        true => "CONFIG_SYSTEM_TRUSTED_KEYS=\"\"\n".into(),
        false => format!("{line}\n"),
    };
    let text: String = text.lines().map(keyless).collect();
    cache::write_atomic(&prep.build().join(".config"), text.as_bytes())
}

/// Every Rust symbol that the kernel exports must have come out with the same name.
fn same_symbols(prep: &Preparation) -> Result<()> {
    let symvers = prep.headers().join("Module.symvers");
    let text = fs::read_to_string(&symvers);
    let text = text.or_host(|| format!("{} cannot be read", symvers.display()))?;
    let exported = text.lines().filter_map(|line| line.split('\t').nth(1));
    let exported: Vec<&str> = exported.filter(|symbol| symbol.starts_with("_R")).collect();
    let built = defined_symbols(&prep.rust())?;
    let lost: Vec<&&str> = exported.iter().filter(|symbol| !built.contains(**symbol)).collect();
    if let Some(first) = lost.first() {
        let (lost, all) = (lost.len(), exported.len());
        return Err(Problem::host(format!(
            "{lost} of the {all} Rust symbols that {} exports came out under other names, the \
             first being {first}: the toolchain is not the one that built the kernel",
            prep.candidate.release
        )));
    }
    say(&format!("    all {} Rust symbols of the kernel have the same names", exported.len()));
    Ok(())
}

fn defined_symbols(folder: &Path) -> Result<HashSet<String>> {
    let mut symbols = HashSet::new();
    for path in files(folder, &["o"])? {
        let bytes = fs::read(&path).or_host(|| format!("{} cannot be read", path.display()))?;
        let file = object::File::parse(&*bytes)
            .map_err(|error| Problem::host(format!("{}: {error}", path.display())))?;
        let defined = file.symbols().filter(|symbol| symbol.is_definition());
        symbols.extend(defined.filter_map(|symbol| symbol.name().ok().map(Into::into)));
    }
    Ok(symbols)
}

/// The files of a folder with one of these extensions, in order.
fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let paths = names(folder)?.into_iter().map(|name| folder.join(name));
    let wanted = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    Ok(paths.filter(wanted).collect())
}

/// Puts into Debian's header package the files that it lacks.
fn complete(prep: &Preparation) -> Result<()> {
    let (built, headers) = (prep.rust(), prep.headers());
    let rust = headers.join("rust");
    make_folder(&rust)?;
    let mut lacking = files(&built, &["rmeta", "so"])?;
    // With RUST_INLINE_HELPERS (since 6.19) rustc also reads the helpers' bitcode.
    let helpers = files(&built.join("helpers"), &["bc"]).unwrap_or_default();
    lacking.extend(helpers);
    for from in &lacking {
        let to = rust.join(from.strip_prefix(&built).unwrap_or(from));
        if let Some(folder) = to.parent() {
            make_folder(folder)?;
        }
        copy(from, &to)?;
    }
    let target = "scripts/target.json";
    copy(&prep.build().join(target), &headers.join(target))?;
    say(&format!("    Debian's headers completed with {} files", lacking.len() + 1));
    Ok(())
}
