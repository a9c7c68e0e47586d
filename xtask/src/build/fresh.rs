//! A fresh stack of two modules, from the templates in `xtask/new`.
//!
//! The templates are sources as they stand, of modules called `sample` and `sample_user`. What a
//! stack shares with ours, the recipes for crates and for bindgen, is taken from ours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    host::{
        cache,
        file_system::{make_folder, names},
    },
    printer::Shown as _,
    problem::{Problem, Result},
};

/// In which language, and by what, the modules of a fresh stack meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// C below and above.
    C,
    /// Rust below and above, with a C ABI between them.
    Rust,
    /// C below, Rust above.
    Mixed,
    /// Rust below and above, the lower one used as a crate.
    Crate,
}

use Form::{C, Crate, Mixed, Rust};

/// The name in the templates that stands for the stack's.
const SAMPLE: &str = "sample";

/// The length that a name may have: with what the templates append it stays a module's name, and
/// within the lines that rustfmt breaks.
const NAME_MAX: usize = 24;

/// A file of a fresh stack.
struct Template {
    forms: &'static [Form],
    /// Its name in the stack, in which [`SAMPLE`] stands for the stack's name.
    file: &'static str,
    text: &'static str,
    /// Its purpose, for the stack's README.
    what: &'static str,
}

/// Shortens the table of [`FILES`].
macro_rules! template {
    ($forms:expr, $file:expr, $from:expr, $what:expr) => {
        Template { forms: &$forms, file: $file, text: include_str!($from), what: $what }
    };
}

/// All files of all forms, in the order of the README.
const FILES: [Template; 20] = [
    template!([C, Rust, Mixed], "sample.h", "../../new/sample.h", "the C ABI, stated once"),
    template!([C, Mixed], "sample.c", "../../new/sample.c", "the functions, and their exports"),
    template!([Rust], "sample_main.rs", "../../new/sample_main.rs", "the functions"),
    template!([Crate], "sample_main.rs", "../../new/sample_crate.rs", "the crate"),
    template!([Rust], "sample_exports.c", "../../new/sample_exports.c", "the table of exports"),
    template!([C], "sample_user.c", "../../new/sample_user.c", "the module that uses them"),
    template!(
        [Rust, Mixed],
        "sample_user_main.rs",
        "../../new/sample_user_main.rs",
        "the module that uses them, its `unsafe` behind one safe type"
    ),
    template!(
        [Crate],
        "sample_user_main.rs",
        "../../new/sample_user_of_crate.rs",
        "the module that uses the crate, without `unsafe`"
    ),
    template!([C], "Kbuild", "../../new/c.Kbuild", "what is built"),
    template!([Rust], "Kbuild", "../../new/rust.Kbuild", "what is built"),
    template!([Mixed], "Kbuild", "../../new/mixed.Kbuild", "what is built"),
    template!([Crate], "Kbuild", "../../new/crate.Kbuild", "what is built"),
    template!([C], "Makefile", "../../new/c.Makefile", "builds without symstack, too"),
    template!(
        [Rust, Mixed, Crate],
        "Makefile",
        "../../new/rust.Makefile",
        "builds without symstack, too: `make`, `make CLIPPY=1`, `make fmtcheck`"
    ),
    template!(
        [Rust, Mixed],
        "bindgen.mk",
        "../../../provider/bindgen.mk",
        "how bindgen reads the header"
    ),
    template!(
        [Crate],
        "crates.mk",
        "../../../provider/crates.mk",
        "how one module uses another as a crate"
    ),
    template!(
        [Rust, Mixed, Crate],
        "rustfmt.toml",
        "../../../provider/rustfmt.toml",
        "the kernel's settings"
    ),
    template!(
        [C, Rust, Mixed],
        "Module.symvers.expected",
        "../../new/Module.symvers.expected",
        "the exports; `symstack symvers bless` writes it, with the CRCs of a kernel that has them"
    ),
    template!([C, Rust, Mixed, Crate], ".gitignore", "../../new/gitignore", ""),
    template!([C, Rust, Mixed, Crate], "README.md", "../../new/README.md", ""),
];

/// Names that would mean something else where the templates have theirs: Rust's keywords, and what
/// every module in Rust uses as a crate.
const TAKEN: &str = "\
    abstract as async await become bindings box break build_error compiler_builtins const \
    continue core crate do dyn else enum extern false ffi final fn for gen if impl in kernel let \
    loop macro macros match mod move mut override pin_init priv pub ref return self static std \
    struct super trait true try type typeof uapi unsafe unsized use virtual where while yield \
    zerocopy";

/// Words with which names of the kernel's headers and of Kbuild's variables begin: what the
/// templates define would be defined twice.
const USED: &str = "\
    always asflags atomic bitmap ccflags cdev clean cpumask dev device extra hlist hostprogs ida \
    idr init inode kobject kref ktime ldflags lib list module modules mutex obj page pci percpu \
    pid printk rb rcu refcount rustflags seq skb sock spin src string subdir targets task timer \
    vmlinux wait work xa";

/// Returns the name of a fresh stack: the one given, or that of its folder.
///
/// # Errors
/// It is none for a module.
pub fn name_of(folder: &Path, given: Option<&str>) -> Result<String> {
    // `.` has the name of the folder that it is.
    let real = folder.file_name().is_none().then(|| fs::canonicalize(folder).ok()).flatten();
    let last = real.as_deref().unwrap_or(folder).file_name().unwrap_or_default();
    let name = match given {
        Some(name) => name.to_owned(),
        None => last.to_string_lossy().replace(['-', '.'], "_"),
    };
    require_name(&name)?;
    Ok(name)
}

/// Makes a fresh stack in a folder that is not there or empty, with modules called `name` and
/// `name`_user, and returns the names of its files. Without a name it is called as the folder.
///
/// # Errors
/// The folder has something in it, or the name is none for a module.
pub fn make(folder: &Path, name: Option<&str>, form: Form) -> Result<Vec<PathBuf>> {
    let name = name_of(folder, name)?;
    let refused = if !folder.is_dir() {
        folder.exists().then_some("is no folder")
    } else {
        names(folder)?.iter().any(|entry| entry != ".git").then_some("is not empty")
    };
    if let Some(fact) = refused {
        let problem = Problem::usage(format!("{} {fact}", folder.shown()));
        return Err(problem.hint("name a folder that is not there yet"));
    }
    make_folder(folder)?;
    let ours = || FILES.iter().filter(|template| template.forms.contains(&form));
    let rows = ours().filter(|template| !template.what.is_empty());
    let rows: String =
        rows.map(|template| format!("| `{}` | {} |\n", template.file, template.what)).collect();
    let mut made = Vec::new();
    for template in ours() {
        let mut text = template.text.to_owned();
        if template.file == "README.md" {
            // Symbols that rustc names change with the compiler: nothing is blessed of them.
            text = text
                .split_inclusive('\n')
                .filter(|l| form != Crate || !l.contains("symvers"))
                .collect();
            text.push_str(&rows);
        }
        // The recipes are for everyone's modules, and name none.
        if !template.file.ends_with(".mk") {
            text = renamed(&text, &name);
        }
        let file = folder.join(renamed(template.file, &name));
        cache::write_atomic(&file, text)?;
        made.push(file);
    }
    Ok(made)
}

fn renamed(text: &str, name: &str) -> String {
    text.replace(SAMPLE, name).replace(&SAMPLE.to_uppercase(), &name.to_uppercase())
}

fn require_name(name: &str) -> Result<()> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let fits = (1..=NAME_MAX).contains(&name.len())
        && name.chars().all(letter)
        && name.starts_with(|first: char| first.is_ascii_lowercase());
    if USED.split(' ').any(|used| used == name) {
        let fact = format!("the kernel's headers or Kbuild use names that begin with \"{name}\"");
        return Err(Problem::usage(fact).hint("choose another: --name NAME"));
    }
    if fits && !TAKEN.split(' ').any(|taken| taken == name) {
        return Ok(());
    }
    let problem = Problem::usage(format!("\"{name}\" is no name for the modules of a stack"));
    Err(problem.hint(format!(
        "choose one of 1 to {NAME_MAX} of a-z, 0-9 and _ that begins with a letter and is no word \
         of Rust's: --name NAME"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Kind;

    const FORMS: [Form; 4] = [C, Rust, Mixed, Crate];

    #[test]
    fn a_stack_has_its_own_names_everywhere_and_each_file_once() {
        for form in FORMS {
            let folder = tempfile::tempdir().unwrap();
            let made = make(&folder.path().join("my-own"), None, form).unwrap();
            for file in &made {
                let text = fs::read_to_string(file).unwrap();
                let path = file.display();
                assert!(!text.to_lowercase().contains(SAMPLE), "{path}");
                assert!(!file.to_string_lossy().contains(SAMPLE), "{path}");
                assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{path}");
            }
            let mut files = made.clone();
            files.sort();
            files.dedup();
            assert_eq!(files.len(), made.len(), "{form:?}");
            let readme = fs::read_to_string(folder.path().join("my-own/README.md")).unwrap();
            assert!(readme.starts_with("# my_own\n") && readme.lines().count() < 30, "{readme}");
            let expected = folder.path().join("my-own/Module.symvers.expected").exists();
            assert_eq!(readme.contains("symvers check"), expected, "{form:?}");
            for file in made {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                let hidden = [".gitignore", "README.md"].contains(&name.as_str());
                assert!(hidden || readme.contains(&format!("| `{name}` |")), "{name}\n{readme}");
            }
        }
    }

    #[test]
    fn bad_names_and_full_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| make(&folder.path().join("new"), Some(name), C);
        let long = "a".repeat(NAME_MAX + 1);
        for name in
            ["", "1a", "_a", "A", "a-b", "a b", "../a", "kernel", "use", "list", "obj", &long]
        {
            assert_eq!(at(name).unwrap_err().kind, Kind::Usage, "{name}");
        }
        assert!(!folder.path().join("new").exists());
        at(&long[1..]).unwrap();
        let (own, up) = (folder.path().join("own"), folder.path().join("own/d/.."));
        fs::create_dir_all(own.join("d")).unwrap();
        assert_eq!(name_of(&up, None).unwrap(), "own", "as `.` in it");
        let error = at("other").unwrap_err();
        assert!(error.kind == Kind::Usage && error.fact.ends_with("is not empty"), "{error}");
        let error = make(&folder.path().join("new/Kbuild"), Some("other"), C).unwrap_err();
        assert!(error.kind == Kind::Usage && error.fact.ends_with("is no folder"), "{error}");
    }
}
