//! Folders of sources, and the products that a build leaves.

use crate::harness::Test;

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    Vec::new()
}
