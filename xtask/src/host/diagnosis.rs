//! The causes that a failed command names, and the next step that follows from it.

/// The causes that a failed command names, and their remedies. The first that is found counts.
const CAUSES: &[(&[&str], &str)] = &[
    (
        &["No space left on device"],
        "free some space, or set XDG_CACHE_HOME to a folder that has it",
    ),
    (
        &[
            "bwrap: ",
            "unable to pick chroot mode",
            "newuidmap",
            "newgidmap",
            "unshare syscall failed",
        ],
        "this machine does not let us make namespaces: cargo xtask doctor says what mends it",
    ),
    (
        &[
            "NO_PUBKEY",
            "is not signed",
            "signatures couldn't be verified",
            "signatures were invalid",
        ],
        "the archive's signature cannot be checked: bring debian-archive-keyring up to date",
    ),
    (
        &[
            "Temporary failure resolving",
            "Could not resolve",
            "Could not connect",
            "Connection failed",
            "Connection timed out",
            "Network is unreachable",
            "Unable to connect to",
        ],
        "Debian's archive cannot be reached: check the network and apt's proxy, and run it again",
    ),
    (
        &["404  Not Found", "does not have a Release file"],
        "the mirror does not have it any more: ask what it has now: cargo xtask setup",
    ),
];

/// Returns the remedy for the cause that a command's output names, if it names one.
pub(super) fn hint(said: &str) -> Option<&'static str> {
    let found = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    CAUSES.iter().find(|(texts, _)| found(texts)).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_follows_from_what_was_said() {
        let mmdebstrap =
            "E: unable to pick chroot mode automatically (use --mode for manual selection)";
        assert!(hint(mmdebstrap).unwrap().contains("doctor"));
        assert!(hint("bwrap: Can't mount proc on /newroot/proc").unwrap().contains("doctor"));
        let apt = "E: Failed to fetch …  Temporary failure resolving 'deb.debian.org'";
        assert!(hint(apt).unwrap().contains("cannot be reached"));
        assert_eq!(hint("error: expected `;`"), None);
    }
}
