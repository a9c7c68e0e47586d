//! Files and trees that a user names.

use crate::harness::Test;

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    Vec::new()
}
