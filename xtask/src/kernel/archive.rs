//! Debian's archive, asked through the private root's own apt, which checks its signatures.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    host::{
        cache::{self, Cache, write_other, write_script},
        file_system::{age, make_folder, names, read_text},
        open,
        progress::{Step, say},
        root::Root,
        run::Run,
        sandbox::{NETWORK, Sandbox},
    },
    kernel::{
        KernelName,
        apt_output::{HEADERS, PackageVersion, depends, header_packages, madison},
        candidate::Candidate,
        recipe::Recipe,
    },
    problem::{Problem, Result},
};

/// The time for which an answer of the archive is good when nobody asks for a newer one.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes that the lists of a suite and apt's index of them take.
const SPACE: u64 = 100 << 20;

/// The closeness with which the archive is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// It is asked now.
    Now,
    /// It is asked once a day.
    Daily,
}

/// A suite of the archive, as a private root sees it.
#[derive(Debug)]
pub struct Archive<'a> {
    cache: &'a Cache,
    root: &'a Root,
    folder: PathBuf,
}

impl<'a> Archive<'a> {
    /// Opens it without asking it anything.
    ///
    /// # Errors
    /// The folder of its lists cannot be made.
    pub fn open(cache: &'a Cache, root: &'a Root, suite: &str) -> Result<Self> {
        let own = [root.suite.name, root.suite.kernels].contains(&suite);
        let name =
            if own { root.suite.name.into() } else { format!("{suite}-by-{}", root.suite.name) };
        let folder = cache.path("apt").join(name);
        for within in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(within);
            make_folder(&path)?;
        }
        let mut conf = APT_CONF.to_owned();
        if !own {
            let text = read_text(&root.path("etc/apt/sources.list"))?;
            let text = sources_of(&text, root.suite.name, suite);
            write_other(&folder.join("cache/sources.list"), &text)?;
            conf.push_str(OTHER_SOURCES);
        }
        write_other(&folder.join("cache/symstack.conf"), &conf)?;
        write_script(&folder.join("enter"), &enter(root))?;
        Ok(Self { cache, root, folder })
    }

    /// `true` if its lists were fetched within a day.
    fn is_fresh(&self) -> bool {
        age(&self.folder.join(ASKED)).is_some_and(|age| age < FRESH)
    }

    /// The kernels for which a suite has headers.
    ///
    /// # Errors
    /// It cannot be reached and never was.
    pub fn offers(&self, suite: &str, refresh: Refresh) -> Result<Vec<Candidate>> {
        if refresh == Refresh::Now || !self.is_fresh() {
            match self.update(&format!("for the kernels of {suite}")) {
                Err(_) if self.folder.join(ASKED).exists() => {
                    say(&format!("the archive cannot be asked; {suite} is as it was last"));
                }
                asked => asked?,
            }
        }
        self.candidates(suite)
    }

    /// The kernel that a name stands for, from the archive or from what it said lately. One that
    /// `is_prepared` may have left the archive.
    ///
    /// # Errors
    /// The archive offers no such kernel, or it cannot be reached and never was.
    pub fn resolve(
        &self,
        name: &KernelName,
        refresh: Refresh,
        is_prepared: bool,
    ) -> Result<Candidate> {
        let known = cached(self.cache, name);
        let file = cache_file(self.cache, name);
        if let (Some(candidate), Some(age), Refresh::Daily) = (&known, age(&file), refresh) {
            if age < FRESH {
                return Ok(candidate.clone());
            }
        }
        let listed = self.update(&format!("for {name}")).and_then(|()| self.listed(name));
        let asked = listed.and_then(|offered| match (offered, &known) {
            (Some(candidate), _) => Ok(candidate),
            // Old kernels leave the archive. One that is prepared needs nothing more of it.
            (None, Some(known)) if is_prepared => {
                say(&format!("the archive offers {name} no more; it is used as it was prepared"));
                Ok(known.clone())
            }
            (None, _) => Err(self.not_offered(name, name.listed()?.0)),
        });
        let candidate = match (asked, known.clone()) {
            (Err(problem), Some(known)) if problem.kind == crate::problem::Kind::Host => {
                say(&format!("the archive cannot be asked; staying with {}", known.release));
                return Ok(known);
            }
            (asked, _) => asked?,
        };
        if let Some(known) = known.filter(|known| *known != candidate) {
            let (from, to) = (known.release, &candidate.release);
            say(&format!(
                "the archive has moved on: {name} was {from} ({}), is {to} ({})",
                known.version, candidate.version
            ));
        }
        self.cache.folder("kernels")?;
        let line = format!("{} {}\n", candidate.release, candidate.version);
        cache::write_atomic(&file, line)?;
        Ok(candidate)
    }

    /// The kernel that a name stands for, by the lists that were fetched last.
    ///
    /// # Errors
    /// apt cannot read its lists, or they name no release.
    pub fn listed(&self, name: &KernelName) -> Result<Option<Candidate>> {
        let (recipe, release) = name.listed()?;
        let package = format!("{HEADERS}{}", release.unwrap_or("amd64"));
        let versions = self.madison(&[&package])?;
        let Some(version) = madison(&versions, recipe.suite).next() else { return Ok(None) };
        let version = version.version.to_owned();
        let release = match release {
            Some(release) => Some(release.to_owned()),
            // This package is empty, and depends on the newest release's.
            None => self
                .depends(&package, &version)?
                .iter()
                .find_map(|name| name.strip_prefix(HEADERS).map(Into::into)),
        };
        let release = release.ok_or_else(|| {
            Problem::host(format!("{package} {version} depends on no {HEADERS}RELEASE"))
        })?;
        Ok(Some(Candidate { release, version }))
    }

    /// Fetches the archive's lists.
    ///
    /// # Errors
    /// The archive cannot be reached.
    pub fn update(&self, what_for: &str) -> Result<()> {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        cache::need_space(&self.folder, SPACE)?;
        let _lock = self.cache.lock(&format!("apt/{name}"))?;
        let log = self.cache.log(&format!("archive-{name}"))?;
        let step = Step::begin(format!("asking Debian's archive {what_for}"), "a few seconds", log);
        self.apt("apt-get").arg("update").logged(&step)?;
        cache::write_atomic(&self.folder.join(ASKED), b"")?;
        step.done();
        Ok(())
    }

    fn not_offered(&self, name: &KernelName, recipe: &Recipe) -> Problem {
        let problem = Problem::usage(format!("{} offers no kernel {name}", recipe.suite));
        match self.candidates(recipe.suite) {
            Ok(candidates) if !candidates.is_empty() => {
                let names =
                    candidates.iter().map(|offered| format!("{}:{}", recipe.name, offered.release));
                problem.hint(format!("it offers {}", Vec::from_iter(names).join(", ")))
            }
            _ => problem.hint("choose another kernel, or another suite"),
        }
    }

    /// The kernels for which a suite has headers, as the lists have it that were fetched last.
    fn candidates(&self, suite: &str) -> Result<Vec<Candidate>> {
        let names = self.apt("apt-cache").args(["pkgnames", HEADERS]).quiet().stdout()?;
        let packages = header_packages(&names);
        let versions = self.madison(&packages)?;
        let mut candidates: Vec<Candidate> = Vec::new();
        for PackageVersion { package, version } in madison(&versions, suite) {
            let release = package.strip_prefix(HEADERS).unwrap_or(package);
            if candidates.iter().all(|newer| newer.release != release) {
                candidates.push(Candidate { release: release.into(), version: version.into() });
            }
        }
        Ok(candidates)
    }

    fn madison(&self, packages: &[&str]) -> Result<String> {
        self.apt("apt-cache").arg("madison").args(packages).quiet().stdout()
    }

    /// The names of the packages that one version of a package depends on.
    fn depends(&self, package: &str, version: &str) -> Result<Vec<String>> {
        let show = self.apt("apt-cache").args(["show", &format!("{package}={version}")]).quiet();
        Ok(depends(&show.stdout()?))
    }

    /// The packages that make a kernel's build folder and its image, which is in `image`-RELEASE.
    ///
    /// # Errors
    /// The archive does not know the release.
    pub fn kernel_packages(&self, candidate: &Candidate, image: &str) -> Result<Vec<String>> {
        let Candidate { release, version } = candidate;
        let headers = format!("{HEADERS}{release}");
        let mut packages = self.depends(&headers, version)?;
        packages.retain(|name| {
            let parts = [HEADERS, "linux-kbuild-", "linux-base-"];
            parts.iter().any(|part| name.starts_with(part))
        });
        packages.extend([headers, format!("{image}-{release}")]);
        packages.sort();
        packages.dedup();
        Ok(packages)
    }

    /// Brings packages of one version into `folder`, and unpacks them in `into`.
    ///
    /// # Errors
    /// The archive has them no more, or cannot be reached.
    pub fn unpack(&self, step: &Step, packages: &[String], into: &Path) -> Result<()> {
        let debs = into.join("debs");
        cache::remove_dir(&debs)?;
        make_folder(&debs)?;
        let get = self.apt_in(&debs, "apt-get").arg("download").args(packages);
        get.deadline(Duration::from_secs(1800))
            .hint("ask the archive what it has now: cargo xtask setup")
            .logged(step)?;
        for name in names(&debs)? {
            let dpkg = self.root.sandbox().bind(into).run("dpkg-deb").arg("-x");
            let dpkg = dpkg.arg(debs.join(name)).arg(into).quiet();
            dpkg.deadline(Duration::from_secs(300)).logged(step)?;
        }
        cache::remove_dir(&debs)
    }

    fn apt(&self, command: &str) -> Run {
        self.apt_in(&self.folder, command)
    }

    fn apt_in(&self, folder: &Path, command: &str) -> Run {
        let sandbox = Sandbox::new(self.folder.join("enter"));
        let run = sandbox.bind(folder).chdir(folder).run(command);
        run.deadline(Duration::from_secs(300))
    }
}

/// The script through which apt is run: with lists of its own, so that the root stays as it was
/// made, and with a network.
fn enter(root: &Root) -> String {
    format!(
        "#!/bin/sh\n\
         # Runs apt of the private root, with a network:\n\
         #   enter [OPTION OF BWRAP]... -- apt-get [ARGUMENT]...\n\
         here=$(dirname \"$(readlink -f \"$0\")\")\n\
         exec \"$here/../../{}/enter\" {NETWORK} \\\n    \
         --bind \"$here/lists\" /var/lib/apt/lists --bind \"$here/cache\" /var/cache/apt \\\n    \
         --setenv APT_CONFIG /var/cache/apt/symstack.conf \"$@\"\n",
        Root::name(root.suite)
    )
}

/// There is one user in the sandbox, so apt's own does not exist there; and a list that could not
/// be fetched is an error, not a warning.
const APT_CONF: &str = "APT::Sandbox::User \"root\";\n\
    APT::Update::Error-Mode \"any\";\n\
    Acquire::Languages \"none\";\n\
    Acquire::Retries \"3\";\n";

/// apt's options for another suite than the root's own.
const OTHER_SOURCES: &str = "Dir::Etc::SourceList \"/var/cache/apt/sources.list\";\n\
    Dir::Etc::SourceParts \"/dev/null\";\n";

/// The suffix of the file in which a kernel's name has its candidate.
const OFFER: &str = ".offer";
/// The file that is as old as the lists are.
const ASKED: &str = "asked";

/// The sources of apt for another suite, from the same mirror as a root's own.
fn sources_of(own: &str, root_suite: &str, suite: &str) -> String {
    let words = |line: &str| {
        let word = |word| if word == root_suite { suite } else { word };
        Vec::from_iter(line.split(' ').map(word)).join(" ") + "\n"
    };
    let main =
        |line: &&str| line.starts_with("deb ") && line.split(' ').any(|word| word == root_suite);
    own.lines().filter(main).map(words).collect()
}

/// The names of kernels for which the archive was asked.
pub(super) fn asked_names(cache: &Cache) -> Vec<String> {
    let files = names(&cache.path("kernels")).unwrap_or_default();
    files.iter().filter_map(|file| Some(file.strip_suffix(OFFER)?.to_owned())).collect()
}

/// Returns the kernel that a name stood for when the archive was last asked.
pub fn cached(cache: &Cache, name: &KernelName) -> Option<Candidate> {
    let (recipe, release) = name.listed().ok()?;
    let text = open::read_text(cache_file(cache, &recipe.followed(release))).ok()?;
    let (release, version) = text.trim().split_once(' ')?;
    Some(Candidate { release: release.into(), version: version.into() })
}

fn cache_file(cache: &Cache, name: &KernelName) -> PathBuf {
    cache.path("kernels").join(format!("{name}{OFFER}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;
    use crate::host::root::TRIXIE;

    /// An archive that answers, and offers nothing: apt is a script.
    #[test]
    fn a_prepared_kernel_outlives_its_offer() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        for part in crate::host::root::PARTS {
            let part = cache.path(Root::name(TRIXIE)).join("root").join(part);
            fs::create_dir_all(part.parent().unwrap()).unwrap();
            fs::write(part, "").unwrap();
        }
        let root = Root::present(&cache, TRIXIE).unwrap();
        let archive = Archive { cache: &cache, root: &root, folder: cache.path("apt/trixie") };
        fs::create_dir_all(&archive.folder).unwrap();
        write_script(&archive.folder.join("enter"), "#!/bin/sh\nexit 0\n").unwrap();

        let name: KernelName = "stock:7.2.1+deb13-amd64".parse().unwrap();
        let known = Candidate { release: "7.2.1+deb13-amd64".into(), version: "7.2.1-1".into() };
        fs::create_dir_all(cache.path("kernels")).unwrap();
        fs::write(cache_file(&cache, &name), "7.2.1+deb13-amd64 7.2.1-1\n").unwrap();
        let gone = archive.resolve(&name, Refresh::Now, false).unwrap_err();
        assert!(gone.fact.contains("offers no kernel"), "{gone}");
        let offer = fs::File::options().write(true).open(cache_file(&cache, &name)).unwrap();
        offer.set_modified(SystemTime::now() - 2 * FRESH).unwrap();
        assert_eq!(archive.resolve(&name, Refresh::Daily, true).unwrap(), known);
        // It is asked again tomorrow, not at each command.
        let asked = cache_file(&cache, &name).metadata().unwrap().modified().unwrap();
        assert!(asked.elapsed().unwrap() < FRESH);
    }

    #[test]
    fn another_suite_is_asked_of_the_same_mirror() {
        let own = "deb [trusted=yes] http://a.example/trixie/ trixie main\n\
            deb http://a.example/trixie/ trixie-backports main\n# deb http://b trixie main\n";
        let other = "deb [trusted=yes] http://a.example/trixie/ sid main\n";
        assert_eq!(sources_of(own, "trixie", "sid"), other);
    }

    #[test]
    fn an_offer_knows_its_parts() {
        let candidate =
            Candidate { release: "7.3.4+deb13-amd64".into(), version: "7.3.4-1".into() };
        assert_eq!(candidate.upstream(), "7.3.4");
        assert_eq!(candidate.local(), "+deb13-amd64");
        assert_eq!(candidate.source_package(), "linux-source-7.3");
    }
}
