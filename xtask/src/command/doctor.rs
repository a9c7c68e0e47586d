//! `doctor`: what is here, what is missing, and the one command that mends it.

use std::process::ExitCode;

use crate::{
    guest::{leftovers, saved_state},
    host::{
        cache::Cache,
        packages,
        program::as_typed,
        root::{Root, TRIXIE},
        run::Run,
        sandbox, user_namespaces,
    },
    kernel::{
        Kernel, KernelName,
        disk::{size, sums},
    },
    printer::Shown as _,
    problem::{Problem, Result},
};

/// Tell what is here, what is missing, and the one command that mends it
///
/// Exit status 1 when something is missing.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// One thing that was looked for, and what was found.
type Finding = (String, Result<String>);

impl Args {
    /// Looks, and changes nothing.
    ///
    /// # Errors
    /// There is no folder for the cache.
    pub fn run(self) -> Result<ExitCode> {
        let findings = look(&Cache::open()?);
        let width = findings.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
        let mut missing = 0;
        for (what, found) in &findings {
            match found {
                Ok(detail) => outln!("ok       {what:width$}  {detail}"),
                Err(problem) => {
                    missing += 1;
                    outln!("missing  {what:width$}  {}", problem.fact);
                    let mend = problem.hint.iter();
                    mend.for_each(|mend| {
                        outln!("         {:width$}  mend it: {}", "", as_typed(mend))
                    });
                }
            }
        }
        Ok(ExitCode::from(u8::from(missing > 0)))
    }
}

fn look(cache: &Cache) -> Vec<Finding> {
    let finding = |what: &str, found| (what.to_owned(), found);
    let root = Root::present(cache, TRIXIE);
    // A command that only makes a root is not missing where it is made.
    let needed = if root.is_some() { packages::to_enter() } else { packages::to_make() };
    let mut findings: Vec<Finding> =
        needed.into_iter().map(|needed| finding(needed.command, host_command(needed))).collect();
    for (tool, component) in [("cargo fmt", "rustfmt"), ("cargo clippy", "clippy")] {
        findings.push(finding(tool, cargo_tool(tool, component)));
    }
    findings.push(finding("namespaces", sandbox::namespaces().map(Into::into)));
    if root.is_none() {
        findings.push(finding("bootstrap", user_namespaces::bootstrap().map(Into::into)));
    }
    let root = root.map(|root| root.path("/").shown().to_string());
    findings.push(finding("private root", root.ok_or_else(|| absent("the private root"))));
    for name in [KernelName::STOCK, KernelName::LAB] {
        let kernel = Kernel::present(cache, &name).map(|kernel| kernel.release);
        let what = format!("kernel {name}");
        let kernel = kernel.ok_or_else(|| absent(&what));
        findings.push((what, kernel));
    }
    for state in saved_state::list(cache) {
        let found = format!("{} MiB, {}", state.bytes >> 20, state.about);
        findings.push(finding("saved guest", Ok(found)));
    }
    findings.push(finding("cache", cache_size(cache)));
    findings
}

/// Returns the cache's use of the disk; `kernels` tells its parts.
fn cache_size(cache: &Cache) -> Result<String> {
    let items = leftovers::items(cache)?;
    let [all, spare] = sums(&items).map(size);
    let path = cache.path("");
    let prune = as_typed("cargo xtask kernels prune");
    Ok(format!("{all} in {}, of it {spare} for {prune}", path.shown()))
}

fn host_command(needed: packages::Needed) -> Result<String> {
    let path = packages::located(needed)?;
    Ok(format!("{} ({})", path.shown(), needed.purpose))
}

/// A part of cargo that the host tier of the tests runs.
fn cargo_tool(tool: &str, component: &str) -> Result<String> {
    let run = Run::new("cargo").args(tool.split(' ').skip(1)).arg("--version").quiet();
    let version = run.stdout().map_err(|_| {
        let fact = format!("{tool} does not run; the tests of the runner need it");
        Problem::host(fact).hint(format!("rustup component add {component}"))
    })?;
    Ok(version.trim().into())
}

fn absent(what: &str) -> Problem {
    Problem::host(format!("{what} is not prepared yet")).hint("cargo xtask setup")
}
