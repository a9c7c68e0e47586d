//! The corpus of modules that the loader's model is held against.

pub(crate) mod cases;
pub(crate) mod edit;
pub(crate) mod packed;
pub(crate) mod random;
pub(crate) mod sign;
mod signatures;
