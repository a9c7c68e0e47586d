//! The private Debian root: the toolchain, kmod and QEMU, apart from the host's own.
//!
//! It is made by mmdebstrap from the archive's signed packages, entered with bubblewrap, and
//! read-only for all that runs in it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        packages,
        progress::{Step, say},
        run::Run,
    },
    problem::{OrProblem, Problem, Result},
};

/// What a root holds: what Kbuild and the kernel's Rust need, kmod, a small shell, QEMU; dkms and
/// mdbook for the book.
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

/// Left out of every package: nobody reads them there.
const LEFT_OUT: &[&str] = &["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];

/// Bytes that a root needs while it is made.
const SPACE: u64 = 5 << 30;

/// The script through which a root is entered, so that every command in it can be pasted.
const ENTER: &str = r#"#!/bin/sh
# Runs a command in this private Debian root, read-only and without a network:
#   enter [OPTION OF BWRAP]... -- COMMAND [ARGUMENT]...
root=$(dirname "$(readlink -f "$0")")/root
[ "$(id -u)" -eq 0 ] || set -- --unshare-user --uid 0 --gid 0 "$@"
exec bwrap --unshare-all --die-with-parent --clearenv \
    --setenv PATH /usr/sbin:/usr/bin --setenv LC_ALL C.UTF-8 --setenv HOME /tmp \
    --setenv TERM "${TERM:-dumb}" \
    --ro-bind "$root/usr" /usr --ro-bind "$root/etc" /etc \
    --ro-bind "$root/var/lib/dpkg" /var/lib/dpkg \
    --symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib \
    --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp "$@"
"#;

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
        packages::require()?;
        let folder = cache.entry(&Self::name(suite), Partial::Discard, |partial| {
            namespaces()?;
            make(cache, suite, partial)
        })?;
        Ok(Self { suite, folder })
    }

    /// The root of a suite if it is there.
    pub fn present(cache: &Cache, suite: Suite) -> Option<Self> {
        let folder = cache.path(Self::name(suite));
        folder.exists().then_some(Self { suite, folder })
    }

    /// Its name in the cache, which stands for all that it was made of.
    pub fn name(suite: Suite) -> String {
        let parts = PACKAGES.iter().chain(LEFT_OUT).copied().chain([suite.kernels, ENTER]);
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
        fs::create_dir_all(&path).or_host(|| format!("{} cannot be made", path.display()))
    }
}

/// A private root with what else a command may see and write.
#[derive(Clone, Debug)]
pub struct Sandbox {
    enter: PathBuf,
    kernel_of: Option<PathBuf>,
    options: Vec<String>,
}

impl Sandbox {
    /// The sandbox that a script like [`Root::enter`] makes.
    pub fn new(enter: PathBuf) -> Self {
        Self { enter, kernel_of: None, options: Vec::new() }
    }

    /// Shows also what another sandbox of the same root shows. Both are made for a kernel.
    #[must_use]
    pub fn with_kernel_of(mut self, other: &Self) -> Self {
        self.kernel_of = Some(other.enter.clone());
        self
    }

    /// Shows `host` read-only as `inside`.
    #[must_use]
    pub fn read_only(self, host: &Path, inside: impl AsRef<Path>) -> Self {
        self.mount("--ro-bind", host, inside.as_ref())
    }

    /// Lets `host` be written as `inside`.
    #[must_use]
    pub fn writable(self, host: &Path, inside: impl AsRef<Path>) -> Self {
        self.mount("--bind", host, inside.as_ref())
    }

    /// Lets a folder be written at its own path.
    #[must_use]
    pub fn bind(self, folder: &Path) -> Self {
        self.writable(folder, folder)
    }

    /// Shows a device, if the host has it.
    #[must_use]
    pub fn device(self, device: &str) -> Self {
        self.mount("--dev-bind-try", Path::new(device), Path::new(device))
    }

    /// Runs the command in this folder.
    #[must_use]
    pub fn chdir(mut self, inside: impl AsRef<Path>) -> Self {
        self.options.extend(["--chdir".into(), text(inside.as_ref())]);
        self
    }

    /// A command that runs in here.
    pub fn run(&self, command: impl AsRef<OsStr>) -> Run {
        let mut run = Run::new(&self.enter);
        if let Some(kernel_of) = &self.kernel_of {
            run = run.env("THROUGH", kernel_of);
        }
        run.args(&self.options).arg("--").arg(command)
    }

    fn mount(mut self, how: &str, host: &Path, inside: &Path) -> Self {
        self.options.extend([how.into(), text(host), text(inside)]);
        self
    }
}

/// Paths that are not UTF-8 are refused where they come in; here they are ours.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether bubblewrap can make namespaces here.
///
/// # Errors
/// It cannot: with what it said.
pub fn namespaces() -> Result<()> {
    let bwrap = Run::new("bwrap").args(["--unshare-all", "--ro-bind", "/", "/", "true"]).quiet();
    let outcome = bwrap.output()?;
    if outcome.status.success() {
        return Ok(());
    }
    let said = outcome.stderr.trim().to_owned();
    let problem = Problem::host(format!(
        "bubblewrap can make no namespaces here, neither as this user nor with user namespaces: \
         {said}"
    ));
    Err(problem.hint(
        "run it as root outside a container, or allow user namespaces: \
         sysctl user.max_user_namespaces kernel.unprivileged_userns_clone \
         kernel.apparmor_restrict_unprivileged_userns",
    ))
}

fn make(cache: &Cache, suite: Suite, partial: &Path) -> Result<()> {
    cache::need_space(partial, SPACE)?;
    let step = Step::begin(format!("private Debian root, {}", suite.name), "about 1 min");
    let tar = partial.join("root.tar");
    let log = cache.log(&format!("root-{}", suite.name))?;
    bootstrap(suite, &tar).logged(&log, &step)?;
    let root = partial.join("root");
    fs::create_dir(&root).or_host(|| format!("{} cannot be made", root.display()))?;
    // Whoever we are, we own what we unpack: so an ordinary user can remove it again.
    let unpack = Run::new("tar").arg("-C").arg(&root).args(["--no-same-owner", "-xf"]).arg(&tar);
    unpack.arg("--exclude=./dev/*").deadline(Duration::from_secs(300)).logged(&log, &step)?;
    fs::remove_file(&tar).or_host(|| format!("{} cannot be removed", tar.display()))?;
    write_script(&partial.join("enter"), ENTER)?;
    step.done();
    Ok(())
}

/// Writes a shell script that can be run.
///
/// # Errors
/// Those of the file system.
pub fn write_script(path: &Path, text: &str) -> Result<()> {
    cache::write_atomic(path, text.as_bytes())?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).or_host(|| format!("{}", path.display()))
}

/// mmdebstrap with the mirror and the settings of the host's own apt, or else its own default. The archive's
/// signatures are checked, as apt does by itself.
fn bootstrap(suite: Suite, tar: &Path) -> Run {
    let options = LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}"));
    let apt = packages::apt_options().into_iter().map(|option| format!("--aptopt={option}"));
    let mut run = Run::new("mmdebstrap").args(["--variant=apt", "--format=tar"]);
    run = run.arg("--dpkgopt=force-unsafe-io").args(options).args(apt);
    if suite.kernels != suite.name {
        // The same mirror, also for the suite of the kernels.
        let also = format!("s/^(deb .*) {} main$/&\\n\\1 {} main/", suite.name, suite.kernels);
        let hook = format!("sed -Ei '{also}' \"$1/etc/apt/sources.list\"");
        run = run.arg(format!("--setup-hook={hook}"));
    }
    run = run.arg(format!("--include={}", PACKAGES.join(","))).arg(suite.name).arg(tar);
    match packages::mirror() {
        Some(mirror) => run = run.arg(mirror),
        None => say("no Debian mirror in apt's configuration: mmdebstrap takes its default"),
    }
    run.deadline(Duration::from_secs(1800)).hint(
        "is the archive reachable, and is debian-archive-keyring recent? then run it again: \
         cargo xtask setup",
    )
}
