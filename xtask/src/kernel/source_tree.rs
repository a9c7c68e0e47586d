//! Where the source of a kernel is, of whatever kind the kernel is.

use std::path::{Path, PathBuf};

use crate::{
    host::{cache::Cache, root::Root},
    kernel::{Kernel, KernelName, Toolchain, archive, prepared, source::Source},
    problem::{Problem, Result},
};

/// A folder that the toolchain of a kernel sees, and the same folder on the host.
pub type Place = (PathBuf, PathBuf);

impl Kernel {
    /// As much of its source as an editor reads, fetched if it is absent, and its toolchain with
    /// the source in place.
    ///
    /// # Errors
    /// The archive has the source no more.
    pub fn with_source(&self, cache: &Cache) -> Result<(Toolchain, Place)> {
        match &self.name {
            KernelName::Folder(_) => {
                let source = prepared::source_of(&self.tree).unwrap_or_else(|| self.tree.clone());
                Ok((self.toolchain.clone(), (source.clone(), source)))
            }
            KernelName::Listed(recipe, _) => {
                let root = Root::obtain(cache, recipe.root)?;
                let candidate = archive::cached(cache, &self.name).ok_or_else(|| {
                    Problem::host(format!("nothing is known of the source of {self}"))
                        .hint(format!("cargo xtask setup --kernel {}", self.name))
                })?;
                let source = Source::of_an_editor(cache, &root, &candidate)?;
                root.mount_point(source.inside())?;
                let Toolchain(sandbox) = self.toolchain.clone();
                let toolchain = Toolchain(sandbox.read_only(&source.path, source.inside()));
                Ok((toolchain, (source.inside(), source.path)))
            }
        }
    }

    /// The folders that its toolchain sees elsewhere than the host does: its build folder, and all
    /// of the private root.
    pub fn places(&self, cache: &Cache) -> Vec<Place> {
        let KernelName::Listed(recipe, _) = &self.name else { return Vec::new() };
        let name = self.tree.file_name().unwrap_or_default();
        let mut places = vec![(Path::new("/usr/src").join(name), self.tree.clone())];
        let root = Root::present(cache, recipe.root);
        places.extend(root.map(|root| ("/usr".into(), root.path("usr"))));
        places
    }
}
