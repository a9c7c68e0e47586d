//! The facts of a kernel for its loader's verdict: gathered from a prepared tree or an installed
//! one.

use std::path::{Path, PathBuf};

use crate::tree::section_reader::ModuleBuffer;
use crate::tree::walk;
use crate::{
    host::{
        file_system::{read_given, read_given_text},
        open,
    },
    kernel::{
        Kernel, KernelName, config,
        image_facts::{self, ImageFacts},
    },
    printer::Shown as _,
    problem::{Problem, Result},
};
use ko::kconfig::Kconfig;
use loader::btf::KernelBtf;
use loader::kernel_facts::{KernelFacts, SourcePatches};
use loader::signature::{Keyring, certificate::Certificate};
use loader::struct_module::{self, ThisModule};
use stack::module_file::ModuleFile;

/// A kernel's facts, and where its own modules are.
#[derive(Debug)]
pub struct TreeFacts {
    /// The facts that decide over a load.
    pub target: KernelFacts,
    /// As `/lib/modules/RELEASE`, if there is one.
    pub modules: Option<PathBuf>,
    /// The facts that could not be found out, each as a phrase that goes after "unknown:".
    pub unknown: Vec<String>,
}

/// Files that are read in the place of a tree's own.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The configuration.
    pub config: Option<PathBuf>,
    /// The Module.symvers.
    pub symvers: Option<PathBuf>,
    /// The kernel's image, for its certificates.
    pub image: Option<PathBuf>,
}

/// The facts of a kernel of ours. `this_module` is asked for the size of its `struct module` where
/// neither BTF nor a module of the kernel's own states it.
///
/// # Errors
/// Its tree has no configuration or no Module.symvers.
pub fn of_kernel(
    kernel: &Kernel,
    this_module: impl FnOnce() -> Option<ThisModule>,
) -> Result<TreeFacts> {
    let overrides = Overrides { image: kernel.image.clone(), ..Overrides::default() };
    let mut facts = of_tree(&kernel.tree, &overrides)?;
    let builtin = open::read(kernel.modules.join("modules.builtin.modinfo")).unwrap_or_default();
    facts.target = facts.target.with_builtin_modinfo(&builtin);
    facts.modules = Some(kernel.modules.clone());
    if !matches!(kernel.name, KernelName::Folder(_)) {
        // All of them are built from Debian's source.
        facts.target.patches = SourcePatches::DEBIAN;
    }
    if facts.target.this_module.is_none() {
        facts.target.this_module = own_this_module(&kernel.modules).or_else(this_module);
    }
    facts.note_unknown();
    Ok(facts)
}

/// The facts of a prepared tree, or of an installed `/lib/modules/RELEASE`.
///
/// # Errors
/// There is no configuration, or no release; a file named cannot be read.
pub fn of_tree(folder: &Path, overrides: &Overrides) -> Result<TreeFacts> {
    let release = release(folder)?;
    let config = match &overrides.config {
        Some(path) => read_given_text(path)?,
        None => first_text(&[
            folder.join(".config"),
            folder.join("config"),
            folder.join("build/.config"),
            Path::new("/boot").join(format!("config-{release}")),
        ])
        .ok_or_else(|| {
            let problem = Problem::usage(format!("{} has no configuration", folder.shown()));
            problem.hint("name it: --config FILE, for example /boot/config-RELEASE")
        })?,
    };
    let target = KernelFacts::new(&release, &config).map_err(Problem::usage)?;
    let symvers = match &overrides.symvers {
        Some(path) => Some(read_given(path)?),
        None => first(&[folder.join("Module.symvers"), folder.join("build/Module.symvers")]),
    };
    let mut target = match symvers {
        Some(text) => target.with_symvers(&text).map_err(|error| {
            let fact = format!("the Module.symvers of {}: {error}", folder.shown());
            Problem::usage(fact).hint("copy it again from the kernel's build")
        })?,
        None => target,
    };
    let builtin = open::read(folder.join("modules.builtin.modinfo")).unwrap_or_default();
    target = target.with_builtin_modinfo(&builtin);
    let source = |name: &str| first_text(&[folder.join("kernel/module").join(name)]);
    let (version_c, signing_c) = (source("version.c"), source("signing.c"));
    if version_c.is_some() || signing_c.is_some() {
        target.patches = SourcePatches::from_source(version_c.as_deref(), signing_c.as_deref());
    }
    if let Some(hash) = first_text(&[folder.join("include/generated/randstruct_hash.h")]) {
        target = target.with_randstruct_hash(&Kconfig::parse(&config), &hash);
    }
    let vmlinux = first(&[folder.join("vmlinux"), folder.join("build/vmlinux")]);
    if let Some(btf) = vmlinux.as_deref().and_then(struct_module::btf_of_vmlinux) {
        target.btf = KernelBtf::new(btf);
        target.this_module = target.btf.as_ref().and_then(KernelBtf::this_module);
    }
    if target.this_module.is_none() {
        target.this_module = own_this_module(folder);
    }
    target = with_image(target, folder, overrides)?;
    let modules = folder.join("modules.dep").exists().then(|| folder.to_path_buf());
    let mut facts = TreeFacts { target, modules, unknown: Vec::new() };
    facts.note_unknown();
    Ok(facts)
}

/// Adds what the kernel's image tells.
fn with_image(
    mut target: KernelFacts,
    folder: &Path,
    overrides: &Overrides,
) -> Result<KernelFacts> {
    let mut places = vec![folder.join("vmlinuz"), folder.join("arch/x86/boot/bzImage")];
    if folder.ends_with(Path::new("lib/modules").join(&target.release)) {
        // Of /lib/modules and of /usr/lib/modules.
        let name = format!("boot/vmlinuz-{}", target.release);
        places.extend(folder.ancestors().skip(3).take(2).map(|root| root.join(&name)));
    }
    let image = overrides.image.as_ref();
    let Some(image) = image.or_else(|| places.iter().find(|place| place.exists())) else {
        return Ok(target);
    };
    let facts = image_facts::of_image(image);
    // An image that nobody named, and whose certificates nobody asks for, may be of any form.
    let is_needed = target.options.signatures || overrides.image.is_some();
    let facts = if is_needed { facts? } else { facts.unwrap_or_default() };
    let ImageFacts { certificates, sysfs_names } = facts;
    target.param_names = sysfs_names;
    let is_asked = target.options.signatures && !certificates.is_empty();
    Ok(if is_asked { target.with_certificates(certificates) } else { target })
}

impl TreeFacts {
    /// Adds a certificate that the kernel trusts.
    pub fn trust(&mut self, certificate: Certificate) {
        self.target.trust.add(Keyring::Named, [certificate]);
    }

    /// Notes what could not be found out.
    pub(super) fn note_unknown(&mut self) {
        let facts = [
            (
                self.target.this_module.is_none(),
                "the size of its struct module; it has neither a vmlinux with BTF nor a module of \
                 its own",
            ),
            (
                self.target.options.signatures && !self.target.certificates_known,
                "its certificates; name its image with --image, or one with --certificate",
            ),
            (self.target.exports.is_empty(), "its exports; name its Module.symvers with --symvers"),
            (
                self.target.builtin_names.is_empty() && self.target.sysfs_names.is_none(),
                "which names in /sys/module are its built-in code's; it has no \
                 modules.builtin.modinfo",
            ),
        ];
        let unknown = facts.into_iter().filter(|(unknown, _)| *unknown);
        self.unknown = unknown.map(|(_, what)| what.into()).collect();
    }
}

/// `struct module` as the kernel's own modules in a folder have it.
fn own_this_module(folder: &Path) -> Option<ThisModule> {
    // The search stays in folders of modules: a source tree has too many others.
    let own = folder.join("kernel");
    (own.is_dir() && folder.join("modules.builtin").exists()).then(|| this_module_in(&own))?
}

/// `struct module` as the first modules in a folder have it, which were built for the kernel.
fn this_module_in(folder: &Path) -> Option<ThisModule> {
    let (mut buffer, files) = (ModuleBuffer::default(), walk::modules(folder).ok()?);
    let of =
        |file: &ModuleFile| struct_module::this_module_of_module(buffer.read(&file.full).ok()?);
    files.iter().take(8).find_map(of)
}

fn release(folder: &Path) -> Result<String> {
    let stated = config::prepared_tree(folder).map(|(_, release)| release);
    let named = || folder.canonicalize().ok()?.file_name()?.to_str().map(str::to_owned);
    stated.or_else(named).ok_or_else(|| {
        let problem = Problem::usage(format!("{} is no kernel's tree", folder.shown()));
        problem.hint("name a prepared tree, or /lib/modules/RELEASE")
    })
}

fn first(paths: &[PathBuf]) -> Option<Vec<u8>> {
    paths.iter().find_map(|path| open::read(path).ok())
}

fn first_text(paths: &[PathBuf]) -> Option<String> {
    first(paths).and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        host::sandbox::Sandbox,
        kernel::{KernelName, Toolchain},
    };

    const SYMVERS: &str = "0x00000000\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n";

    /// A prepared tree with these files.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let always =
            [("include/config/kernel.release", "7.3.4-x\n"), (".config", "CONFIG_SMP=y\n")];
        for (name, text) in always.iter().chain(files) {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    #[test]
    fn a_tree_without_a_file_leaves_unknown_what_the_file_says() {
        let unknown = |files| of_tree(tree(files).path(), &Overrides::default()).unwrap().unknown;
        let lacking = ["struct module", "exports", "modules.builtin.modinfo"];
        let found = unknown(&[]);
        assert_eq!(found.len(), 3);
        assert!(found.iter().zip(lacking).all(|(what, lacks)| what.contains(lacks)), "{found:?}");
        let builtin = "printk.parmtype=time:bool\0";
        let found = unknown(&[("Module.symvers", SYMVERS), ("modules.builtin.modinfo", builtin)]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_file_that_is_named_stands_in_for_the_trees_own() {
        let tree = tree(&[("other", SYMVERS), ("other.config", "CONFIG_PREEMPT_RT=y\n")]);
        let at = |name: &str| Some(tree.path().join(name));
        let overrides = Overrides { config: at("other.config"), symvers: at("other"), image: None };
        let target = of_tree(tree.path(), &overrides).unwrap().target;
        assert_eq!((target.release.as_str(), target.exports.len()), ("7.3.4-x", 1));
        assert!(target.vermagic.contains("preempt_rt"), "{}", target.vermagic);
        let overrides = Overrides { config: at("none"), symvers: None, image: None };
        assert!(of_tree(tree.path(), &overrides).unwrap_err().fact.contains("none"));
    }

    #[test]
    fn a_tree_that_is_none_is_refused_with_what_it_lacks() {
        let refusal = |tree: &Path| of_tree(tree, &Overrides::default()).unwrap_err();
        let empty = tempfile::tempdir().unwrap();
        assert!(refusal(empty.path()).hint.unwrap().contains("--config FILE"));
        let damaged = tree(&[("Module.symvers", "not a table\n")]);
        assert!(refusal(damaged.path()).fact.contains("Module.symvers"));
    }

    #[test]
    fn facts_of_a_prepared_kernel_take_what_only_its_modules_folder_has() {
        let (tree, modules) = (tree(&[("Module.symvers", SYMVERS)]), tempfile::tempdir().unwrap());
        let builtin = modules.path().join("modules.builtin.modinfo");
        fs::write(builtin, "printk.parmtype=time:bool\0").unwrap();
        let kernel = Kernel {
            name: KernelName::Folder(tree.path().into()),
            release: "7.3.4-x".into(),
            kdir: tree.path().into(),
            tree: tree.path().into(),
            image: None,
            modules: modules.path().into(),
            toolchain: Toolchain(Sandbox::new("/bin/false".into())),
        };
        let this_module = || Some(ThisModule { bytes: 1, init_at: 0, exit_at: None });
        let facts = of_kernel(&kernel, this_module).unwrap();
        assert!(facts.unknown.is_empty() && facts.target.builtin_names.contains("printk"));
        assert_eq!(facts.modules, Some(modules.path().into()));
        assert_eq!(of_kernel(&kernel, || None).unwrap().unknown.len(), 1);
    }
}
