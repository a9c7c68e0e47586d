//! A stranger's cache, or a damaged one.

use crate::harness::Test;

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    Vec::new()
}
