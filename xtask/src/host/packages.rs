//! The host's own packages: the few that symstack needs there, and how they come.

use std::{env, ffi::OsStr, path::PathBuf, time::Duration};

use rustix::process::geteuid;

use crate::{
    host::{cache::Cache, progress::Step, run::Run},
    problem::{Problem, Result},
};

/// A command that must be on the host, and Debian's package that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// The command.
    pub command: &'static str,
    /// The package.
    pub package: &'static str,
    /// Its purpose.
    pub purpose: &'static str,
}

pub(super) const MMDEBSTRAP: Needed = needed("mmdebstrap", "mmdebstrap", "makes the private root");
pub(super) const BWRAP: Needed = needed("bwrap", "bubblewrap", "enters the private root");
/// Needed by an ordinary user, and not by root.
const NEWUIDMAP: Needed = needed("newuidmap", "uidmap", "lets mmdebstrap work as an ordinary user");
const TAR: Needed = needed("tar", "tar", "unpacks the private root");

const fn needed(command: &'static str, package: &'static str, purpose: &'static str) -> Needed {
    Needed { command, package, purpose }
}

/// The command that enters a private root.
pub fn to_enter() -> Vec<Needed> {
    vec![BWRAP]
}

/// Returns the commands that this user needs to make a private root and enter it: all that the host
/// must have beside cargo.
pub fn to_make() -> Vec<Needed> {
    needed_by(geteuid().is_root())
}

fn needed_by(root: bool) -> Vec<Needed> {
    let users = (!root).then_some(NEWUIDMAP);
    [MMDEBSTRAP, BWRAP].into_iter().chain(users).chain([TAR]).collect()
}

/// Where a command is on the caller's PATH.
pub fn find(command: &str) -> Option<PathBuf> {
    find_in(&env::var_os("PATH")?, command)
}

fn find_in(path: &OsStr, command: &str) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(command)).find(|path| path.is_file())
}

/// The one command that installs `needed` on a Debian host.
pub fn install_command(needed: &[Needed]) -> String {
    let packages: Vec<&str> = needed.iter().map(|needed| needed.package).collect();
    format!("apt-get update && apt-get install --no-install-recommends {}", packages.join(" "))
}

/// Where one of the commands that are needed is.
///
/// # Errors
/// It is not on the caller's PATH: with the one command that installs it.
pub fn located(needed: Needed) -> Result<PathBuf> {
    find(needed.command).ok_or_else(|| {
        let fact = format!("{} is not on the PATH; it {}", needed.command, needed.purpose);
        Problem::host(fact).hint(format!("as root: {}", install_command(&[needed])))
    })
}

/// Makes sure that all that is needed is there. As root with apt it is installed.
///
/// # Errors
/// Something is missing and we may not install it, or the installation fails.
pub fn require(cache: &Cache, needed: &[Needed]) -> Result<()> {
    let mut missing = needed.to_vec();
    missing.retain(|needed| find(needed.command).is_none());
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|needed| needed.command).collect();
    let command = install_command(&missing);
    if !geteuid().is_root() || find("apt-get").is_none() {
        let problem = Problem::host(format!("this host lacks {}", names.join(" and ")));
        return Err(problem.hint(format!("run as root: {command}")));
    }
    let what = format!("host packages for {}", names.join(", "));
    let step = Step::begin(what, "a few seconds", cache.log("host-packages")?);
    let shell = Run::new("sh").args(["-c", &command.replace("install ", "install -y ")]);
    let shell = shell.env("DEBIAN_FRONTEND", "noninteractive");
    shell.deadline(Duration::from_secs(600)).logged(&step)?;
    step.done();
    Ok(())
}

/// The mirror of Debian's main archive that the host's own apt is set up with, if it is.
pub fn mirror() -> Option<String> {
    let fields = "$(REPO_URI) $(ORIGIN) $(LABEL)";
    let apt = Run::new("apt-get").args(["indextargets", "--format", fields]);
    mirror_of(&apt.arg("Created-By: Packages").quiet().stdout().ok()?)
}

/// The first address whose origin and label are Debian's.
fn mirror_of(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| line.strip_suffix(" Debian Debian")).map(Into::into)
}

/// The settings of the host's own apt that decide how an archive is reached, as `mmdebstrap
/// --aptopt` takes them: proxies, and whether a mirror that lags behind is good enough.
pub fn apt_options() -> Vec<String> {
    // A host without apt has no such settings.
    let dump = Run::new("apt-config").arg("dump").quiet().stdout();
    options_of(&dump.unwrap_or_default())
}

fn options_of(dump: &str) -> Vec<String> {
    const TAKEN: [&str; 4] = ["http::Proxy", "https::Proxy", "Check-Valid-Until", "Check-Date"];
    let taken = |line: &&str| {
        let name = line.strip_prefix("Acquire::").and_then(|line| line.split(' ').next());
        name.is_some_and(|name| TAKEN.contains(&name))
    };
    dump.lines().filter(taken).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_user_needs_more_than_root() {
        let packages =
            |root| needed_by(root).iter().map(|needed| needed.package).collect::<Vec<_>>();
        assert_eq!(packages(true), ["mmdebstrap", "bubblewrap", "tar"]);
        assert_eq!(packages(false), ["mmdebstrap", "bubblewrap", "uidmap", "tar"]);
        let command = install_command(&needed_by(false)[1..3]);
        assert!(command.ends_with("--no-install-recommends bubblewrap uidmap"), "{command}");
    }

    #[test]
    fn a_command_is_looked_for_in_the_order_of_path() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["a", "b"].map(|name| folder.path().join(name));
        for path in [&first, &second] {
            std::fs::create_dir(path).unwrap();
        }
        std::fs::create_dir(first.join("tool")).unwrap();
        std::fs::write(second.join("tool"), "").unwrap();
        let path = env::join_paths([&first, &second]).unwrap();
        assert_eq!(find_in(&path, "tool"), Some(second.join("tool")), "a folder is no command");
        assert_eq!(find_in(&path, "other"), None);
    }

    #[test]
    fn the_mirror_is_debians_own() {
        let targets = "http://security.example/debian-security Debian Debian-Security\n\
             http://vendor.example/apt Vendor Vendor\n\
             http://mirror.example/debian/ Debian Debian\n\
             http://second.example/debian/ Debian Debian\n";
        assert_eq!(mirror_of(targets).as_deref(), Some("http://mirror.example/debian/"));
        assert_eq!(mirror_of("http://vendor.example/apt Vendor Vendor\n"), None);
    }

    #[test]
    fn only_what_reaches_the_archive_is_taken_from_apt() {
        let dump = "Acquire \"\";\nAcquire::http::Proxy \"http://proxy.example:3128\";\n\
             Acquire::http::Proxy::localhost \"DIRECT\";\nAcquire::Check-Date \"false\";\n\
             APT::Install-Recommends \"1\";\n";
        let options = options_of(dump);
        let taken = [
            "Acquire::http::Proxy \"http://proxy.example:3128\";",
            "Acquire::Check-Date \"false\";",
        ];
        assert_eq!(options, taken);
    }
}
