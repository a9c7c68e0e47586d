//! A cache that a test may damage, and the commands that meet it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use xtask::{guest::Guest, host::cache::Cache};

use crate::{harness::skip, kernel};

/// Another user, who has no files and no name of interest.
pub(super) const NOBODY: u32 = 65534;
/// The end of every message about damage.
pub(super) const DAMAGED: &str = "is not what was written";

/// A cache of its own, with all that is large in the common one.
pub(super) struct OwnCache(pub(super) tempfile::TempDir);

impl OwnCache {
    pub(super) fn new() -> Self {
        let common = Cache::open().unwrap();
        let own = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(own.0.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::create_dir_all(own.path("guest")).unwrap();
        for folder in ["roots", "kernels", "sources", "apt"] {
            symlink(common.path(folder), own.path(folder)).unwrap();
        }
        // Made now if need be, so that every test finds them in the common cache.
        static GUEST: OnceLock<()> = OnceLock::new();
        GUEST.get_or_init(|| drop(Guest::on(&common, kernel()).unwrap().run(["true"]).unwrap()));
        for entry in fs::read_dir(common.path("guest")).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let is_entry = ["agent-", "base-", "kernel-"].iter().any(|kind| name.starts_with(kind));
            if is_entry && entry.path().is_dir() {
                symlink(entry.path(), own.path("guest").join(name)).unwrap();
            }
        }
        own
    }

    pub(super) fn path(&self, within: impl AsRef<Path>) -> PathBuf {
        self.0.path().join("symstack").join(within)
    }

    /// Makes an entry, or a folder of them, the test's own; what is in it are links.
    pub(super) fn own(&self, within: impl AsRef<Path>) -> PathBuf {
        let path = self.path(within);
        let common = fs::read_link(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        for entry in fs::read_dir(common).unwrap().flatten() {
            symlink(entry.path(), path.join(entry.file_name())).unwrap();
        }
        path
    }

    /// Forgets the entries of a kind that guests are made of.
    pub(super) fn forget(&self, kind: &str) {
        for entry in fs::read_dir(self.path("guest")).unwrap().flatten() {
            if entry.file_name().to_str().unwrap().starts_with(kind) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    /// A command of the runner with this cache.
    pub(super) fn run(&self, arguments: &[&str]) -> Said {
        self.after("true", &[], arguments)
    }

    /// The same, after a script of mounts, whose arguments are these paths.
    pub(super) fn after(&self, mounts: &str, paths: &[&Path], arguments: &[&str]) -> Said {
        let shifted = format!("{{ {mounts}; }} || exit 99; shift {}; exec \"$@\"", paths.len());
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &shifted, "sh"]).args(paths);
        command.arg(env!("CARGO_BIN_EXE_xtask")).args(arguments);
        command.env("XDG_CACHE_HOME", self.0.path()).current_dir(self.0.path());
        told(command)
    }

    /// A command while another file is mounted over one of the cache.
    pub(super) fn damaged(&self, file: &Path, contents: &[u8], arguments: &[&str]) -> Said {
        let other = tempfile::NamedTempFile::new().unwrap();
        fs::write(other.path(), contents).unwrap();
        let mode = file.metadata().unwrap().permissions();
        fs::set_permissions(other.path(), mode).unwrap();
        self.after("mount --bind \"$1\" \"$2\"", &[other.path(), file], arguments)
    }
}

/// Returns the exit status of a command, and its output.
pub(super) struct Said {
    pub(super) status: Option<i32>,
    pub(super) text: String,
}

pub(super) fn told(mut command: Command) -> Said {
    let output = match command.output() {
        Ok(output) if output.status.code() != Some(99) => output,
        _ => skip("no file system can be mounted here"),
    };
    let text = [output.stdout, output.stderr].concat();
    Said { status: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
}

impl Said {
    #[track_caller]
    pub(super) fn holds(&self) {
        assert_eq!(self.status, Some(0), "{}", self.text);
    }

    #[track_caller]
    pub(super) fn is_refused(&self, fact: &str, hint: &str) {
        assert_eq!(self.status, Some(69), "{}", self.text);
        assert!(self.text.contains(fact) && self.text.contains(hint), "{}", self.text);
    }

    /// Refused as damaged, and nobody else is blamed.
    #[track_caller]
    pub(super) fn is_damage(&self, file: &str) {
        self.is_refused("the cache is damaged: in ", "makes it again: rm -r ");
        self.is_refused(&format!(", {file}"), "");
        for blame in ["FAULT", "does not hold", "PREDICTION"] {
            assert!(!self.text.contains(blame), "{}", self.text);
        }
    }
}

/// Without namespaces: in one of users, another user's files are nobody's.
pub(super) fn command(cache: &OwnCache, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).env("XDG_CACHE_HOME", cache.0.path()).current_dir("/");
    told(command)
}

pub(super) fn as_root() {
    if !rustix::process::geteuid().is_root() {
        skip("only root can give files to another user");
    }
}
