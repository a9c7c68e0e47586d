//! The private Debian root: the toolchain, kmod and QEMU, apart from the host's own.
//!
//! It is made by mmdebstrap from the archive's signed packages, entered with bubblewrap, and
//! read-only for all that runs in it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    host::{
        cache::{self, Cache, Lock, Partial},
        file_system::make_folder,
        packages,
        progress::{Step, say},
        run::Run,
        sandbox::{self, Sandbox},
        user_namespaces,
    },
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The packages of a root: what Kbuild and the kernel's Rust need, kmod, a small shell, QEMU; dkms
/// and mdbook for the book.
const PACKAGES: &[&str] = &[
    "bc",
    "bindgen",
    "bison",
    "busybox-static",
    "ca-certificates",
    "cpio",
    "dkms",
    "flex",
    "gcc",
    "kmod",
    "libdw-dev",
    "libelf-dev",
    "libssl-dev",
    "make",
    "mdbook",
    "pahole",
    "perl",
    "python3-minimal",
    "qemu-system-x86",
    "rust-clippy",
    "rust-src",
    "rustc",
    "rustfmt",
    "xz-utils",
];

/// One file of each kind that a root must have. Without one it is damaged.
pub(crate) const PARTS: [&str; 5] = [
    "usr/bin/make",
    "usr/bin/rustc",
    "usr/bin/qemu-system-x86_64",
    "usr/bin/kmod",
    "var/lib/dpkg/status",
];

/// Left out of every package: nobody reads them there.
const LEFT_OUT: &[&str] = &["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];

/// Bytes that a root needs while it is made.
const SPACE: u64 = 5 << 30;

/// Part of the cache's key: raised when a root is made in another way.
const RECIPE: &str = "1";

/// A suite of Debian's archive that a root is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name, for example `trixie`.
    pub name: &'static str,
    /// The suite its kernels come from, for example `trixie-backports`.
    pub kernels: &'static str,
}

/// The suite of everything that is not asked for by another name.
pub const TRIXIE: Suite = Suite { name: "trixie", kernels: "trixie-backports" };

/// Debian's newest, for another kernel by another toolchain.
pub const SID: Suite = Suite { name: "sid", kernels: "sid" };

/// A private Debian root, complete.
#[derive(Clone, Debug)]
pub struct Root {
    /// The suite it was made of.
    pub suite: Suite,
    folder: PathBuf,
}

impl Root {
    /// The root of a suite, made first if it is absent.
    ///
    /// # Errors
    /// The host lacks a package, space, the network, or the right to make namespaces.
    pub fn obtain(cache: &Cache, suite: Suite) -> Result<Self> {
        packages::require(cache, &packages::to_enter())?;
        let name = Self::name(suite);
        let folder = cache.entry_with_lock(&name, Partial::Discard, |partial, lock| {
            packages::require(cache, &packages::to_make())?;
            sandbox::namespaces()?;
            user_namespaces::bootstrap()?;
            make(cache, suite, partial, lock)
        })?;
        Self::open(suite, folder)
    }

    /// The root of a suite if it is there.
    pub fn present(cache: &Cache, suite: Suite) -> Option<Self> {
        let folder = cache.present(&Self::name(suite)).ok()??;
        Self::open(suite, folder).ok()
    }

    /// Opens a complete root. The script that enters it is today's, whenever the root was made.
    fn open(suite: Suite, folder: PathBuf) -> Result<Self> {
        let root = Self { suite, folder };
        if let Some(part) = PARTS.iter().find(|part| !root.path(part).exists()) {
            let place = root.folder.shown();
            let problem = Problem::host(format!("the private root {place} lacks {part}"));
            return Err(problem.hint(format!("rm -r {place} && cargo xtask setup")));
        }
        sandbox::write_enter(&root.folder)?;
        Ok(root)
    }

    /// Its name in the cache, which stands for all that it was made of.
    pub fn name(suite: Suite) -> String {
        let parts = PACKAGES.iter().chain(LEFT_OUT).copied().chain([suite.kernels, RECIPE]);
        format!("roots/{}-{}", suite.name, cache::key(parts))
    }

    /// The path on the host of something in the root.
    pub fn path(&self, within: impl AsRef<Path>) -> PathBuf {
        let within = within.as_ref();
        self.folder.join("root").join(within.strip_prefix("/").unwrap_or(within))
    }

    /// The script through which commands enter this root, also by hand.
    pub fn enter(&self) -> PathBuf {
        self.folder.join("enter")
    }

    /// A place in which commands run, with this root around them.
    pub fn sandbox(&self) -> Sandbox {
        Sandbox::new(self.enter())
    }

    /// Makes sure that something can be shown at this path, which is below /usr: the root is
    /// read-only for bwrap, so a mount point there must exist in it.
    ///
    /// # Errors
    /// The root cannot be written by us.
    pub fn mount_point(&self, inside: impl AsRef<Path>) -> Result<()> {
        let path = self.path(inside);
        // A file is one that `mount_file` made.
        if path.is_file() {
            return Ok(());
        }
        make_folder(&path)
    }

    /// The same for a file: an empty one is made.
    ///
    /// # Errors
    /// The root cannot be written by us.
    pub fn mount_file(&self, inside: impl AsRef<Path>) -> Result<()> {
        let path = self.path(inside);
        let made = fs::File::options().create(true).append(true).open(&path).map(drop);
        made.or_host(|| format!("{} cannot be made", path.shown()))
    }
}

fn make(cache: &Cache, suite: Suite, partial: &Path, lock: &Lock) -> Result<()> {
    cache::need_space(partial, SPACE)?;
    let log = cache.log(&format!("root-{}", suite.name))?;
    let step = Step::begin(format!("private Debian root, {}", suite.name), "about 1 min", log);
    let root = partial.join("root");
    // All files belong to this user: so it can remove them again. The superuser takes over the
    // files that are there. Another user unpacks an archive of them, which takes 20 seconds more.
    if rustix::process::geteuid().is_root() {
        bootstrap(suite, &root).holding(lock).logged(&step)?;
        let own = Run::new("chown").args(["-R", "-h", "0:0"]).arg(&root);
        own.deadline(Duration::from_secs(300)).holding(lock).logged(&step)?;
        // bwrap has devices of its own.
        let devices = root.join("dev");
        let emptied = fs::remove_dir_all(&devices).and_then(|()| fs::create_dir(&devices));
        emptied.or_host(|| format!("{} cannot be emptied", devices.shown()))?;
    } else {
        let tar = partial.join("root.tar");
        bootstrap(suite, &tar).holding(lock).logged(&step)?;
        fs::create_dir(&root).or_host(|| format!("{} cannot be made", root.shown()))?;
        let unpack = Run::new("tar").arg("-C").arg(&root).args(["--no-same-owner", "-xf"]);
        let unpack = unpack.arg(&tar).arg("--exclude=./dev/*").deadline(Duration::from_secs(300));
        unpack.holding(lock).logged(&step)?;
        fs::remove_file(&tar).or_host(|| format!("{} cannot be removed", tar.shown()))?;
    }
    step.done();
    Ok(())
}

/// mmdebstrap with the mirror and the settings of the host's own apt, or else its own default. The
/// archive's signatures are checked, as apt does by itself. What it makes is an archive if the
/// target's name says so, and a folder otherwise.
fn bootstrap(suite: Suite, target: &Path) -> Run {
    let options = LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}"));
    let apt = packages::apt_options().into_iter().map(|option| format!("--aptopt={option}"));
    let mut run = Run::new("mmdebstrap").arg("--variant=apt");
    run = run.arg("--dpkgopt=force-unsafe-io").args(options).args(apt);
    if suite.kernels != suite.name {
        // The same mirror, also for the suite of the kernels.
        let also = format!("s/^(deb .*) {} main$/&\\n\\1 {} main/", suite.name, suite.kernels);
        let hook = format!("sed -Ei '{also}' \"$1/etc/apt/sources.list\"");
        run = run.arg(format!("--setup-hook={hook}"));
    }
    run = run.arg(format!("--include={}", PACKAGES.join(","))).arg(suite.name).arg(target);
    match packages::mirror() {
        Some(mirror) => run = run.arg(mirror),
        None => say("no Debian mirror in apt's configuration: mmdebstrap takes its default"),
    }
    // It unpacks in TMPDIR. The users of its namespaces must be able to reach that.
    if let Some(folder) = target.parent().filter(|folder| all_may_enter(folder)) {
        run = run.env("TMPDIR", folder);
    }
    run.deadline(Duration::from_secs(1800))
}

/// `true` if any user may enter a folder.
fn all_may_enter(folder: &Path) -> bool {
    let may_enter = |folder: &Path| {
        folder.metadata().is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0)
    };
    rustix::process::geteuid().is_root() || folder.ancestors().all(may_enter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_entered_by_todays_script() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        assert!(Root::present(&cache, TRIXIE).is_none());
        let entry = cache.path(Root::name(TRIXIE));
        for part in PARTS {
            assert!(Root::present(&cache, TRIXIE).is_none(), "without {part} it is damaged");
            let part = entry.join("root").join(part);
            fs::create_dir_all(part.parent().unwrap()).unwrap();
            fs::write(part, "").unwrap();
        }
        fs::write(entry.join("enter"), "#!/bin/sh\nan older one").unwrap();
        let root = Root::present(&cache, TRIXIE).unwrap();
        assert!(fs::read_to_string(root.enter()).unwrap().contains("exec bwrap"));
        assert_eq!(root.enter().metadata().unwrap().permissions().mode() & 0o111, 0o111);
        assert_eq!(root.path("/usr/bin"), entry.join("root/usr/bin"));
    }

    #[test]
    fn a_roots_name_stands_for_its_suite() {
        assert!(Root::name(TRIXIE).starts_with("roots/trixie-"));
        assert_ne!(Root::name(SID), Root::name(Suite { kernels: "experimental", ..SID }));
    }

    #[test]
    fn a_bootstrap_takes_the_kernels_suite_from_the_same_mirror() {
        let run = bootstrap(TRIXIE, Path::new("/x/root.tar")).to_string();
        assert!(run.contains("s/^(deb .*) trixie main$/&\\n\\1 trixie-backports main/"), "{run}");
        assert!(!bootstrap(SID, Path::new("/x/root.tar")).to_string().contains("setup-hook"));
    }

    #[test]
    fn a_private_folder_is_none_that_all_may_enter() {
        let folder = tempfile::tempdir().unwrap();
        let within = folder.path().join("within");
        fs::create_dir(&within).unwrap();
        // Temporary folders are private.
        assert_eq!(all_may_enter(&within), rustix::process::geteuid().is_root());
    }
}
