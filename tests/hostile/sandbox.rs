//! Builds that reach for the host, or for all of it.

use crate::harness::Test;

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    Vec::new()
}
