//! A certificate that a user names.

use std::path::Path;

use loader::signature::certificate::Certificate;

use crate::{
    host::file_system::read_given,
    printer::Shown as _,
    problem::{Problem, Result},
};

/// One certificate in DER.
///
/// # Errors
/// The file cannot be read, or is no certificate.
pub fn of_file(file: &Path) -> Result<Certificate> {
    let bytes = read_given(file)?;
    Certificate::parse(&bytes).ok_or_else(|| {
        let fact =
            format!("{} is no certificate in DER with an RSA, P-256 or P-384 key", file.shown());
        Problem::usage(fact).hint("openssl x509 -in FILE -outform der makes one of a PEM file")
    })
}
