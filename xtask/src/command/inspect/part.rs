//! The part of a module that can be read.

use ko::{
    kmod_unpack::KmodRefusal,
    module::{Facts, Module},
};

use crate::tree::section_reader::FileError;

/// Returns the parts of a module that are there. A file that is none and that kmod refuses is told
/// by kmod's refusal.
pub(super) fn facts<'a>(
    bytes: &'a [u8],
    refusal: Option<&KmodRefusal>,
) -> Result<Facts<'a>, FileError> {
    match (Module::read_in_part(bytes), refusal) {
        (Ok(module), _) => Ok(module.facts()),
        (Err(_), Some(refusal)) => Err(refusal.clone().into()),
        (Err(malformed), None) => Err(malformed.into()),
    }
}
