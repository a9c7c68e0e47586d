//! Any prepared kernel tree, named by its path.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ko::kconfig::Kconfig;

use crate::{
    host::{
        cache::Cache,
        file_system::read_given_text,
        own_tools,
        root::{Root, TRIXIE},
        run::Run,
        sandbox::Sandbox,
    },
    kernel::{Kernel, KernelName, Toolchain, config},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// A tree that its owner prepared.
///
/// # Errors
/// It is no kernel tree, it is not prepared, or nothing here has the rustc it was prepared with.
pub fn open(cache: &Cache, folder: &Path) -> Result<Kernel> {
    let tree = fs::canonicalize(folder).or_usage(|| format!("{}", folder.shown()))?;
    let place = tree.shown().to_string();
    let what = "a prepared kernel tree";
    let need = |file: &str, next: &str| {
        if tree.join(file).exists() {
            return Ok(());
        }
        Err(Problem::usage(format!("{place} is not {what}: it has no {file}")).hint(next))
    };
    need("Makefile", "name the folder of a kernel's source or build")?;
    need(".config", "configure it, in that folder: make defconfig rust.config")?;
    need(config::RELEASE_FILE, "prepare it, in that folder: make modules_prepare")?;
    let release = read_given_text(&tree.join(config::RELEASE_FILE))?;
    let config = config::read(&tree.join(".config"))?;
    config::require_rust(&config, release.trim())?;
    need("rust/libkernel.rmeta", "prepare it, in that folder: make prepare")?;
    need("scripts/module.lds", "prepare it, in that folder: make modules_prepare")?;
    need("Module.symvers", "build the kernel, in that folder: make")?;
    let image = tree.join("arch/x86/boot/bzImage");
    Ok(Kernel {
        name: KernelName::Folder(folder.into()),
        release: release.trim().into(),
        toolchain: toolchain(cache, &tree, &config)?,
        kdir: tree.clone(),
        image: image.exists().then_some(image),
        modules: tree.clone(),
        tree,
    })
}

/// The toolchain with the very rustc that the tree was prepared with: the host's, or ours. Both run
/// in a sandbox.
fn toolchain(cache: &Cache, tree: &Path, config: &Kconfig) -> Result<Toolchain> {
    let wanted = config.get("RUSTC_VERSION_TEXT").unwrap_or_default();
    let version = |run: Run| run.arg("--version").quiet().stdout().unwrap_or_default();
    let host = version(Run::new("rustc").cwd("/"));
    if host.trim() == wanted {
        return own_tools::sandbox(cache).map(|sandbox| in_place(sandbox, tree));
    }
    let root = Root::present(cache, TRIXIE);
    let ours = root.as_ref().map(|root| version(root.sandbox().run("rustc"))).unwrap_or_default();
    match root {
        Some(root) if ours.trim() == wanted => Ok(in_place(root.sandbox(), tree)),
        _ => Err(Problem::host(format!(
            "a wrong rustc: {} was prepared with \"{wanted}\", the host has \"{}\", the private \
             root \"{}\"",
            tree.shown(),
            host.trim(),
            ours.trim()
        ))
        .hint("prepare the tree again with a rustc that is here: make prepare, in that folder")),
    }
}

/// The toolchain in a sandbox, with the tree and its source in place.
fn in_place(sandbox: Sandbox, tree: &Path) -> Toolchain {
    let places = [Some(tree.to_owned()), source_of(tree)].into_iter().flatten();
    Toolchain(places.fold(sandbox, |sandbox, path| sandbox.read_only(&path, &path)))
}

/// The source beside a separate build folder (`make O=`), which names it by a link.
pub(super) fn source_of(tree: &Path) -> Option<PathBuf> {
    fs::canonicalize(tree.join("source")).ok().filter(|source| source != tree)
}
