//! Debian's older kernels: without Rust, with MODVERSIONS by genksyms and the export tables of
//! before 7.1. C modules build for them with Debian's headers as they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    host::{cache, file_system::make_folder, progress::Step},
    kernel::{archive::Archive, config, enter::write_enter, recipe::Preparation},
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// Part of the cache's key: raised when the kernel is prepared in another way.
pub(super) const RECIPE: &str = "1";
/// Bytes that it needs, its modules among them.
const SPACE: u64 = 1 << 30;
/// The place, in the kernel's folder, of a compiler that the root lacks.
const COMPILER: &str = "compiler";

/// Unpacks it.
///
/// # Errors
/// The archive does not offer it any more, or it cannot be unpacked.
pub(super) fn prepare(prep: &Preparation) -> Result<()> {
    let Preparation { cache, root, candidate, suite, aside } = *prep;
    cache::need_space(aside, SPACE)?;
    let release = &candidate.release;
    let log = cache.log(&format!("kernel-{release}"))?;
    let step = Step::begin(format!("Debian's kernel {release}"), "110 MB", log);
    let archive = Archive::open(cache, root, suite)?;
    let packages = archive.kernel_packages(candidate, "linux-image")?;
    archive.unpack(&step, &packages, aside)?;
    // Newer packages have their modules there, and a boot looks for them there.
    let modules = Path::new("lib/modules").join(release);
    if aside.join(&modules).is_dir() {
        make_folder(&aside.join("usr/lib/modules"))?;
        rename(&aside.join(&modules), &aside.join("usr").join(&modules))?;
    }
    let image = aside.join("usr").join(&modules).join("vmlinuz");
    rename(&aside.join(format!("boot/vmlinuz-{release}")), &image)?;
    let more = compiler(prep, |packages, into| archive.unpack(&step, packages, into))?;
    step.done();
    write_enter(root, aside, &more)
}

/// The compiler that the kernel's configuration names, from the kernel's own suite where the root
/// has none of this name: what is to be seen, and where.
fn compiler(
    prep: &Preparation,
    unpack: impl FnOnce(&[String], &Path) -> Result<()>,
) -> Result<Vec<(String, PathBuf)>> {
    let compiler = config::read(&prep.headers().join(".config"))?.compiler();
    let name = compiler.trim_start_matches("CC=");
    let package = name.trim_start_matches("x86_64-linux-gnu-");
    let program = Path::new("/usr/bin").join(name);
    let here = prep.root.path(&program).metadata().is_ok_and(|program| program.len() > 0);
    let Some(version) = package.strip_prefix("gcc-").filter(|_| !here) else {
        return Ok(Vec::new());
    };
    let folder = prep.aside.join(COMPILER);
    make_folder(&folder)?;
    unpack(&[package.into(), format!("cpp-{version}"), format!("libgcc-{version}-dev")], &folder)?;
    prep.root.mount_file(&program)?;
    let passes = format!("/usr/lib/gcc/x86_64-linux-gnu/{version}");
    Ok(vec![
        (format!("$here/{COMPILER}/usr/bin/x86_64-linux-gnu-{package}"), program),
        (format!("$here/{COMPILER}{passes}"), passes.into()),
    ])
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).or_host(|| format!("{} cannot be moved", from.shown()))
}
