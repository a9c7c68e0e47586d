//! The certificates that a kernel verifies modules with: those built into its image.

use std::{path::Path, time::UNIX_EPOCH};

use ko::der::Reader;
use loader::signature::certificate::{Certificate, find_der};

use crate::{
    host::{
        cache::{self, Cache, write_atomic},
        file_system::read_given,
        open,
    },
    kernel::bzimage::{self, payload, unpack},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The certificates in a kernel image: a bzImage, or an ELF file. They are remembered, because
/// unpacking a kernel takes a quarter of a second.
///
/// # Errors
/// The image cannot be read, is too large, or is packed by other means than zstd, xz and gzip.
pub fn of_image(image: &Path) -> Result<Vec<Certificate>> {
    let metadata = image.metadata().or_usage(|| format!("{} cannot be read", image.shown()))?;
    let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let stamp = format!("{} {} {time:?}", image.shown(), metadata.len());
    let remembered = Cache::open()?.folder("facts")?;
    let remembered = remembered.join(format!("certificates-{}.der", cache::key([stamp.as_str()])));
    let ders = match open::read(&remembered) {
        Ok(ders) => ders,
        Err(_) => {
            let ders = find(&bzimage::read(image)?, image)?;
            write_atomic(&remembered, &ders)?;
            ders
        }
    };
    let mut reader = Reader(&ders);
    let elements = std::iter::from_fn(|| reader.any());
    Ok(elements.filter_map(|element| Certificate::parse(element.raw)).collect())
}

/// The certificates of an image, one after the other.
fn find(bytes: &[u8], image: &Path) -> Result<Vec<u8>> {
    let unpacked;
    let kernel = match payload(bytes) {
        None => bytes,
        Some(payload) => {
            unpacked = unpack(payload).ok_or_else(|| {
                let fact =
                    format!("{} is packed by other means than zstd, xz and gzip", image.shown());
                Problem::usage(fact).hint("give the unpacked vmlinux, or a certificate in DER")
            })?;
            &unpacked
        }
    };
    Ok(find_der(kernel).concat())
}

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
