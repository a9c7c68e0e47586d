//! Faults in a line of a text file.

/// A line that the program that reads such files would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct LineError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The form's demand at this place.
    pub expected: &'static str,
    /// The text that stands there.
    pub found: String,
}
