//! Faults in the bytes of a module.

/// A place in a file that does not hold what its form asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset}: expected {expected}, found {found}")]
pub struct Malformed {
    /// Where, in bytes from the beginning of the (uncompressed) file.
    pub offset: u64,
    /// The form's demand at this place.
    pub expected: String,
    /// The bytes or the value that stands there.
    pub found: String,
}

impl Malformed {
    /// Names the place, what should be there, and what is.
    pub fn new(offset: u64, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { offset, expected: expected.into(), found: found.into() }
    }
}
