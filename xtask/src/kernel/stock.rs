//! Debian's own kernel, unmodified, and its header package completed with the Rust metadata that
//! it lacks.
//!
//! The packages of a kernel with `CONFIG_RUST=y` export some 2,500 Rust symbols and carry none of
//! the metadata that rustc needs to name them. It is made again from Debian's source, by the
//! toolchain that the kernel's configuration names, and proven by its symbols' names: the crate
//! hash in each covers the compiler's full version.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use ko::kconfig::Kconfig;

use crate::{
    host::{
        cache::{self, Cache, Partial},
        file_system::{make_folder, read_text},
        progress::Step,
        root::Root,
        run::Run,
        sandbox::Sandbox,
    },
    kernel::{
        KernelName,
        archive::{Archive, Refresh},
        candidate::Candidate,
        config,
        enter::write_enter,
        metadata,
        recipe::Preparation,
        source::Source,
    },
    problem::{Problem, Result},
};

/// Part of the cache's key: raised when a kernel is prepared in another way.
pub(super) const RECIPE: &str = "2";
/// Bytes that the build of the metadata needs.
const SPACE: u64 = 1 << 30;
/// The longest time that the build of the metadata may take: 2 minutes on 2 cores of 2026.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// The modules of a prepared stock kernel, which the preparation leaves out: some 4,000, 107 MB
/// packed. Their folder is `/lib/modules/RELEASE` of an installed system, before depmod has been
/// there.
///
/// # Errors
/// The archive does not offer them any more.
pub(super) fn modules(cache: &Cache, name: &KernelName) -> Result<PathBuf> {
    let (recipe, _) = name.listed()?;
    let root = Root::obtain(cache, recipe.root)?;
    let archive = Archive::open(cache, &root, recipe.suite)?;
    let candidate = archive.resolve(name, Refresh::Daily, true)?;
    let release = &candidate.release;
    let packages = module_packages(&candidate);
    let entry = modules_entry(&candidate);
    let folder = cache.entry(&entry, Partial::Discard, |aside| {
        let log = cache.log(&format!("modules-{release}"))?;
        let step = Step::begin(format!("Debian's modules of {release}"), "107 MB", log);
        archive.unpack(&step, &packages, aside)?;
        step.done();
        Ok(())
    })?;
    Ok(folder.join("usr/lib/modules").join(release))
}

/// The second has `modules.order` and its like.
fn module_packages(candidate: &Candidate) -> [String; 2] {
    ["modules", "base"].map(|part| format!("linux-{part}-{}", candidate.release))
}

/// The name in the cache of the modules of this candidate.
pub(super) fn modules_entry(candidate: &Candidate) -> String {
    let packages = module_packages(candidate);
    let parts = packages.iter().map(String::as_str).chain([RECIPE, &candidate.version]);
    format!("kernels/modules-{}-{}", candidate.release, cache::key(parts))
}

/// Prepares it.
///
/// # Errors
/// The archive does not offer it any more, the root's toolchain is not the kernel's, or what was
/// made is not what the kernel exports.
pub(super) fn prepare(prep: &Preparation) -> Result<()> {
    cache::need_space(prep.aside, SPACE)?;
    unpack(prep)?;
    let headers = prep.headers();
    let config = config::read(&headers.join(".config"))?;
    config::require_rust(&config, &prep.candidate.release)?;
    toolchain(prep.root, &config)?;
    let part = prep.aside.join("source");
    let source = Source::to_prepare(prep.cache, prep.root, prep.candidate, &part)?;
    build_metadata(prep, &source, &config)?;
    metadata::same_symbols(&headers, &prep.build().join("rust"))?;
    metadata::complete(&headers, &prep.build(), &config)?;
    let sandbox = Sandbox::new(prep.aside.join("enter"));
    metadata::builds_a_module(sandbox, &prep.aside.join("probe"), &prep.candidate.release)?;
    cache::remove_dir(&part)?;
    cache::remove_dir(&prep.build())
}

impl Preparation<'_> {
    /// Where the metadata is built; an interrupted `make` goes on there.
    fn build(&self) -> PathBuf {
        self.aside.join("build")
    }
}

fn unpack(prep: &Preparation) -> Result<()> {
    let Preparation { cache, root, candidate, suite, aside } = *prep;
    let release = &candidate.release;
    cache::remove_dir(&aside.join("usr"))?;
    let log = cache.log(&format!("kernel-{release}"))?;
    let step = Step::begin(format!("Debian's kernel {release}, its headers"), "30 MB", log);
    let archive = Archive::open(cache, root, suite)?;
    archive.unpack(&step, &archive.kernel_packages(candidate, "linux-binary")?, aside)?;
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
    let log = prep.cache.log(&format!("metadata-{release}"))?;
    let step = Step::begin(format!("Rust metadata of {release}"), "about 1 min on 2 cores", log);
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
    make.clone().arg("olddefconfig").logged(&step)?;
    // Without these, make builds neither objtool nor resolve_btfids: `prepare` of the top Makefile
    // has them for what is compiled after it. What rustc is told comes from the files of .config.
    let make = make.args(["CONFIG_OBJTOOL=", "CONFIG_DEBUG_INFO_BTF=", "prepare"]);
    make.deadline(DEADLINE).logged(&step)?;
    step.done();
    Ok(())
}

/// `make` of a kernel's source into `build`, a folder that the sandbox lets us write.
pub(super) fn make_inside(sandbox: Sandbox, source: &Source, build: &Path) -> Run {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let inside = source.inside();
    let sandbox = sandbox.read_only(&source.path, &inside);
    let run =
        sandbox.run("make").arg("-C").arg(inside).arg(format!("O={}", build.to_string_lossy()));
    run.args(["ARCH=x86".into(), "CROSS_COMPILE=x86_64-linux-gnu-".into(), format!("-j{jobs}")])
}

/// Debian's configuration, without the certificate that only Debian's build has.
fn configure(prep: &Preparation) -> Result<()> {
    let text = read_text(&prep.headers().join(".config"))?;
    let keyless = |line: &str| {
        let key = line.starts_with("CONFIG_SYSTEM_TRUSTED_KEYS=");
        format!("{}\n", if key { "CONFIG_SYSTEM_TRUSTED_KEYS=\"\"" } else { line })
    };
    let text: String = text.lines().map(keyless).collect();
    cache::write_atomic(&prep.build().join(".config"), text)
}
