//! Prepares a kernel, or finds it in the cache.

use std::path::{Path, PathBuf};

use crate::{
    host::{cache::Cache, root::Root, sandbox::Sandbox},
    kernel::{
        Kernel, KernelName, Toolchain,
        archive::{self, Archive, Refresh},
        prepared,
        recipe::Ships,
        stock,
    },
    problem::{Problem, Result},
};

impl Kernel {
    /// The kernel of this name, prepared first where that is ours to do.
    ///
    /// # Errors
    /// There is none, or it cannot be prepared.
    pub fn obtain(cache: &Cache, name: &KernelName, refresh: Refresh) -> Result<Self> {
        match name {
            KernelName::Folder(folder) => prepared::open(cache, folder),
            KernelName::Listed(recipe, release) => {
                let root = Root::obtain(cache, recipe.root)?;
                // A candidate of some hours ago may be gone: old kernels leave the archive.
                let present = Self::present(cache, name).is_some();
                let refresh = if present { refresh } else { Refresh::Now };
                let followed = recipe.followed(release.as_deref());
                let archive = Archive::open(cache, &root, recipe.suite)?;
                let candidate = archive.resolve(&followed, refresh, present)?;
                let folder = recipe.prepared(cache, &root, &candidate)?;
                Ok(Self::installed(name.clone(), &folder, &(recipe.release)(&candidate)))
            }
        }
    }

    /// The kernel of this name as the cache has it.
    pub fn present(cache: &Cache, name: &KernelName) -> Option<Self> {
        match name {
            KernelName::Folder(folder) => prepared::open(cache, folder).ok(),
            KernelName::Listed(recipe, _) => {
                let candidate = archive::cached(cache, name)?;
                let folder = cache.present(&recipe.entry(&candidate)).ok()??;
                let release = (recipe.release)(&candidate);
                // Modules are built in the root, so a kernel without it is of no use.
                Root::present(cache, recipe.root)?;
                Some(Self::installed(name.clone(), &folder, &release))
            }
        }
    }

    /// The modules that Debian ships with this kernel: its `/lib/modules/RELEASE`, before depmod
    /// has been there. They are fetched when they are not there.
    ///
    /// # Errors
    /// It is no kernel of Debian's, or the archive does not offer its modules any more.
    pub fn shipped_modules(&self, cache: &Cache) -> Result<PathBuf> {
        match self.name.ships() {
            Ships::Inside => Ok(self.modules.clone()),
            Ships::Apart => stock::modules(cache, &self.name),
            Ships::Nothing => {
                Err(Problem::usage(format!("{} has no modules of Debian's", self.name))
                    .hint("choose stable, stock or stock:RELEASE"))
            }
        }
    }

    /// A kernel that stands complete in `folder`, laid out as a Debian system has it.
    fn installed(name: KernelName, folder: &Path, release: &str) -> Self {
        let modules = folder.join("usr/lib/modules").join(release);
        Self {
            name,
            kdir: Path::new("/lib/modules").join(release).join("build"),
            tree: folder.join("usr/src").join(format!("linux-headers-{release}")),
            image: Some(modules.join("vmlinuz")),
            modules,
            release: release.into(),
            toolchain: Toolchain(Sandbox::new(folder.join("enter"))),
        }
    }
}
