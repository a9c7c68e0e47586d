//! The lab kernel: the stock kernel's source with a small configuration and what Debian's has
//! not, MODVERSIONS by gendwarfksyms.

use std::{fs, path::Path, time::Duration};

use ko::kconfig::Kconfig;

use crate::{
    host::{
        cache,
        file_system::{copy_file, make_folder},
        progress::Step,
        root::Root,
    },
    kernel::{
        candidate::Candidate, config, enter::write_enter, recipe::Preparation, source::Source,
        stock,
    },
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// Part of the cache's key: raised when the kernel is built in another way.
pub(super) const RECIPE: &str = "1";
/// Its configuration beyond `tinyconfig`.
pub(super) const FRAGMENT: &str = include_str!("lab.config");
/// The end of its release.
const LOCAL: &str = "-lab";
/// Bytes that its build needs.
const SPACE: u64 = 3 << 30;
/// The longest time that its build may take: 8 to 11 minutes on 2 cores of 2026.
const DEADLINE: Duration = Duration::from_secs(60 * 60);

/// The release that it has when it is made of this candidate.
pub(super) fn release(candidate: &Candidate) -> String {
    format!("{}{LOCAL}", candidate.upstream())
}

/// Builds it.
///
/// # Errors
/// Its source cannot be had, or it does not build.
pub(super) fn build(prep: &Preparation) -> Result<()> {
    let Preparation { cache, root, candidate, aside, .. } = *prep;
    cache::need_space(aside, SPACE)?;
    let source = Source::obtain(cache, root, candidate)?;
    let release = release(candidate);
    let log = cache.log(&format!("kernel-{release}"))?;
    let step = Step::begin(format!("lab kernel {release}"), "8 to 11 min on 2 cores", log);
    let tree = aside.join("usr/src").join(format!("linux-headers-{release}"));
    make_folder(&tree)?;
    // The tree names its own place and its source's, so it is built where it will be seen.
    let inside = Path::new("/usr/src").join(format!("linux-headers-{release}"));
    root.mount_point(&inside)?;
    root.mount_point(source.inside())?;
    let sandbox = root.sandbox().writable(&tree, &inside);
    let make = stock::make_inside(sandbox, &source, &inside);
    let fragment = tree.join("lab.config");
    cache::write_atomic(&fragment, FRAGMENT)?;
    if !tree.join(".config").exists() {
        let seed = format!("KCONFIG_ALLCONFIG={}", inside.join("lab.config").to_string_lossy());
        make.clone().args([seed.as_str(), "allnoconfig"]).logged(&step)?;
    }
    make.clone().arg("olddefconfig").logged(&step)?;
    as_asked(&config::read(&tree.join(".config"))?)?;
    make.args(["bzImage", "modules"]).deadline(DEADLINE).logged(&step)?;
    step.done();
    install(root, &source, &release, aside)
}

/// Kconfig drops what it cannot have without a word.
fn as_asked(config: &Kconfig) -> Result<()> {
    let asked = Kconfig::parse(FRAGMENT);
    let lost: Vec<&str> =
        asked.names().filter(|name| config.get(name) != asked.get(name)).collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(Problem::host(format!("the lab kernel cannot have {}", lost.join(", "))))
}

/// Lays it out as a Debian system has its kernels.
fn install(root: &Root, source: &Source, release: &str, aside: &Path) -> Result<()> {
    let tree = aside.join("usr/src").join(format!("linux-headers-{release}"));
    let modules = aside.join("usr/lib/modules").join(release);
    make_folder(&modules)?;
    copy_file(&tree.join("arch/x86/boot/bzImage"), &modules.join("vmlinuz"))?;
    for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        copy_file(&tree.join(name), &modules.join(name))?;
    }
    let link = modules.join("build");
    // An interrupted one may have made it.
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(format!("/usr/src/linux-headers-{release}"), &link)
        .or_host(|| format!("{} cannot be made", link.shown()))?;
    let from = format!("$here/../../{}/{}", source.entry, source.folder);
    write_enter(root, aside, &[(from, source.inside())])
}
