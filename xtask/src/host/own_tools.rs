//! The host's own compilers in a sandbox, for a kernel's tree that was prepared with them: the
//! makefiles of a stranger's stack never run on the host itself.

use std::path::{Path, PathBuf};

use crate::{
    host::{
        cache::{Cache, Partial},
        file_system::{make_folder, write_file},
        packages,
        run::Run,
        sandbox::{self, Sandbox},
    },
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// The files of /etc that programs in /usr read: links to the chosen compilers, and where libraries
/// are.
const IN_ETC: [&str; 3] = ["alternatives", "ld.so.cache", "ld.so.conf.d"];

/// A sandbox that shows the host's /usr, of /etc what its compilers read, and a rustc and a bindgen
/// that lie elsewhere, all read-only: no HOME, no network.
///
/// # Errors
/// The cache cannot be written.
pub fn sandbox(cache: &Cache) -> Result<Sandbox> {
    let place = cache.entry("own-tools", Partial::Discard, |place| {
        let root = place.join("root");
        make_folder(&root.join("var/lib/dpkg"))?;
        std::os::unix::fs::symlink("/usr", root.join("usr"))
            .or_host(|| format!("{} cannot be made", root.join("usr").shown()))?;
        // Mount points.
        for name in IN_ETC {
            let (host, inside) = (Path::new("/etc").join(name), root.join("etc").join(name));
            make_folder(&root.join("etc"))?;
            match host.is_dir() {
                true => make_folder(&inside)?,
                false => write_file(&inside, "")?,
            }
        }
        Ok(())
    })?;
    sandbox::write_enter(&place)?;
    let shown = IN_ETC.iter().map(|name| Path::new("/etc").join(name)).filter(|path| path.exists());
    let sandbox = shown
        .fold(Sandbox::new(place.join("enter")), |sandbox, path| sandbox.read_only(&path, &path));
    let mut path: Vec<String> = Vec::new();
    let mut sandbox = sandbox;
    for (shown, folder) in elsewhere() {
        sandbox = sandbox.read_only(&shown, &shown);
        path.push(folder.to_string_lossy().into_owned());
    }
    path.push("/usr/local/bin:/usr/sbin:/usr/bin".into());
    Ok(sandbox.path(&path.join(":")))
}

/// The tools for Rust that are not in /usr, as rustup and cargo install them: what is to be seen of
/// each, and its folder.
fn elsewhere() -> Vec<(PathBuf, PathBuf)> {
    let sysroot = Run::new("rustc").args(["--print", "sysroot"]).cwd("/").quiet().stdout();
    let rustc = sysroot.ok().map(|sysroot| PathBuf::from(sysroot.trim()));
    let rustc = rustc.map(|sysroot| (sysroot.clone(), sysroot.join("bin")));
    let bindgen = packages::find("bindgen").and_then(|file| file.canonicalize().ok());
    let bindgen = bindgen.and_then(|file| Some((file.clone(), file.parent()?.to_owned())));
    let found = rustc.into_iter().chain(bindgen);
    found.filter(|(shown, _)| shown.is_absolute() && !shown.starts_with("/usr")).collect()
}
