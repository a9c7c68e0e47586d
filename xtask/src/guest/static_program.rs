//! Programs for the guest, each one static file, made by the private root's own compiler: the host
//! needs no static libc.

use std::{path::PathBuf, time::Duration};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        file_system::{make_folder, write_file},
        root::Root,
    },
    problem::Result,
};

/// A program of some sources, the standard library, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct StaticProgram {
    /// Its name in the cache.
    pub name: &'static str,
    /// The source that has its `main()`.
    pub main: &'static str,
    /// All sources: their places relative to each other, and their texts.
    pub sources: &'static [(&'static str, &'static str)],
}

/// The agent.
pub(super) const AGENT: StaticProgram = StaticProgram {
    name: "agent",
    main: "agent/main.rs",
    sources: &[
        ("agent/main.rs", include_str!("agent/main.rs")),
        ("agent/command.rs", include_str!("agent/command.rs")),
        ("agent/files.rs", include_str!("agent/files.rs")),
        ("agent/guard.rs", include_str!("agent/guard.rs")),
        ("agent/shell.rc", include_str!("agent/shell.rc")),
        ("agent/system.rs", include_str!("agent/system.rs")),
        ("message.rs", include_str!("message.rs")),
        ("protocol.rs", include_str!("protocol.rs")),
    ],
};

impl StaticProgram {
    /// It is small and does not unwind: when the agent fails, the kernel notices.
    fn flags(&self) -> [String; 6] {
        let crate_name = format!("--crate-name=guest_{}", self.name);
        let edition = "--edition=2024".to_owned();
        let [linked, size, panic, strip] =
            ["target-feature=+crt-static", "opt-level=s", "panic=abort", "strip=symbols"]
                .map(|option| format!("-C{option}"));
        [edition, crate_name, linked, size, panic, strip]
    }

    /// Returns the text that stands for it in names of the cache.
    pub(super) fn key(&self, root: &Root) -> String {
        let (flags, root) = (self.flags(), Root::name(root.suite));
        let sources = self.sources.iter().flat_map(|(path, text)| [*path, *text]);
        cache::key(sources.chain(flags.iter().map(String::as_str)).chain([root.as_str()]))
    }

    /// The path of the program, compiled first if it is absent.
    ///
    /// # Errors
    /// The compiler fails.
    pub fn obtain(&self, cache: &Cache, root: &Root) -> Result<PathBuf> {
        let name = format!("guest/{}-{}", self.name, self.key(root));
        let entry = cache.entry(&name, Partial::Discard, |aside| {
            for (path, text) in self.sources {
                let path = aside.join(path);
                let folder = path.parent().unwrap_or(aside);
                make_folder(folder)?;
                write_file(&path, text)?;
            }
            let sandbox = root.sandbox().writable(aside, "/program").chdir("/program");
            let rustc = sandbox.run("rustc").args(self.flags()).args(["-o", "init", self.main]);
            rustc.deadline(Duration::from_secs(120)).stdout().map(drop)
        })?;
        Ok(entry.join("init"))
    }
}
