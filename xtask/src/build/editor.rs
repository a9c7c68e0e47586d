//! rust-project.json: what an editor must know of the Rust modules of a stack.
//!
//! The kernel's makefile tells of the kernel's crates: the target rust-analyzer of rust/Makefile.
//! Kbuild tells of the stack's: every call of rustc is written down while the stack is built, in a
//! folder of its own.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use serde_json::{Value, json};

use super::{BuildDir, Stack};
use crate::{
    host::cache::{self, Cache},
    kernel::{Kernel, source_tree::Place},
    printer::Shown as _,
    problem::{Problem, Result},
};

/// Runs rustc, and writes down of each crate how rustc was called and which variables it read:
/// rustc lists those among the dependencies, before Kbuild removes that list.
const RUSTC: &str = r#"#!/bin/sh
rustc "$@" || exit
for argument; do
    case $argument in
    --emit=dep-info=*) dependencies=${argument#--emit=dep-info=} ;;
    /*.rs) root=$argument ;;
    *.rs) root=$PWD/$argument ;;
    esac
done
if [ "$root" ] && [ "$dependencies" ]; then
    note=$(dirname "$0")/$(echo "$root" | tr / %)
    { echo "$root"; echo "$PWD"; printf '%s\n' "$@"; grep '^# env-dep:' "$dependencies"; } > "$note"
fi
exit 0
"#;

/// The crates of a stack and of the kernel that it is built for, as rust-analyzer reads them.
#[derive(Clone, Debug)]
pub struct EditorProject {
    /// The names of the stack's crates.
    pub crates: Vec<String>,
    /// The contents of rust-project.json.
    pub json: Value,
}

impl EditorProject {
    /// Builds the stack, and looks how.
    ///
    /// # Errors
    /// The kernel has no Rust, the stack does not build, or has no Rust module.
    pub fn of(cache: &Cache, kernel: &Kernel, stack: &Stack) -> Result<Self> {
        if !kernel.config()?.has("RUST") {
            let problem = Problem::usage(format!("{kernel} has no Rust"));
            return Err(problem.hint("choose stock, sid or lab"));
        }
        let build_dir = BuildDir::open_beside(kernel, &stack.by_make(), "-editor")?;
        let calls = calls(&build_dir)?;
        if calls.is_empty() {
            return Err(Problem::does_not_hold(format!("{stack} has no Rust module")));
        }
        let (mut json, places) = kernel_crates(cache, kernel, &build_dir)?;
        on_host(&mut json, &places);
        leave_library(&mut json);
        let crates = calls.iter().map(|call| call.name.clone()).collect();
        add(&mut json, &calls, &build_dir, &places);
        Ok(Self { crates, json })
    }
}

/// The attributes that the kernel compiles its crates with, by `-Zcrate-attr`. An older
/// rust-analyzer does not read that.
const NO_STD: [&str; 1] = ["no_std"];

/// The size that a note may have: a call has some kilobytes of arguments.
const NOTE_MAX: u64 = 1 << 20;
/// The file that the kernel's makefile makes.
const CRATES: &str = "rust-project.json";
/// The size that it may have: it repeats the kernel's configuration for each crate, 18 MB on stock.
const CRATES_MAX: u64 = 128 << 20;

/// One call of rustc, as it is written down.
#[derive(Debug, Default, PartialEq, Eq)]
struct RustcCall {
    root: PathBuf,
    name: String,
    edition: String,
    cfg: Vec<String>,
    /// The crates it uses, and the metadata where the call names it.
    externs: Vec<(String, Option<PathBuf>)>,
    /// Its own metadata, if it writes it.
    metadata: Option<PathBuf>,
    env: BTreeMap<String, String>,
}

impl RustcCall {
    fn parse(note: &str) -> Option<Self> {
        let mut lines = note.lines();
        let root = plain(Path::new(lines.next()?));
        let folder = Path::new(lines.next()?);
        let file = |name: &str| plain(&folder.join(name));
        let name = root.file_stem()?.to_string_lossy().replace('-', "_");
        let mut call = Self { root, name, edition: "2021".into(), ..Self::default() };
        while let Some(line) = lines.next() {
            if let Some(variable) = line.strip_prefix("# env-dep:") {
                let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
                call.env.insert(name.into(), value.into());
                continue;
            }
            let (option, value) = match line.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option, value),
                _ if ["--cfg", "--extern", "--crate-name"].contains(&line) => (line, lines.next()?),
                _ => continue,
            };
            match option {
                "--edition" => call.edition = value.into(),
                "--crate-name" => call.name = value.into(),
                "--cfg" => call.cfg.push(value.into()),
                "--extern" => {
                    let (name, path) = value.split_once('=').unwrap_or((value, ""));
                    let metadata = (!path.is_empty()).then(|| file(path));
                    call.externs.push((name.into(), metadata));
                }
                "--emit" => {
                    let metadata = value.strip_prefix("metadata=").map(file);
                    call.metadata = metadata.or(call.metadata);
                }
                _ => {}
            }
        }
        Some(call)
    }
}

/// A path without what leads nowhere: one file may be named in two ways.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// The folder in the tree for what is written down. Kbuild calls no compiler again for what is up
/// to date, so notes that another script left would stay.
fn notes() -> String {
    format!(".editor-{}", cache::key([RUSTC]))
}

/// Builds, and returns what was written down of the sources that are there now.
fn calls(build_dir: &BuildDir) -> Result<Vec<RustcCall>> {
    let (workspace, notes) = (&build_dir.workspace, notes());
    let rustc = Path::new(&notes).join("rustc");
    workspace.put(&rustc, RUSTC, 0o777)?;
    build_dir.build_with(&format!("RUSTC={}", workspace.seen().join(rustc).to_string_lossy()))?;
    let texts = workspace.texts_in_tree(&notes, ".rs", NOTE_MAX)?;
    let calls = texts.iter().filter_map(|text| RustcCall::parse(text));
    Ok(calls.filter(|call| workspace.is_in_tree(&call.root)).collect())
}

/// Returns the kernel's own facts about its crates, and the place of each. The editor runs the
/// macros that are named there, so no build of a stack's has ever seen the folder in which it is
/// made.
fn kernel_crates(
    cache: &Cache,
    kernel: &Kernel,
    build_dir: &BuildDir,
) -> Result<(Value, Vec<Place>)> {
    let (toolchain, source) = kernel.with_source(cache)?;
    let makefile = format!(
        "objtree := {}\n\
         srctree := {}\n\
         obj := rust\n\
         export RUSTC := rustc\n\
         rustc_sysroot := $(shell rustc --print sysroot)\n\
         RUST_LIB_SRC := $(rustc_sysroot)/lib/rustlib/src/rust/library\n\
         include $(objtree)/include/config/auto.conf\n\
         include $(srctree)/scripts/Makefile.compiler\n\
         include $(srctree)/rust/Makefile\n",
        kernel.kdir.to_string_lossy(),
        source.0.to_string_lossy()
    );
    let aside = build_dir.stack.workspace(kernel, "-editor-kernel")?;
    let _lock = aside.lock()?;
    aside.empty()?;
    aside.put(Path::new("Makefile"), &makefile, 0o666)?;
    toolchain.run("make", &aside.tree()).arg("rust-analyzer").quiet().stdout()?;
    let file = aside.tree().join(CRATES);
    let mut texts = aside.texts_in_tree("", CRATES, CRATES_MAX)?;
    let text =
        texts.pop().ok_or_else(|| Problem::host(format!("{} was not made", file.shown())))?;
    let json = serde_json::from_str(&text)
        .map_err(|error| Problem::host(format!("{}: {error}", file.shown())))?;
    let mut places = vec![source];
    places.push((build_dir.workspace.seen(), build_dir.workspace.tree()));
    places.extend(kernel.places(cache));
    Ok((json, places))
}

/// Turns every path that the toolchain sees into the host's.
fn on_host(value: &mut Value, places: &[Place]) {
    match value {
        Value::String(text) => *text = path_on_host(text, places),
        Value::Array(values) => values.iter_mut().for_each(|value| on_host(value, places)),
        Value::Object(values) => values.values_mut().for_each(|value| on_host(value, places)),
        _ => {}
    }
}

/// The host's path of what the toolchain sees; the first place that has it is the narrowest.
fn path_on_host(text: &str, places: &[Place]) -> String {
    let path = Path::new(text);
    let moved = places.iter().find_map(|(inside, host)| {
        let rest = path.strip_prefix(inside).ok()?;
        // A folder that is named itself gets no slash at its end.
        Some(if rest.as_os_str().is_empty() { host.clone() } else { host.join(rest) })
    });
    moved.map_or_else(|| text.into(), |path| path.to_string_lossy().into_owned())
}

/// Leaves Rust's own library to rust-analyzer, which is told where it is: since 0.3.2693 it looks
/// for the methods of primitive types nowhere else (rust-lang/rust-analyzer#21282).
fn leave_library(json: &mut Value) {
    let Some(Value::Array(crates)) = json.get_mut("crates") else { return };
    let root = |one: &Value| one["root_module"].as_str().unwrap_or_default().to_owned();
    let named = |name: &str| crates.iter().position(|one| one["display_name"] == name);
    let core = named("core").map(|at| root(&crates[at]));
    let Some(library) = core.as_deref().and_then(|core| core.strip_suffix("/core/src/lib.rs"))
    else {
        return;
    };
    let std = named("std");
    let own: Vec<bool> = crates.iter().map(|one| root(one).starts_with(library)).collect();
    for one in crates {
        let Some(deps) = one["deps"].as_array_mut() else { continue };
        let at = |dep: &Value| dep["crate"].as_u64().and_then(|at| usize::try_from(at).ok());
        let has_std = deps.iter().any(|dep| std.is_some() && at(dep) == std);
        deps.retain(|dep| at(dep).is_none_or(|at| own.get(at) != Some(&true)));
        if !has_std {
            one["crate_attrs"] = json!(NO_STD);
        }
    }
    json["sysroot_src"] = json!(library);
}

/// Adds the crates of the stack, and leaves out what they do not need.
fn add(json: &mut Value, calls: &[RustcCall], build_dir: &BuildDir, places: &[Place]) {
    let Some(Value::Array(crates)) = json.get_mut("crates") else { return };
    let kernel: Vec<Value> = std::mem::take(crates);
    let named = |name: &str| kernel.iter().position(|one| one["display_name"] == name);
    let first = kernel.len();
    let cfg = named("kernel").and_then(|at| kernel[at]["cfg"].as_array()).cloned();
    let stack: Vec<Value> = calls
        .iter()
        .map(|call| {
            let dep = |(name, file): &(String, Option<PathBuf>)| {
                let is = |other: &RustcCall| file.is_some() && other.metadata == *file;
                let ours = calls.iter().position(is).map(|at| first + at);
                let at = ours.or_else(|| named(name))?;
                Some(json!({ "crate": at, "name": name }))
            };
            let deps: Vec<Value> = call.externs.iter().filter_map(dep).collect();
            let mut cfg = cfg.clone().unwrap_or_default();
            cfg.extend(call.cfg.iter().map(|cfg| json!(cfg)));
            call.json(build_dir, places, &deps, &cfg)
        })
        .collect();
    *crates = needed(kernel.into_iter().chain(stack).collect(), first);
}

impl RustcCall {
    fn json(&self, built: &BuildDir, places: &[Place], deps: &[Value], cfg: &[Value]) -> Value {
        let root = built.source_of(&self.root);
        let copy = path_on_host(&self.root.to_string_lossy(), places);
        let parents = [root.clone(), copy.into()].into_iter();
        // A file that the crate includes must be in a folder that the editor reads.
        let included = self.env.values().map(Path::new);
        let included = included.filter(|path| built.workspace.is_in_tree(path));
        let included = included.map(|path| path_on_host(&path.to_string_lossy(), places).into());
        let folders = parents.chain(included).filter_map(|path| Some(path.parent()?.to_owned()));
        let folders: std::collections::BTreeSet<PathBuf> = folders.collect();
        let env = self.env.iter().map(|(name, value)| (name.as_str(), path_on_host(value, places)));
        // The macro `module!` reads it; rustc does not see that.
        let modfile = ("RUST_MODFILE", self.name.clone());
        let env: BTreeMap<&str, String> = env.chain([modfile]).collect();
        json!({
            "display_name": self.name,
            "root_module": root,
            "edition": self.edition,
            "deps": deps,
            "cfg": cfg,
            "crate_attrs": NO_STD,
            "env": env,
            "is_workspace_member": true,
            "source": { "include_dirs": folders, "exclude_dirs": [] },
        })
    }
}

/// The crates from `first` on and all that they need, with their numbers of now. Only the stack's
/// are the editor's user's own.
fn needed(mut crates: Vec<Value>, first: usize) -> Vec<Value> {
    let deps = |one: &Value| -> Vec<usize> {
        let deps = one["deps"].as_array().into_iter().flatten();
        deps.filter_map(|dep| usize::try_from(dep["crate"].as_u64()?).ok()).collect()
    };
    let mut wanted = vec![false; crates.len()];
    let mut todo: Vec<usize> = (first..crates.len()).collect();
    while let Some(at) = todo.pop() {
        if let Some(wanted) = wanted.get_mut(at).filter(|wanted| !**wanted) {
            *wanted = true;
            todo.extend(deps(&crates[at]));
        }
    }
    let number = |at: usize| wanted.iter().take(at).filter(|wanted| **wanted).count();
    for (at, one) in crates.iter_mut().enumerate() {
        if at < first {
            one["is_workspace_member"] = json!(false);
        }
        for dep in one["deps"].as_array_mut().into_iter().flatten() {
            let at = dep["crate"].as_u64().and_then(|at| usize::try_from(at).ok());
            dep["crate"] = json!(at.map(number));
        }
    }
    let kept = crates.into_iter().zip(&wanted).filter(|(_, wanted)| **wanted);
    kept.map(|(one, _)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_tells_a_crates_name_its_uses_and_its_variables() {
        let note = "/s/tally/tally-main.rs\n/s\n--edition=2021\n--cfg\nMODULE\n--cfg=A=\"y\"\n\
                    --extern\nkernel\n--extern\nprovider=libprovider.rmeta\n-Lx=y\n\
                    --emit=dep-info=d\n--emit=metadata=/s/libtally.rmeta\n--emit=obj=o\n\
                    # env-dep:BINDINGS=/s/b.rs\n# env-dep:UNSET\n";
        let call = RustcCall::parse(note).unwrap();
        assert_eq!((call.name.as_str(), call.edition.as_str()), ("tally_main", "2021"));
        assert_eq!(call.cfg, ["MODULE", "A=\"y\""]);
        let provider = Some(PathBuf::from("/s/libprovider.rmeta"));
        assert_eq!(call.externs, [("kernel".into(), None), ("provider".into(), provider)]);
        assert_eq!(call.metadata, Some("/s/libtally.rmeta".into()));
        assert_eq!(call.env["BINDINGS"], "/s/b.rs");
        assert_eq!(call.env["UNSET"], "");
    }

    #[test]
    fn a_path_is_the_hosts_where_the_toolchain_sees_another() {
        let places = [("/usr/src/k".into(), "/c/k".into()), ("/usr".into(), "/r/usr".into())];
        for (inside, host) in [
            ("/usr/src/k", "/c/k"),
            ("/usr/src/k/a.rs", "/c/k/a.rs"),
            ("/usr/src/kernel/a.rs", "/r/usr/src/kernel/a.rs"),
            ("feature=\"/usr\"", "feature=\"/usr\""),
        ] {
            assert_eq!(path_on_host(inside, &places), host);
        }
    }

    #[test]
    fn the_library_is_named_once_and_its_crates_are_not_told() {
        let one = |name: &str, root: &str, deps: &[usize]| {
            let deps: Vec<Value> = deps.iter().map(|at| json!({ "crate": at })).collect();
            json!({ "display_name": name, "root_module": root, "deps": deps })
        };
        let mut json = json!({ "crates": [
            one("core", "/lib/core/src/lib.rs", &[]),
            one("std", "/lib/std/src/lib.rs", &[0]),
            one("macros", "/k/macros.rs", &[1]),
            one("kernel", "/k/lib.rs", &[0, 2]),
        ] });
        leave_library(&mut json);
        assert_eq!(json["sysroot_src"], "/lib");
        assert_eq!(json["crates"][2]["deps"], json!([]));
        assert_eq!(json["crates"][2]["crate_attrs"], Value::Null, "it has the whole library");
        assert_eq!(json["crates"][3]["deps"], json!([{ "crate": 2 }]));
        assert_eq!(json["crates"][3]["crate_attrs"], json!(["no_std"]));
    }

    #[test]
    fn crates_that_the_stack_does_not_need_are_left_out() {
        let one = |name: &str, deps: &[usize]| {
            let deps: Vec<Value> = deps.iter().map(|at| json!({ "crate": at })).collect();
            json!({ "display_name": name, "deps": deps })
        };
        let crates = vec![one("core", &[]), one("std", &[0]), one("kernel", &[0]), one("m", &[2])];
        let kept = needed(crates, 3);
        let names: Vec<_> = kept.iter().map(|one| one["display_name"].as_str().unwrap()).collect();
        assert_eq!(names, ["core", "kernel", "m"]);
        assert_eq!(kept[2]["deps"][0]["crate"], 1);
        assert_eq!(kept[0]["is_workspace_member"], false);
        assert_eq!(kept[2]["is_workspace_member"], Value::Null);
    }
}
