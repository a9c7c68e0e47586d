//! The facts of a kernel's image: the certificates that it verifies modules with, and names that
//! its built-in code has in `/sys/module`.

use std::{collections::HashSet, path::Path, time::UNIX_EPOCH};

use ko::der::Reader;
use loader::{
    signature::certificate::{Certificate, find_der},
    struct_module::sysfs_names_of_image,
};

use crate::{
    host::{
        cache::{self, Cache, write_atomic},
        open,
    },
    kernel::bzimage::{self, payload, unpack},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The facts that were found in an image.
#[derive(Clone, Debug, Default)]
pub struct ImageFacts {
    /// The certificates that are built in.
    pub certificates: Vec<Certificate>,
    /// The names of built-in parameters and versions in `/sys/module`; none of an image without
    /// their tables.
    pub sysfs_names: Option<HashSet<String>>,
}

/// Reads a kernel image: a bzImage, or an ELF file. What was found is remembered, because unpacking
/// a kernel takes a quarter of a second.
///
/// # Errors
/// The image cannot be read, is too large, or is packed by other means than zstd, xz and gzip.
pub fn of_image(image: &Path) -> Result<ImageFacts> {
    let metadata = image.metadata().or_usage(|| format!("{} cannot be read", image.shown()))?;
    let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let stamp = format!("{} {} {time:?}", image.shown(), metadata.len());
    let key = cache::key([stamp.as_str()]);
    let facts = Cache::open()?.room("facts")?;
    let certificates = facts.join(format!("certificates-{key}.der"));
    let names = facts.join(format!("sysfs-names-{key}"));
    let (ders, text) = match (open::read(&certificates), open::read_text(&names)) {
        (Ok(ders), Ok(text)) => (ders, text),
        _ => {
            let (ders, text) = find(&bzimage::read(image)?, image)?;
            // An answer that cannot be remembered is read again.
            let _ = write_atomic(&certificates, &ders).and_then(|()| write_atomic(&names, &text));
            (ders, text)
        }
    };
    let mut reader = Reader(&ders);
    let elements = std::iter::from_fn(|| reader.any());
    let certificates = elements.filter_map(|element| Certificate::parse(element.raw)).collect();
    let sysfs_names = (!text.is_empty()).then(|| text.lines().map(str::to_owned).collect());
    Ok(ImageFacts { certificates, sysfs_names })
}

/// The certificates of an image, one after the other, and the names, one a line.
fn find(bytes: &[u8], image: &Path) -> Result<(Vec<u8>, String)> {
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
    let mut names = Vec::from_iter(sysfs_names_of_image(kernel).unwrap_or_default());
    names.sort();
    Ok((find_der(kernel).concat(), names.join("\n")))
}
