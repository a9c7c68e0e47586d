//! The agent's program, made by the private root's own compiler: the host needs no static libc.

use std::{fs, path::PathBuf, time::Duration};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        root::Root,
    },
    problem::{OrProblem, Result},
};

/// The agent's sources, with their places relative to each other.
const SOURCES: [(&str, &str); 5] = [
    ("agent/main.rs", include_str!("agent/main.rs")),
    ("agent/command.rs", include_str!("agent/command.rs")),
    ("agent/files.rs", include_str!("agent/files.rs")),
    ("agent/system.rs", include_str!("agent/system.rs")),
    ("protocol.rs", include_str!("protocol.rs")),
];
/// One static file that is small and does not unwind: when it fails, the kernel notices.
const FLAGS: &[&str] = &[
    "--edition=2024",
    "--crate-name=guest_agent",
    "-Ctarget-feature=+crt-static",
    "-Copt-level=s",
    "-Cpanic=abort",
    "-Cstrip=symbols",
];

/// What stands for the agent in names of the cache.
pub(super) fn key(root: &Root) -> String {
    let sources = SOURCES.iter().flat_map(|(path, text)| [*path, *text]);
    let root = Root::name(root.suite);
    cache::key(sources.chain(FLAGS.iter().copied()).chain([root.as_str()]))
}

/// The path of the agent's program, compiled first if it is absent.
///
/// # Errors
/// The compiler fails.
pub(super) fn obtain(cache: &Cache, root: &Root) -> Result<PathBuf> {
    let name = format!("guest/agent-{}", key(root));
    let entry = cache.entry(&name, Partial::Discard, |aside| {
        for (path, text) in SOURCES {
            let path = aside.join(path);
            let folder = path.parent().unwrap_or(aside);
            fs::create_dir_all(folder).or_host(|| format!("{}", folder.display()))?;
            fs::write(&path, text).or_host(|| format!("{}", path.display()))?;
        }
        let sandbox = root.sandbox().writable(aside, "/agent").chdir("/agent");
        let rustc = sandbox.run("rustc").args(FLAGS).args(["-o", "init", "agent/main.rs"]);
        rustc.deadline(Duration::from_secs(120)).stdout().map(drop)
    })?;
    Ok(entry.join("init"))
}
