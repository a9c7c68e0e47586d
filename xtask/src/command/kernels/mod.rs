//! `kernels`: what the archive offers, what is prepared, what it costs; and to be rid of it.

pub mod form;

use std::process::ExitCode;

use clap::ValueEnum;

use crate::{
    guest::leftovers::items,
    host::{cache::Cache, program::as_typed},
    kernel::{
        KernelName,
        archive::Refresh,
        disk::{Item, size},
        listing::{self, Listing},
    },
    printer::{self, Shown as _},
    problem::{Problem, Result},
};

/// Tell which kernels the archive offers, which are prepared, and what each takes on the disk
///
/// Exit status 69 when a part of the archive could not be asked.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    task: Option<Task>,
    /// Only kernels that Rust modules can be built for
    #[arg(long)]
    rust: bool,
    /// Only what is prepared; the archive is not asked
    #[arg(long)]
    prepared: bool,
    /// Ask the archive now, and not once a day
    #[arg(long, conflicts_with = "prepared")]
    refresh: bool,
    /// Print the documented JSON form
    #[arg(long)]
    json: bool,
    /// Print another form
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["json", "prepared"])]
    format: Option<Format>,
}

/// Another form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line of JSON for `strategy.matrix` of a GitHub workflow: what the archive offers
    GithubMatrix,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    /// Remove kernels, and what nothing needs without them
    Remove {
        /// Their names
        #[arg(required = true, value_name = "K")]
        kernels: Vec<KernelName>,
    },
    /// Remove what nothing needs any more; what is needed again comes again by itself
    Prune {
        /// Tell what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

impl Args {
    /// Lists or removes.
    ///
    /// # Errors
    /// The archive cannot be asked, or something cannot be removed.
    pub fn run(self) -> Result<ExitCode> {
        let cache = Cache::open()?;
        match &self.task {
            Some(Task::Remove { kernels }) => return remove(&cache, kernels),
            Some(Task::Prune { dry_run }) => return prune(&cache, *dry_run),
            None => (),
        }
        let mut listing = if self.prepared {
            Listing::of_the_cache(&cache)
        } else {
            let refresh = if self.refresh { Refresh::Now } else { Refresh::Daily };
            Listing::of_the_archive(&cache, refresh)?
        };
        listing.kernels.retain(|kernel| kernel.rust || !self.rust);
        if self.format == Some(Format::GithubMatrix) {
            // A matrix without some of the kernels would look as if they were proven.
            if let Some((_, problem)) = listing.unknown.into_iter().next() {
                return Err(problem);
            }
            outln!("{}", form::github_matrix(&listing.kernels));
            return Ok(ExitCode::SUCCESS);
        }
        let items = items(&cache)?;
        if self.json {
            printer::json(&form::json(&listing, &items))?;
        } else {
            let text = form::text(&listing, &items, &cache.path(""));
            printer::text(&as_typed(&text));
        }
        match listing.unknown.into_iter().next() {
            Some((suite, problem)) => {
                Err(Problem::host(format!("{suite} is unknown: {}", problem.fact)))
            }
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

fn remove(cache: &Cache, names: &[KernelName]) -> Result<ExitCode> {
    let before = items(cache)?;
    let kept = |item: &Item| before.iter().any(|before| before == item);
    for name in names {
        if let KernelName::Folder(folder) = name {
            let fact = format!("{} is its owner's, not ours to remove", folder.shown());
            return Err(Problem::usage(fact));
        }
        let known = listing::of_name(cache, name).ok_or_else(|| {
            let prepared = listing::prepared(cache).into_iter().map(|known| known.name.to_string());
            let problem = Problem::usage(format!("{name} is not prepared"));
            match Vec::from_iter(prepared).as_slice() {
                [] => problem.hint("none is prepared: cargo xtask setup prepares one"),
                names => problem.hint(format!("prepared are {}", names.join(", "))),
            }
        })?;
        cache.remove_entry(&known.entry)?;
        let item = before.iter().find(|item| item.entry == known.entry);
        outln!("{name} is removed: {}", size(item.map_or(0, |item| item.bytes)));
    }
    // Other items may have become spare by that.
    let mut freed = items(cache)?;
    freed.retain(|item| item.spare && !kept(item));
    remove_items(cache, &freed)
}

fn prune(cache: &Cache, dry_run: bool) -> Result<ExitCode> {
    let mut spare = items(cache)?;
    spare.retain(|item| item.spare);
    if spare.is_empty() {
        cache.remove_idle_locks()?;
        outln!("there is nothing to remove");
        return Ok(ExitCode::SUCCESS);
    }
    if dry_run {
        spare.iter().for_each(|item| outln!("{}", form::item(item)));
        outln!("{} would be free", size(spare.iter().map(|item| item.bytes).sum()));
        return Ok(ExitCode::SUCCESS);
    }
    remove_items(cache, &spare)
}

fn remove_items(cache: &Cache, items: &[Item]) -> Result<ExitCode> {
    for item in items {
        cache.remove_entry(&item.entry)?;
        outln!("{} is removed", form::item(item));
    }
    cache.remove_idle_locks()?;
    if !items.is_empty() {
        outln!("{} are free", size(items.iter().map(|item| item.bytes).sum()));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{
        kernel::{
            candidate::Candidate,
            table::{LAB, STOCK},
        },
        problem::Kind,
    };

    #[test]
    fn a_kernel_goes_with_what_only_it_needed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let candidate =
            Candidate { release: "7.3.4+deb13-amd64".into(), version: "7.3.4-1".into() };
        let (stock, lab) = (STOCK.entry(&candidate), LAB.entry(&candidate));
        let source = "sources/linux-source-7.3_7.3.4-1".to_owned();
        let was_spare = "roots/gone-12345678".to_owned();
        for entry in [&stock, &lab, &source, &was_spare] {
            fs::create_dir_all(cache.path(entry)).unwrap();
        }
        fs::write(cache.path(&lab).join("enter"), format!("$here/../../{source}/x")).unwrap();
        fs::write(cache.path("kernels/stock.offer"), "7.3.4+deb13-amd64 7.3.4-1\n").unwrap();
        let there = |entry: &String| cache.path(entry).exists();

        let listing = Listing::of_the_cache(&cache);
        let text = form::text(&listing, &[], Path::new("/"));
        assert!(
            text.contains("trixie-backports") && !text.contains("no more"),
            "not asked: {text}"
        );

        remove(&cache, &[KernelName::STOCK]).unwrap();
        assert!(!there(&stock) && there(&lab) && there(&source));
        remove(&cache, &[KernelName::LAB]).unwrap();
        assert!(!there(&lab) && !there(&source) && there(&was_spare));
        for name in [KernelName::LAB, KernelName::Folder("/".into())] {
            assert_eq!(remove(&cache, &[name]).unwrap_err().kind, Kind::Usage);
        }
        prune(&cache, true).unwrap();
        assert!(there(&was_spare));
        prune(&cache, false).unwrap();
        assert!(!there(&was_spare));
    }
}
