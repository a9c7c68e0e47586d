//! Debian's source of a kernel, unpacked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    host::{
        cache::{self, Cache, Partial},
        file_system::make_folder,
        open,
        progress::Step,
        root::Root,
    },
    kernel::{archive::Archive, candidate::Candidate},
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// Bytes that the unpacked source and its archive need.
const SPACE: u64 = 3 << 30;

/// Files that `make prepare` of an x86 kernel does not read: four fifths of the source's bytes. The
/// files of Kconfig stay, those of other architectures as well: each reads the others.
const NOT_PREPARED: [&str; 11] = [
    "Documentation/*.rst",
    "Documentation/*.yaml",
    "arch/*.dts*",
    "arch/[a-wyz]*.[chS]",
    "drivers/*.c",
    "drivers/gpu/drm/amd/include",
    "fs/*.c",
    "net/*.c",
    "sound/*.c",
    "tools/perf",
    "tools/testing",
];

/// The folders that an editor reads: the crates, and how they are built.
const OF_AN_EDITOR: [&str; 2] = ["rust", "scripts"];

/// The source that a stock kernel was built from, or a part of it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The entry's name in the cache.
    pub entry: String,
    /// The folder in it that holds the source: `linux-source-7.3`.
    pub folder: String,
    /// That folder on the host.
    pub path: PathBuf,
}

impl Source {
    /// The whole source of what the archive offers, fetched and unpacked if it is absent.
    ///
    /// # Errors
    /// The archive has it no more, or there is no space.
    pub fn obtain(cache: &Cache, root: &Root, candidate: &Candidate) -> Result<Self> {
        let entry = Self::entry(candidate);
        cache.entry(&entry, Partial::Discard, |aside| fetch(cache, root, candidate, &[], aside))?;
        Ok(Self::in_entry(cache, candidate, entry))
    }

    /// As much of it as an editor reads. It stays as long as its kernel does.
    ///
    /// # Errors
    /// As [`Source::obtain`].
    pub fn of_an_editor(cache: &Cache, root: &Root, candidate: &Candidate) -> Result<Self> {
        let (whole, entry) = (Self::entry(candidate), Self::editors_entry(candidate));
        if cache.path(&whole).exists() {
            return Ok(Self::in_entry(cache, candidate, whole));
        }
        cache.entry(&entry, Partial::Discard, |aside| {
            let only = OF_AN_EDITOR.map(|part| format!("{}/{part}", candidate.source_package()));
            fetch(cache, root, candidate, &only, aside)
        })?;
        Ok(Self::in_entry(cache, candidate, entry))
    }

    /// As much of it as `make prepare` reads: the whole where it is in the cache, or else a part in
    /// the folder `aside`, which its user removes.
    ///
    /// # Errors
    /// As [`Source::obtain`].
    pub(super) fn to_prepare(
        cache: &Cache,
        root: &Root,
        candidate: &Candidate,
        aside: &Path,
    ) -> Result<Self> {
        let whole = Self::entry(candidate);
        if cache.path(&whole).exists() {
            return Ok(Self::in_entry(cache, candidate, whole));
        }
        let folder = candidate.source_package();
        let path = aside.join(&folder);
        if !path.exists() {
            // Complete or absent, as the build goes on after an interruption.
            let partial = aside.with_extension("partial");
            cache::remove_dir(&partial)?;
            make_folder(&partial)?;
            make_folder(aside)?;
            let without = NOT_PREPARED.map(|part| format!("--exclude={folder}/{part}"));
            fetch(cache, root, candidate, &without, &partial)?;
            fs::rename(partial.join(&folder), &path)
                .or_host(|| format!("{} cannot be completed", path.shown()))?;
        }
        Ok(Self { entry: whole, folder, path })
    }

    fn in_entry(cache: &Cache, candidate: &Candidate, entry: String) -> Self {
        let folder = candidate.source_package();
        Self { path: cache.path(&entry).join(&folder), entry, folder }
    }

    /// Where it is seen in the private root.
    pub fn inside(&self) -> PathBuf {
        Path::new("/usr/src").join(&self.folder)
    }

    fn entry(candidate: &Candidate) -> String {
        format!("sources/{}_{}", candidate.source_package(), candidate.version)
    }

    /// The name in the cache of what an editor reads of the source of this candidate.
    pub(super) fn editors_entry(candidate: &Candidate) -> String {
        format!("{}_rust", Self::entry(candidate))
    }
}

/// `true` if every build for this kernel needs this source, both named by their entries: the script
/// that enters the kernel then shows the source.
pub(super) fn needs(cache: &Cache, kernel: &str, source: &str) -> bool {
    let script = open::read_text(cache.path(kernel).join("enter"));
    script.is_ok_and(|script| script.contains(&format!("/{source}/")))
}

/// Fetches it and unpacks it in `aside`; `parts` are the arguments of tar that choose a part.
fn fetch(
    cache: &Cache,
    root: &Root,
    candidate: &Candidate,
    parts: &[String],
    aside: &Path,
) -> Result<()> {
    cache::need_space(aside, SPACE)?;
    let package = candidate.source_package();
    let what = format!("{package} {}", candidate.version);
    let step = Step::begin(what, "170 MB, then about 10 s", cache.log(&package)?);
    let wanted = [format!("{package}={}", candidate.version)];
    Archive::open(cache, root, root.suite.kernels)?.unpack(&step, &wanted, aside)?;
    let tar = aside.join("usr/src").join(format!("{package}.tar.xz"));
    let run = root.sandbox().bind(aside).chdir(aside).run("tar");
    // The threads of xz help where the archive was written in blocks; elsewhere they cost nothing.
    let run = run.args(["--no-same-owner", "-I", "xz -T0", "-xf"]).arg(&tar).args(parts);
    run.deadline(std::time::Duration::from_secs(600)).logged(&step)?;
    cache::remove_dir(&aside.join("usr"))?;
    step.done();
    Ok(())
}
