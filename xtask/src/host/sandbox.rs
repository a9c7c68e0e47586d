//! A command inside a private root: what it sees, what it may write, and what it may do.

use std::{
    ffi::OsStr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use crate::{
    host::{
        builder::builder,
        packages::{self, BWRAP},
        run::Run,
        user_namespaces,
    },
    problem::{Problem, Result},
};

/// The options that give apt the network. All else is the same for everything in a sandbox.
pub const NETWORK: &str = "--share-net --ro-bind /etc/resolv.conf /etc/resolv.conf";

/// The script through which a root is entered, so that every command in it can be pasted.
///
/// | its user | user namespace | capabilities |
/// |---|---|---|
/// | an ordinary user | its own, as root of it | none |
/// | root | its own, where that is allowed | none |
/// | root, and a folder to be written belongs to another user | the host's | `CAP_DAC_OVERRIDE` |
///
/// - bubblewrap sets `no_new_privs`.
/// - The kernel lets root write most of /proc/sys without any capability (`test_perm()` of
///   fs/proc/proc_sysctl.c looks at the user alone), so it is mounted read-only.
/// - Where a container hides parts of /proc, the kernel refuses a new one (`mount_too_revealing()`
///   of fs/namespace.c). The container's own is then shown read-only, and always from a user
///   namespace: `cap_ptrace_access_check()` of security/commoncap.c then keeps the command out of
///   all other processes' entries.
/// - Without a terminal on standard input the command gets a session of its own.
pub(super) const ENTER: &str = r#"#!/bin/sh
# Runs a command in this private Debian root, read-only and without a network:
#   enter [OPTION OF BWRAP]... -- COMMAND [ARGUMENT]...
# for root, to write in a folder that belongs to another user:  AS_ROOT=1 enter ...
root=$(dirname "$(readlink -f "$0")")/root
if [ "$(id -u)" -ne 0 ]; then
    user="--unshare-user --uid 0 --gid 0"
elif [ "$AS_ROOT" ]; then
    user="--cap-add CAP_DAC_OVERRIDE"
else
    user=--unshare-user-try
fi
if bwrap --unshare-user-try --unshare-pid --ro-bind / / --proc /proc true 2>/dev/null; then
    proc="--proc /proc --ro-bind /proc/sys /proc/sys"
else
    proc="--ro-bind /proc /proc"
    user="--unshare-user --uid 0 --gid 0"
fi
[ -t 0 ] || user="$user --new-session"
exec bwrap --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try \
    --cap-drop ALL $user --die-with-parent --clearenv \
    --setenv PATH /usr/sbin:/usr/bin --setenv LC_ALL C.UTF-8 --setenv HOME /tmp \
    --setenv TERM "${TERM:-dumb}" \
    --ro-bind "$root/usr" /usr --ro-bind "$root/etc" /etc \
    --ro-bind "$root/var/lib/dpkg" /var/lib/dpkg \
    --symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib \
    --symlink usr/lib64 /lib64 $proc --dev /dev --tmpfs /tmp "$@"
"#;

/// A private root with what else a command may see and write.
#[derive(Clone, Debug)]
pub struct Sandbox {
    enter: PathBuf,
    writable: Vec<PathBuf>,
    kernel_of: Option<PathBuf>,
    options: Vec<String>,
}

impl Sandbox {
    /// The sandbox that a script like [`Root::enter`](crate::host::root::Root::enter) makes.
    pub fn new(enter: PathBuf) -> Self {
        Self { enter, writable: Vec::new(), kernel_of: None, options: Vec::new() }
    }

    builder! {
        /// Shows also what another sandbox of the same root shows. Both are made for a kernel.
        fn with_kernel_of(self, other: &Self) {
            self.kernel_of = Some(other.enter.clone());
        }

        /// Shows `host` read-only as `inside`.
        fn read_only(self, host: &Path, inside: impl AsRef<Path>) {
            self.mount("--ro-bind", host, inside.as_ref());
        }

        /// Lets `host` be written as `inside`.
        fn writable(self, host: &Path, inside: impl AsRef<Path>) {
            self.writable.push(host.into());
            self.mount("--bind", host, inside.as_ref());
        }

        /// Shows a device, if the host has it.
        fn device(self, device: &str) {
            self.mount("--dev-bind-try", Path::new(device), Path::new(device));
        }

        /// Looks for programs in these folders, as PATH names them.
        fn path(self, path: &str) {
            self.options.extend(["--setenv", "PATH", path].map(Into::into));
        }

        /// Runs the command in this folder.
        fn chdir(self, inside: impl AsRef<Path>) {
            self.options.extend(["--chdir".into(), text(inside.as_ref())]);
        }
    }

    /// Lets a folder be written at its own path.
    #[must_use]
    pub fn bind(self, folder: &Path) -> Self {
        self.writable(folder, folder)
    }

    /// A command that runs in here.
    pub fn run(&self, command: impl AsRef<OsStr>) -> Run {
        let mut run = Run::new(&self.enter);
        if let Some(kernel_of) = &self.kernel_of {
            run = run.env("THROUGH", kernel_of);
        }
        let others = |path: &PathBuf| path.metadata().is_ok_and(|path| path.uid() != 0);
        if geteuid().is_root() && self.writable.iter().any(others) {
            run = run.env("AS_ROOT", "1");
        }
        run.args(&self.options).arg("--").arg(command)
    }

    fn mount(&mut self, how: &str, host: &Path, inside: &Path) {
        self.options.extend([how.into(), text(host), text(inside)]);
    }
}

/// Paths that are not UTF-8 are refused where they come in; here they are ours.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether bubblewrap can make namespaces here, and with what /proc in them.
///
/// # Errors
/// It cannot: with what it said, and what mends that.
pub fn namespaces() -> Result<&'static str> {
    let program = packages::located(BWRAP)?;
    let bwrap = |proc: &[&str]| {
        let run = Run::new(&program).args(["--unshare-all", "--ro-bind", "/", "/"]).args(proc);
        run.arg("true").quiet().output()
    };
    if bwrap(&["--proc", "/proc"])?.status.success() {
        return Ok("bubblewrap makes them");
    }
    let output = bwrap(&["--ro-bind", "/proc", "/proc", "--unshare-user"])?;
    if output.status.success() {
        return Ok("bubblewrap makes them, with this container's own /proc in them");
    }
    let said = output.stderr.trim();
    let problem = Problem::host(format!("bubblewrap can make no namespaces here: {said}"));
    Err(problem.hint(user_namespaces::mend_namespaces()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::chown};

    use super::*;
    use crate::host::cache::write_script;

    /// A sandbox whose root is the host's own: what it may do does not depend on what it holds.
    fn sandbox(folder: &Path) -> Sandbox {
        let root = folder.join("root");
        fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
        for name in ["usr", "etc"] {
            std::os::unix::fs::symlink(Path::new("/").join(name), root.join(name)).unwrap();
        }
        write_script(&folder.join("enter"), ENTER).unwrap();
        Sandbox::new(folder.join("enter"))
    }

    fn said(sandbox: &Sandbox, script: &str) -> String {
        sandbox.run("sh").args(["-c", script]).quiet().stdout().unwrap()
    }

    fn capabilities(status: &str) -> Vec<&str> {
        status
            .lines()
            .filter_map(|line| line.strip_prefix("Cap")?.split_once(":\t"))
            .map(|f| f.1)
            .collect()
    }

    #[test]
    fn a_command_has_no_capabilities_and_gets_none() {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = sandbox(folder.path());
        let status = said(&sandbox, "cat /proc/self/status");
        assert_eq!(capabilities(&status), ["0000000000000000"; 5]);
        assert!(status.contains("NoNewPrivs:\t1\n"));
        let namespace = |path: &str| fs::read_link(path).unwrap().display().to_string();
        let own = said(&sandbox, "readlink /proc/self/ns/user /proc/self/ns/net");
        assert!(!own.contains(&namespace("/proc/self/ns/user")), "{own}");
        assert!(!own.contains(&namespace("/proc/self/ns/net")), "{own}");
    }

    #[test]
    fn nothing_of_the_host_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = sandbox(folder.path());
        // The file's own contents are written: a sandbox that does not hold changes nothing.
        for file in ["kernel/core_pattern", "vm/swappiness", "kernel/hostname"] {
            let path = format!("/proc/sys/{file}");
            let script = format!("v=$(cat {path}) && {{ echo \"$v\" > {path}; }} 2>&1 || true");
            let said = said(&sandbox, &script);
            assert!(said.contains("Read-only file system"), "{file}: {said}");
        }
        let said = said(
            &sandbox,
            "for d in /usr /etc /var/lib/dpkg; do touch $d/x && echo $d; done; \
             mount -t tmpfs x /tmp && echo mount; true",
        );
        assert_eq!(said, "");
    }

    #[test]
    fn only_apt_sees_the_network() {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = sandbox(folder.path());
        let interfaces = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";
        assert_eq!(said(&sandbox, interfaces), "lo\n");
        let host = Run::new("sh").args(["-c", interfaces]).quiet().stdout().unwrap();
        let apt = sandbox.run("sh").quiet().to_string().replace(" -- ", &format!(" {NETWORK} -- "));
        let apt = Run::new("sh").args(["-c", &format!("{apt} -c \"{interfaces}\"")]).quiet();
        assert_eq!(apt.stdout().unwrap(), host);
    }

    #[test]
    fn a_command_without_a_terminal_has_a_session_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let tty = said(
            &sandbox(folder.path()),
            "cut -d' ' -f6 /proc/self/stat; echo x > /dev/tty || true",
        );
        assert_ne!(tty.trim(), "0");
    }

    #[test]
    fn a_build_by_root_may_write_a_folder_of_another_user() {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = sandbox(folder.path());
        let own = folder.path().join("own");
        fs::create_dir(&own).unwrap();
        let script = "echo x > x; cat /proc/self/status";
        let run = |sandbox: &Sandbox| said(&sandbox.clone().bind(&own).chdir(&own), script);
        assert_eq!(capabilities(&run(&sandbox)), ["0000000000000000"; 5]);
        // Only root can make a folder of another user.
        if geteuid().is_root() {
            fs::remove_file(own.join("x")).unwrap();
            chown(&own, Some(1234), Some(1234)).unwrap();
            // CAP_DAC_OVERRIDE is capability 1.
            assert_eq!(capabilities(&run(&sandbox))[2], "0000000000000002");
        }
        assert_eq!(fs::read_to_string(own.join("x")).unwrap(), "x\n");
    }
}
