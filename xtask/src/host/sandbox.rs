//! A command inside a private root: what it sees, what it may write, and what it may do.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io,
    os::unix::fs::{MetadataExt, lchown},
    path::{Path, PathBuf},
    sync::LazyLock,
};

use rustix::process::geteuid;

use crate::{
    host::{
        builder::builder,
        cache::{self, write_script},
        limits, manifest, open,
        packages::{self, BWRAP},
        run::Run,
        seccomp,
        terminal::Terminal,
        user_namespaces,
    },
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The options that give apt the network. All else is the same for everything in a sandbox.
pub const NETWORK: &str = "--share-net --ro-bind /etc/resolv.conf /etc/resolv.conf";

/// Writes the script through which a root is entered, so that every command in it can be pasted,
/// and the program for the kernel that it needs. Both are today's, whenever the root was made.
///
/// | its user | user of the host | user namespace |
/// |---|---|---|
/// | an ordinary user | the same | its own, as root of it |
/// | root | root | its own, as root of it, where that is allowed |
/// | root, to write in a folder of another user | that user | its own, as root of it |
///
/// - It has no capabilities in any of them.
/// - To become another user, bubblewrap keeps three capabilities, which the first command in the
///   sandbox gives up. It refuses the system calls as well, as one of them makes the namespace.
/// - bubblewrap sets `no_new_privs`.
/// - What may be written is what the caller names, /tmp and /dev/shm.
/// - The kernel lets root write most of /proc/sys without any capability (`test_perm()` of
///   fs/proc/proc_sysctl.c looks at the user alone), so it is mounted read-only.
/// - Where a container hides parts of /proc, the kernel refuses a new one (`mount_too_revealing()`
///   of fs/namespace.c). The container's own is then shown read-only, and always from a user
///   namespace: `cap_ptrace_access_check()` of security/commoncap.c then keeps the command out of
///   all other processes' entries.
/// - Without a terminal on standard input the command gets a session of its own.
/// - `prlimit` runs inside: the processes of a user namespace are counted apart.
///
/// # Errors
/// They cannot be written.
pub(super) fn write_enter(folder: &Path) -> Result<()> {
    let calls = seccomp::program();
    let path = folder.join(CALLS);
    if !open::read(&path).is_ok_and(|old| old == calls) {
        cache::write_atomic(&path, calls)?;
    }
    write_script(&folder.join("enter"), &enter())
}

/// The program that refuses system calls, beside the script.
const CALLS: &str = "refused-calls.bpf";

fn enter() -> String {
    let (tmp, prlimit) = (limits::TMP, limits::prlimit());
    format!(
        r#"#!/bin/sh
# Runs a command in this private Debian root, read-only, without a network, and with limits:
#   enter [OPTION OF BWRAP]... -- COMMAND [ARGUMENT]...
# for root, to write in a folder that belongs to another user:  AS=UID:GID enter ...
umask 022
here=$(dirname "$(readlink -f "$0")")
root=$here/root
if [ "$(id -u)" -ne 0 ]; then
    user="--unshare-user --uid 0 --gid 0"
elif [ "$AS" ]; then
    user="--cap-add CAP_SETUID --cap-add CAP_SETGID --cap-add CAP_SETPCAP"
else
    user=--unshare-user-try
fi
if bwrap --unshare-user-try --unshare-pid --ro-bind / / --proc /proc true 2>/dev/null; then
    proc="--proc /proc --ro-bind /proc/sys /proc/sys"
else
    proc="--ro-bind /proc /proc"
    [ "$AS" ] || user="--unshare-user --uid 0 --gid 0"
fi
[ -t 0 ] || user="$user --new-session"
calls="--seccomp 3"
first=
if [ "$AS" ]; then
    none="--bounding-set=-all --inh-caps=-all"
    first="setpriv --reuid ${{AS%:*}} --regid ${{AS#*:}} --clear-groups $none"
    # Before util-linux 2.41 it can have no calls refused.
    if grep -q seccomp-filter "$root/usr/bin/setpriv"; then
        calls="--perms 0444 --ro-bind-data 3 /{CALLS}"
        first="$first unshare --user --map-root-user setpriv $none --seccomp-filter /{CALLS}"
    fi
fi
ended=
for word; do
    shift
    if [ "$word$ended" = -- ]; then
        ended=1
        set -- "$@" --remount-ro /dev --remount-ro / -- $first prlimit {prlimit}
    else
        set -- "$@" "$word"
    fi
done
exec bwrap --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try \
    --cap-drop ALL $user --die-with-parent --clearenv \
    --setenv PATH /usr/sbin:/usr/bin --setenv LC_ALL C.UTF-8 --setenv HOME /tmp \
    --setenv TERM "${{TERM:-dumb}}" \
    --ro-bind "$root/usr" /usr --ro-bind "$root/etc" /etc \
    --ro-bind "$root/var/lib/dpkg" /var/lib/dpkg \
    --symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib \
    --symlink usr/lib64 /lib64 $proc --dev /dev \
    --perms 1777 --size {tmp} --tmpfs /dev/shm --perms 1777 --size {tmp} --tmpfs /tmp \
    $calls "$@" 3< "$here/{CALLS}"
"#
    )
}

/// A private root with what else a command may see and write.
#[derive(Clone, Debug)]
pub struct Sandbox {
    enter: PathBuf,
    writable: Vec<PathBuf>,
    inside: Vec<PathBuf>,
    kernel_of: Option<PathBuf>,
    options: Vec<String>,
}

impl Sandbox {
    /// The sandbox that a script like [`Root::enter`](crate::host::root::Root::enter) makes.
    pub fn new(enter: PathBuf) -> Self {
        let (writable, inside, options) = (Vec::new(), Vec::new(), Vec::new());
        Self { enter, writable, inside, kernel_of: None, options }
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

        /// Shows an empty folder as `inside`, which hides what is there.
        fn empty(self, inside: &Path) {
            let inside = text(inside);
            let mount = ["--tmpfs", inside.as_str(), "--remount-ro", inside.as_str()];
            self.options.extend(mount.map(Into::into));
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
        manifest::ran();
        let mut run = Run::new(&self.enter);
        if let Some(kernel_of) = &self.kernel_of {
            run = run.env("THROUGH", kernel_of);
        }
        let mut owners = self.writable.iter().flat_map(|path| path.metadata());
        let other = owners.find(|folder| folder.uid() != 0).filter(|_| can_become_others());
        if let Some(other) = other {
            run = run.env("AS", format!("{}:{}", other.uid(), other.gid()));
            // The folders that bubblewrap makes on the way to a mount are for its own user alone.
            let parents = self.inside.iter().flat_map(|path| path.ancestors().skip(1));
            let parents: BTreeSet<&Path> = parents.filter(|path| *path != Path::new("/")).collect();
            run = run.args(parents.into_iter().flat_map(|path| [Path::new("--dir"), path]));
        }
        run.watched(&self.writable).args(&self.options).arg("--").arg(command)
    }

    /// The same, for [`Run::interactive`]: on a terminal of its own, from which it takes signals.
    pub fn on_terminal(mut self, command: impl AsRef<OsStr>) -> Run {
        if !Terminal::is_there() {
            return self.run(command);
        }
        self.options.push("--new-session".into());
        self.run("setsid").args(["--ctty", "--wait"]).arg(command)
    }

    fn mount(&mut self, how: &str, host: &Path, inside: &Path) {
        self.inside.push(inside.into());
        self.options.extend([how.into(), text(host), text(inside)]);
    }
}

/// Debian's user of whoever has no files.
const NOBODY: u32 = 65534;

/// Gives a folder and all in it to nobody, where we are root: what a stranger's build makes in it
/// must not be root's. Nothing runs in the folder meanwhile.
///
/// # Errors
/// The file system does not let us.
pub fn give_to_nobody(folder: &Path) -> Result<()> {
    if !can_become_others() {
        return Ok(());
    }
    give(folder).or_host(|| format!("{} cannot be given to nobody", folder.shown()))
}

fn give(path: &Path) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if metadata.uid() != NOBODY {
        lchown(path, Some(NOBODY), Some(NOBODY))?;
    }
    if metadata.is_dir() {
        path.read_dir()?.try_for_each(|entry| give(&entry?.path()))?;
    }
    Ok(())
}

/// `true` if we are root, with what it takes to become another user in a namespace of its own.
fn can_become_others() -> bool {
    /// `CAP_CHOWN`, `CAP_DAC_OVERRIDE`, `CAP_SETGID`, `CAP_SETUID`, `CAP_SYS_ADMIN`.
    const NEEDED: u64 = 1 | 1 << 1 | 1 << 6 | 1 << 7 | 1 << 21;
    static CAN: LazyLock<bool> = LazyLock::new(|| {
        let read = |path: &str| open::read_text(path).unwrap_or_default();
        let status = read("/proc/self/status");
        let has = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let has = has.and_then(|has| u64::from_str_radix(has.trim(), 16).ok()).unwrap_or(0);
        let is_mapped = |line: &str| {
            let numbers: Vec<u64> = line.split_whitespace().flat_map(str::parse).collect();
            matches!(numbers[..], [first, _, count]
                if (first..first.saturating_add(count)).contains(&NOBODY.into()))
        };
        let mapped = |path| read(path).lines().any(is_mapped);
        geteuid().is_root()
            && has & NEEDED == NEEDED
            && mapped("/proc/self/uid_map")
            && mapped("/proc/self/gid_map")
            && user_namespaces::are_allowed()
    });
    *CAN
}

/// Paths that are not UTF-8 are refused where they come in; here they are ours.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Checks that bubblewrap can make namespaces here, and with what /proc in them.
///
/// # Errors
/// It cannot: with what it said, and what mends that.
pub fn namespaces() -> Result<&'static str> {
    let program = packages::located(BWRAP)?;
    let bwrap = |proc: &[&str]| {
        let run = Run::new(&program).args(["--unshare-all", "--ro-bind", "/", "/"]).args(proc);
        let run = run.args(["--size", "4096", "--tmpfs", "/tmp"]);
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
    if said.contains("Unknown option") {
        let problem = Problem::host(format!("bubblewrap is too old: {said}"));
        return Err(problem.hint("bubblewrap 0.7 or newer sets the size of /tmp"));
    }
    let problem = Problem::host(format!("bubblewrap can make no namespaces here: {said}"));
    Err(problem.hint(user_namespaces::mend_namespaces()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A sandbox whose root is the host's own: what it may do does not depend on what it holds.
    fn sandbox(folder: &Path) -> Sandbox {
        let root = folder.join("root");
        fs::create_dir_all(root.join("var/lib/dpkg")).unwrap();
        for name in ["usr", "etc"] {
            std::os::unix::fs::symlink(Path::new("/").join(name), root.join(name)).unwrap();
        }
        write_enter(folder).unwrap();
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
    fn files_of_a_build_by_root_in_a_users_folder_are_that_users() {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = sandbox(folder.path());
        let own = folder.path().join("own");
        fs::create_dir(&own).unwrap();
        let script = "echo x > x; id -u; cat /proc/self/status";
        let run = |sandbox: &Sandbox| said(&sandbox.clone().bind(&own).chdir(&own), script);
        assert_eq!(capabilities(&run(&sandbox)), ["0000000000000000"; 5]);
        // Only root can make a folder of another user.
        if can_become_others() {
            fs::remove_file(own.join("x")).unwrap();
            give_to_nobody(&own).unwrap();
            let said = run(&sandbox);
            assert_eq!(capabilities(&said), ["0000000000000000"; 5]);
            assert!(said.contains("NoNewPrivs:\t1\nSeccomp:\t2\n"), "{said}");
            assert_eq!(own.join("x").metadata().unwrap().uid(), NOBODY);
        }
        assert_eq!(fs::read_to_string(own.join("x")).unwrap(), "x\n");
    }
}
