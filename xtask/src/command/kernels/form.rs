//! The form in which kernels and their place on the disk are shown.

use std::path::Path;

use serde::Serialize;

use crate::kernel::{
    KernelName,
    disk::{Item, MEBIBYTE, size, sums},
    listing::{Known, Listing},
};
use crate::printer::Shown as _;

/// The documented form `kernels/1`.
#[derive(Debug, Serialize)]
pub struct KernelsForm<'a> {
    format: &'static str,
    kernels: Vec<KernelForm<'a>>,
    disk: &'a [Item],
    unknown: Vec<UnknownForm<'a>>,
}

#[derive(Debug, Serialize)]
struct KernelForm<'a> {
    #[serde(flatten)]
    known: &'a Known,
    bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct UnknownForm<'a> {
    suite: &'a str,
    reason: &'a str,
}

/// One job of a matrix.
#[derive(Debug, Serialize)]
struct Job {
    kernel: String,
    rust: bool,
}

/// The form for `--json`.
pub fn json<'a>(listing: &'a Listing, disk: &'a [Item]) -> KernelsForm<'a> {
    let kernel = |known: &'a Known| KernelForm { known, bytes: bytes_of(known, disk) };
    let unknown = listing.unknown.iter();
    KernelsForm {
        format: "kernels/1",
        kernels: listing.kernels.iter().map(kernel).collect(),
        disk,
        unknown: unknown.map(|(suite, why)| UnknownForm { suite, reason: &why.fact }).collect(),
    }
}

/// `strategy.matrix` of a GitHub workflow, on one line: a job for each kernel of Debian's that the
/// archive offers, named by its release, so that each job proves what the list names.
pub fn github_matrix(kernels: &[Known]) -> String {
    let jobs = kernels.iter().filter(|known| known.offered == Some(true)).filter_map(|known| {
        let KernelName::Listed(recipe, _) = &known.name else { return None };
        let kernel = format!("{}:{}", recipe.name, known.release);
        recipe.has_releases().then_some(Job { kernel, rust: known.rust })
    });
    serde_json::json!({ "include": Vec::from_iter(jobs) }).to_string()
}

/// The table for a reader.
pub fn text(listing: &Listing, items: &[Item], cache: &Path) -> String {
    let head = ["kernel", "release", "suite", "Rust", "on disk"].map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(listing.kernels.iter().map(|known| {
        let gone = known.offered == Some(false);
        let suite = if gone { "offered no more" } else { known.suite };
        let rust = if known.rust { "yes" } else { "no" };
        let on_disk = bytes_of(known, items).map_or("-".into(), size);
        [known.name.to_string(), known.release.clone(), suite.into(), rust.into(), on_disk]
    }));
    let widths: Vec<usize> =
        (0..5).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for [name, release, suite, rust, on_disk] in &rows {
        let [a, b, c, d, e] = [widths[0], widths[1], widths[2], widths[3], widths[4]];
        text.push_str(&format!("{name:a$}  {release:b$}  {suite:c$}  {rust:d$}  {on_disk:>e$}\n"));
    }
    for (suite, problem) in &listing.unknown {
        text.push_str(&format!("unknown: what {suite} offers: {}\n", problem.fact));
    }
    text.push_str(&format!("\nbeside the kernels, in {}:\n", cache.shown()));
    let mut others: Vec<(&str, u64)> = Vec::new();
    // The table has the kernels.
    let other = |item: &Item| !item.spare && !is_kernel(item);
    for item in items.iter().filter(|item| other(item)) {
        // The many small ones of one folder in one line.
        let name = match item.entry.split_once('/') {
            Some((many @ ("guest" | "stacks"), _)) => many,
            _ => &item.entry,
        };
        match others.iter_mut().find(|(other, _)| *other == name) {
            Some((_, bytes)) => *bytes += item.bytes,
            None => others.push((name, item.bytes)),
        }
    }
    for (name, bytes) in others.iter().filter(|(_, bytes)| *bytes >= MEBIBYTE) {
        text.push_str(&format!("{:>9}  {name}\n", size(*bytes)));
    }
    let [all, spare] = sums(items);
    text.push_str(&format!("{:>9}  all in all\n", size(all)));
    if spare > 0 {
        text.push_str(&format!(
            "{:>9}  of it are needed by nothing: cargo xtask kernels prune\n",
            size(spare)
        ));
    }
    text
}

/// A part of the cache, with its size.
pub fn item(item: &Item) -> String {
    format!("{}: {}", item.entry, size(item.bytes))
}

fn is_kernel(item: &Item) -> bool {
    item.entry.starts_with("kernels/") && !item.entry.starts_with("kernels/modules-")
}

fn bytes_of(known: &Known, items: &[Item]) -> Option<u64> {
    items.iter().find(|item| item.entry == known.entry).map(|item| item.bytes)
}
