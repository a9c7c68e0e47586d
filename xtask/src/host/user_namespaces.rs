//! User namespaces: the right to make them on this machine, and the one command that mends it.

use rustix::process::{geteuid, getuid};

use crate::{
    host::{
        open,
        packages::{self, MMDEBSTRAP},
        run::Run,
    },
    problem::{Problem, Result},
};

/// Settings that keep an ordinary user from making user namespaces: the file below /proc/sys, the
/// value that forbids them, and the one that does not.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("user/max_user_namespaces", "0", "15000"),
    // Of Debian's and Arch's kernels.
    ("kernel/unprivileged_userns_clone", "0", "1"),
    // Of Ubuntu's, since 23.10.
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
];

/// Returns the command that lets bubblewrap make namespaces where it cannot.
pub(super) fn mend_namespaces() -> String {
    let read = |name: &str| open::read_text(format!("/proc/sys/{name}")).ok();
    mend_settings(read).unwrap_or_else(|| {
        let lack = if geteuid().is_root() {
            "root lacks CAP_SYS_ADMIN"
        } else {
            "user namespaces are forbidden"
        };
        format!("{lack}, as in a container: run it outside, or give the container that right")
    })
}

/// `true` if no setting keeps an ordinary user from making them.
pub(super) fn are_allowed() -> bool {
    mend_settings(|name| open::read_text(format!("/proc/sys/{name}")).ok()).is_none()
}

/// The command that lifts the settings which forbid user namespaces, if one does.
fn mend_settings(read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let forbids = |(name, forbidding, _): &&(&str, &str, &str)| {
        read(name).is_some_and(|value| value.trim() == *forbidding)
    };
    let settings: Vec<String> = SETTINGS
        .iter()
        .filter(forbids)
        .map(|(name, _, allowing)| format!(" {}={allowing}", name.replace('/', ".")))
        .collect();
    let settings = settings.concat();
    (!settings.is_empty()).then(|| format!("as root: sysctl -w{settings}"))
}

/// Checks that mmdebstrap can unpack packages as this user. For root there is nothing to ask.
///
/// # Errors
/// It cannot: with what it said, and what mends that.
pub fn bootstrap() -> Result<&'static str> {
    if geteuid().is_root() {
        return Ok("as root");
    }
    let program = packages::located(MMDEBSTRAP)?;
    let output = Run::new(program).args(["--unshare-helper", "true"]).quiet().output()?;
    if output.status.success() {
        return Ok("mmdebstrap makes user namespaces with several users");
    }
    // Its warnings come first.
    let said = output.stderr.lines().last().unwrap_or_default();
    let problem = Problem::host(format!("mmdebstrap cannot unpack packages as this user: {said}"));
    Err(problem.hint(mend_bootstrap(said).unwrap_or_else(mend_namespaces)))
}

/// Returns the remedy for a bootstrap that failed for want of subordinate user ids.
fn mend_bootstrap(said: &str) -> Option<String> {
    let lacks = |text| said.contains(text);
    if lacks("cannot find newuidmap") || lacks("cannot find newgidmap") {
        return Some(
            "as root: apt-get update && apt-get install --no-install-recommends uidmap".into(),
        );
    }
    let user = getuid().as_raw();
    let ids = "--add-subuids 100000-165535 --add-subgids 100000-165535";
    (lacks("subuid") || lacks("subgid")).then(|| format!("as root: usermod {ids} $(id -un {user})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_forbids_is_named_with_the_one_that_does_not() {
        let ubuntu = |name: &str| match name {
            "user/max_user_namespaces" => Some("127231\n".into()),
            "kernel/apparmor_restrict_unprivileged_userns" => Some("1\n".into()),
            _ => None,
        };
        let mend = mend_settings(ubuntu).unwrap();
        assert_eq!(mend, "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
        assert_eq!(mend_settings(|_| None), None);
    }

    #[test]
    fn the_lacks_of_a_bootstrap_are_named() {
        assert!(mend_bootstrap("E: cannot find newuidmap").unwrap().ends_with(" uidmap"));
        let subuid = "E: failed to parse /etc/subuid and /etc/subgid";
        assert!(mend_bootstrap(subuid).unwrap().contains("usermod --add-subuids"));
        assert_eq!(mend_bootstrap("E: unshare syscall failed"), None);
    }
}
