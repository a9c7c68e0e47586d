//! Modules that deceive the proof in the guest.

use crate::harness::Test;

/// The tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    Vec::new()
}
