//! The kernels that can be had, and those that are prepared.

use std::cmp::Reverse;

use serde::Serialize;

use crate::{
    host::{
        cache::Cache,
        file_system::names,
        root::{Root, TRIXIE},
    },
    kernel::{
        KernelName,
        archive::{self, Archive, Refresh},
        candidate::Candidate,
        recipe::{Recipe, Ships},
        source::{self, Source},
        stock,
        table::KERNELS,
    },
    problem::{Problem, Result},
};

/// A kernel that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Its shortest name.
    pub name: KernelName,
    /// As it names itself, for example `7.3.4+deb13-amd64`.
    pub release: String,
    /// The version of the packages that it is made of.
    pub version: String,
    /// The suite that they are of.
    pub suite: &'static str,
    /// `true` if Rust modules can be built for it.
    pub rust: bool,
    /// `true` if the archive offers them now; none where it was not asked.
    pub offered: Option<bool>,
    /// Where it is in the cache, or would be.
    #[serde(skip)]
    pub entry: String,
    /// `true` if it is there.
    pub prepared: bool,
}

/// The knowledge of the archive.
#[derive(Debug, Default)]
pub struct Listing {
    /// The kernels, in the order of the table, of each suite the newest first.
    pub kernels: Vec<Known>,
    /// The suites that could not be asked, and why.
    pub unknown: Vec<(&'static str, Problem)>,
}

impl Known {
    fn new(
        cache: &Cache,
        name: KernelName,
        candidate: &Candidate,
        offered: Option<bool>,
    ) -> Option<Self> {
        let KernelName::Listed(recipe, _) = &name else { return None };
        let entry = recipe.entry(candidate);
        Some(Self {
            release: (recipe.release)(candidate),
            version: candidate.version.clone(),
            suite: recipe.suite,
            rust: recipe.rust,
            offered,
            prepared: cache.path(&entry).exists(),
            entry,
            name,
        })
    }
}

impl Listing {
    /// Returns the kernels that the archive offers, and those in the cache.
    ///
    /// # Errors
    /// There is no private root and none can be made.
    pub fn of_the_archive(cache: &Cache, refresh: Refresh) -> Result<Self> {
        let root = Root::obtain(cache, TRIXIE)?;
        let mut listing = Self::default();
        for recipe in KERNELS {
            match offers(cache, &root, recipe, refresh) {
                Ok(kernels) => listing.kernels.extend(kernels),
                Err(problem) => listing.unknown.push((recipe.suite, problem)),
            }
        }
        listing.add_prepared(cache);
        let unknown: Vec<&str> = listing.unknown.iter().map(|(suite, _)| *suite).collect();
        for kernel in listing.kernels.iter_mut().filter(|known| !unknown.contains(&known.suite)) {
            kernel.offered.get_or_insert(false);
        }
        Ok(listing)
    }

    /// Returns the kernels in the cache. The archive is not asked.
    pub fn of_the_cache(cache: &Cache) -> Self {
        let mut listing = Self::default();
        listing.add_prepared(cache);
        listing
    }

    fn add_prepared(&mut self, cache: &Cache) {
        for kernel in prepared(cache) {
            if self.kernels.iter().all(|known| known.entry != kernel.entry) {
                self.kernels.push(kernel);
            }
        }
    }
}

/// The kernels of one row of the table that the archive offers, the newest first.
fn offers(
    cache: &Cache,
    root: &Root,
    recipe: &'static Recipe,
    refresh: Refresh,
) -> Result<Vec<Known>> {
    // The suite's own root, where there is one, so that its kernels are those that it resolves.
    let own = Root::present(cache, recipe.root);
    let archive = Archive::open(cache, own.as_ref().unwrap_or(root), recipe.suite)?;
    let mut candidates = archive.offers(recipe.suite, refresh)?;
    let newest = archive.listed(&recipe.followed(None))?;
    let numbers = |candidate: &Candidate| -> Vec<u32> {
        let words = candidate.release.split(|c: char| !c.is_ascii_digit());
        words.filter_map(|word| word.parse().ok()).collect()
    };
    candidates
        .sort_by_key(|candidate| (Some(candidate) != newest.as_ref(), Reverse(numbers(candidate))));
    let known = |candidate: &Candidate| {
        let newest = Some(candidate) == newest.as_ref();
        let release = (!newest).then(|| candidate.release.clone());
        let has_name = newest || recipe.has_releases();
        let name = has_name.then_some(KernelName::Listed(recipe, release))?;
        Known::new(cache, name, candidate, Some(true))
    };
    Ok(candidates.iter().filter_map(known).collect())
}

/// The kernel that a name stands for, if it is prepared.
pub fn of_name(cache: &Cache, name: &KernelName) -> Option<Known> {
    let candidate = archive::cached(cache, name)?;
    Known::new(cache, name.clone(), &candidate, None).filter(|known| known.prepared)
}

/// The kernels that a name leads to and that are there, each with its shortest name.
pub fn prepared(cache: &Cache) -> Vec<Known> {
    let mut names: Vec<KernelName> =
        KERNELS.into_iter().map(|recipe| KernelName::Listed(recipe, None)).collect();
    names.extend(archive::asked_names(cache).iter().filter_map(|name| name.parse().ok()));
    let mut found: Vec<Known> = Vec::new();
    for known in names.iter().filter_map(|name| of_name(cache, name)) {
        if found.iter().all(|other| other.entry != known.entry) {
            found.push(known);
        }
    }
    found
}

/// The entries of the cache that the prepared kernels need: themselves, their modules, their roots,
/// their sources.
pub fn needed(cache: &Cache) -> Vec<String> {
    let mut needed = vec![Root::name(TRIXIE)];
    for kernel in prepared(cache) {
        let KernelName::Listed(recipe, _) = &kernel.name else { continue };
        needed.push(Root::name(recipe.root));
        if let Some(candidate) = archive::cached(cache, &kernel.name) {
            needed.push(Source::editors_entry(&candidate));
            if recipe.ships == Ships::Apart {
                needed.push(stock::modules_entry(&candidate));
            }
        }
        for source in names(&cache.path("sources")).unwrap_or_default() {
            let source = format!("sources/{source}");
            if source::needs(cache, &kernel.entry, &source) {
                needed.push(source);
            }
        }
        needed.push(kernel.entry);
    }
    needed
}
