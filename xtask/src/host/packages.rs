//! The host's own packages: the few that symstack needs there, and how they come.

use std::{env, path::PathBuf, process::Command, time::Duration};

use crate::{
    host::{progress::Step, run::Run},
    problem::{OrProblem, Problem, Result},
};

/// A command that must be on the host, and Debian's package that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    /// The command.
    pub command: &'static str,
    /// The package.
    pub package: &'static str,
    /// What it is needed for.
    pub purpose: &'static str,
}

/// All that the host must have beside cargo.
pub const NEEDED: [Needed; 2] = [
    Needed { command: "mmdebstrap", package: "mmdebstrap", purpose: "makes the private root" },
    Needed { command: "bwrap", package: "bubblewrap", purpose: "enters the private root" },
];

/// Where a command is on the caller's PATH.
pub fn find(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(command)).find(|path| path.is_file())
}

/// Those of [`NEEDED`] that are missing.
pub fn missing() -> Vec<Needed> {
    NEEDED.into_iter().filter(|needed| find(needed.command).is_none()).collect()
}

/// The one command that installs `needed` on a Debian host.
pub fn install_command(needed: &[Needed]) -> String {
    let packages: Vec<&str> = needed.iter().map(|needed| needed.package).collect();
    format!("apt-get update && apt-get install --no-install-recommends {}", packages.join(" "))
}

/// Whether we may install packages ourselves: root, with apt.
pub fn may_install() -> bool {
    rustix::process::geteuid().is_root() && find("apt-get").is_some()
}

/// Makes sure that all of [`NEEDED`] is there, installing it where we may.
///
/// # Errors
/// Something is missing and we may not install it, or the installation fails.
pub fn require() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|needed| needed.command).collect();
    let command = install_command(&missing);
    if !may_install() {
        let problem = Problem::host(format!("this host lacks {}", names.join(" and ")));
        return Err(problem.hint(format!("run as root: {command}")));
    }
    let step = Step::begin(format!("host packages for {}", names.join(", ")), "a few seconds");
    let log = tempfile::Builder::new().prefix("symstack-packages-").suffix(".log").tempfile();
    let log = log.or_host(|| "no temporary file".into())?;
    let shell = Run::new("sh").args(["-c", &command.replace("install ", "install -y ")]);
    let shell = shell.env("DEBIAN_FRONTEND", "noninteractive");
    shell.deadline(Duration::from_secs(600)).logged(log.path(), &step)?;
    step.done();
    Ok(())
}

/// The mirror of Debian's main archive that the host's own apt is set up with, if it is.
pub fn mirror() -> Option<String> {
    let fields = "$(REPO_URI) $(ORIGIN) $(LABEL)";
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", fields, "Created-By: Packages"]);
    let output = apt.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| line.strip_suffix(" Debian Debian")).map(Into::into)
}

/// What of the host's own apt decides how an archive is reached, as `mmdebstrap --aptopt` takes
/// it: proxies, and whether a mirror that lags behind is good enough.
pub fn apt_options() -> Vec<String> {
    const TAKEN: [&str; 4] = ["http::Proxy", "https::Proxy", "Check-Valid-Until", "Check-Date"];
    let Ok(output) = Command::new("apt-config").arg("dump").output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let taken = |line: &&str| {
        let name = line.strip_prefix("Acquire::").and_then(|line| line.split(' ').next());
        name.is_some_and(|name| TAKEN.contains(&name))
    };
    text.lines().filter(taken).map(Into::into).collect()
}
