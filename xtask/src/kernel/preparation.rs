//! What the preparation of a kernel is given.

use std::path::Path;

use crate::{
    host::{cache::Cache, root::Root},
    kernel::archive::Candidate,
};

/// What the steps of a preparation need to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preparation<'a> {
    /// The cache.
    pub(super) cache: &'a Cache,
    /// The root in which it is prepared.
    pub(super) root: &'a Root,
    /// The kernel's packages.
    pub(super) candidate: &'a Candidate,
    /// The suite that has its packages.
    pub(super) suite: &'static str,
    /// The folder that becomes the kernel's cache entry.
    pub(super) aside: &'a Path,
}
