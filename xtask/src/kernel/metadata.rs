//! The Rust metadata that Debian's header packages lack: proven to be the shipped kernel's, copied
//! into the headers, and tried.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use ko::kconfig::Kconfig;
use object::{Object, ObjectSymbol};
use stack::symvers::symvers_lines;

use crate::{
    host::{
        cache,
        file_system::{copy_file, has_extension, make_folder, names, read_file},
        progress::say,
        sandbox::Sandbox,
    },
    printer::Shown as _,
    problem::{Problem, Result},
};

/// The longest time that the build of one empty module may take: 4 s on 2 cores of 2026.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

/// The least that a Rust module is.
const EMPTY_MODULE: &str = "// SPDX-License-Identifier: GPL-2.0
//! Does nothing.
use kernel::prelude::*;
module! { type: Empty, name: \"empty\", license: \"GPL\", }
struct Empty;
impl kernel::Module for Empty {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
";

/// Checks that every Rust symbol that the shipped kernel exports came out with the same name in
/// `rust`, the folder of the rebuilt objects. The crate hash in each name covers the compiler's
/// full version.
///
/// # Errors
/// A name is lost, or the kernel exports no Rust symbol.
pub(super) fn same_symbols(headers: &Path, rust: &Path) -> Result<()> {
    let symvers = headers.join("Module.symvers");
    let exported = rust_symbols(&read_file(&symvers)?)
        .map_err(|error| Problem::host(format!("{}: {error}", symvers.shown())))?;
    let (all, built) = (exported.len(), defined_symbols(rust)?);
    if all == 0 {
        let fact = format!("{} exports no Rust symbol: nothing is proven", symvers.shown());
        return Err(Problem::host(fact).hint("choose a kernel whose configuration has RUST=y"));
    }
    let lost: Vec<&String> = exported.iter().filter(|symbol| !built.contains(*symbol)).collect();
    if let Some(first) = lost.first() {
        return Err(Problem::host(format!(
            "{} of the {all} Rust symbols in {} came out under other names, the first being \
             {first}: the toolchain is not the one that built the kernel",
            lost.len(),
            symvers.shown()
        )));
    }
    say(&format!("    all {all} Rust symbols of the kernel have the same names"));
    Ok(())
}

/// The symbols of a Module.symvers that rustc named: its mangled names begin with `_R`.
fn rust_symbols(symvers: &[u8]) -> Result<Vec<String>, stack::line_error::LineError> {
    let rust = |symbol: &str| symbol.starts_with("_R").then(|| symbol.to_owned());
    symvers_lines(symvers)
        .filter_map(|line| line.map(|line| rust(line.symbol)).transpose())
        .collect()
}

/// The symbols that the objects of a folder define.
fn defined_symbols(folder: &Path) -> Result<HashSet<String>> {
    let mut symbols = HashSet::new();
    for path in files(folder, "o")? {
        let bytes = read_file(&path)?;
        let file = object::File::parse(&*bytes)
            .map_err(|error| Problem::host(format!("{}: {error}", path.shown())))?;
        let defined = file.symbols().filter(|symbol| symbol.is_definition());
        symbols.extend(defined.filter_map(|symbol| symbol.name().ok().map(Into::into)));
    }
    Ok(symbols)
}

/// The files of a folder with this extension, in order.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let paths = names(folder)?.into_iter().map(|name| folder.join(name));
    Ok(paths.filter(|path| has_extension(path, extension)).collect())
}

/// Puts into Debian's headers the files that they lack, which a kernel's `make prepare` left in
/// `build`: the crates' metadata, the macros' libraries, the target's description, the generated
/// bindings. Their number changes with the kernel's version.
///
/// # Errors
/// A kind of them was not made, or cannot be copied.
pub(super) fn complete(headers: &Path, build: &Path, config: &Kconfig) -> Result<()> {
    let rust = build.join("rust");
    let mut lacking = vec![build.join("scripts/target.json")];
    let mut kinds = vec![(rust.clone(), "rmeta"), (rust.clone(), "so")];
    // An editor reads these; no compiler does again.
    kinds.extend(["bindings", "uapi"].map(|generated| (rust.join(generated), "rs")));
    // With RUST_INLINE_HELPERS (since 6.19) rustc also reads the helpers' bitcode.
    if config.has("RUST_INLINE_HELPERS") {
        kinds.push((rust.join("helpers"), "bc"));
    }
    for (folder, extension) in kinds {
        let made = files(&folder, extension)?;
        if made.is_empty() {
            let fact = format!("`make prepare` left no *.{extension} in {}", folder.shown());
            return Err(Problem::host(fact).hint("its output is in the log that is named above"));
        }
        lacking.extend(made);
    }
    for from in &lacking {
        let to = headers.join(from.strip_prefix(build).unwrap_or(from));
        if let Some(folder) = to.parent() {
            make_folder(folder)?;
        }
        copy_file(from, &to)?;
    }
    say(&format!("    Debian's headers completed with {} files", lacking.len()));
    Ok(())
}

/// Builds an empty Rust module with the completed headers, as an author would: what was copied is
/// not known to suffice before.
///
/// # Errors
/// It does not build, with what Kbuild and the compiler said.
pub(super) fn builds_a_module(sandbox: Sandbox, scratch: &Path, release: &str) -> Result<()> {
    cache::remove_dir(scratch)?;
    make_folder(scratch)?;
    cache::write_atomic(&scratch.join("empty.rs"), EMPTY_MODULE)?;
    cache::write_atomic(&scratch.join("Kbuild"), b"obj-m := empty.o\n")?;
    let make = sandbox.bind(scratch).run("make").arg("-C");
    let make = make.arg(format!("/lib/modules/{release}/build"));
    let make =
        make.arg(format!("M={}", scratch.to_string_lossy())).arg("modules").deadline(DEADLINE);
    let output = make.output()?;
    if !output.status.success() || !scratch.join("empty.ko").exists() {
        say(output.stdout.trim_end());
        say(output.stderr.trim_end());
        let fact = format!("an empty Rust module does not build for {release}");
        return Err(Problem::host(fact).hint(format!("what Kbuild said is above; by hand: {make}")));
    }
    say("    an empty Rust module builds with them");
    cache::remove_dir(scratch)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LINE: &str = "0x00000000\t_RNvCsx_6kernel1f\tvmlinux\tEXPORT_SYMBOL_GPL\t\n";

    /// A header package with this Module.symvers, and a build with one object of no symbol.
    fn folders(symvers: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let base = tempfile::tempdir().unwrap();
        let (headers, build) = (base.path().join("headers"), base.path().join("build"));
        for folder in [&headers, &build.join("rust"), &build.join("scripts")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(headers.join("Module.symvers"), symvers).unwrap();
        (base, headers, build)
    }

    #[test]
    fn a_kernel_without_rust_symbols_proves_nothing() {
        let (_base, headers, build) = folders("0x00000000\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n");
        let problem = same_symbols(&headers, &build.join("rust")).unwrap_err();
        assert!(problem.fact.contains("no Rust symbol"), "{problem}");
        let (_base, headers, build) = folders("not a table\n");
        assert!(same_symbols(&headers, &build.join("rust")).unwrap_err().fact.contains("line 1"));
    }

    #[test]
    fn a_name_that_is_lost_is_named() {
        let (_base, headers, build) = folders(LINE);
        let problem = same_symbols(&headers, &build.join("rust")).unwrap_err();
        assert!(problem.fact.contains("1 of the 1") && problem.fact.contains("_RNvCsx_6kernel1f"));
        assert_eq!(rust_symbols(LINE.as_bytes()).unwrap(), ["_RNvCsx_6kernel1f"]);
    }

    #[test]
    fn a_kind_of_file_that_was_not_made_is_named() {
        let (_base, headers, build) = folders(LINE);
        let config = Kconfig::parse("CONFIG_RUST=y\nCONFIG_RUST_INLINE_HELPERS=y\n");
        let fact = |config| complete(&headers, &build, config).unwrap_err().fact;
        assert!(fact(&config).contains("no *.rmeta"));
        fs::write(build.join("rust/libcore.rmeta"), "metadata").unwrap();
        assert!(fact(&config).contains("no *.so"));
        fs::write(build.join("rust/libmacros.so"), "library").unwrap();
        let folders = ["bindings", "uapi"].map(|generated| build.join("rust").join(generated));
        folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        for folder in folders {
            assert!(fact(&config).contains("no *.rs"));
            fs::write(folder.join("generated.rs"), "// made by bindgen").unwrap();
        }
        fs::create_dir(build.join("rust/helpers")).unwrap();
        assert!(fact(&config).contains("no *.bc"));
        let config = Kconfig::parse("CONFIG_RUST=y\n");
        assert!(fact(&config).contains("target.json"));
        fs::write(build.join("scripts/target.json"), "{}").unwrap();
        complete(&headers, &build, &config).unwrap();
        assert_eq!(fs::read(headers.join("rust/libcore.rmeta")).unwrap(), b"metadata");
    }
}
