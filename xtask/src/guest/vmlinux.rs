//! The kernel in the form that starts fastest: the ELF file inside a bzImage, unpacked once.
//!
//! A bzImage unpacks itself, which under emulation takes about a third of the whole boot. QEMU
//! can start the ELF file inside it directly (PVH): the same kernel, unmodified.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use object::{
    Endianness, elf,
    read::elf::{FileHeader, ProgramHeader},
};

use crate::{
    guest::saved_state::stamp,
    host::{
        cache::{self, Cache, Partial},
        file_system::write_file,
        open,
    },
    kernel::bzimage::{self, payload, unpack},
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The note that names the entry point of PVH (`XEN_ELFNOTE_PHYS32_ENTRY`).
const PHYS32_ENTRY: u32 = 18;

/// Returns the file that QEMU is to start: `image` itself, unless there is a faster form of it.
///
/// # Errors
/// It cannot be read, or is no kernel for this architecture.
pub(super) fn extract(cache: &Cache, image: &Path) -> Result<PathBuf> {
    // To read a kernel for its name takes longer than to restore a guest of it.
    let stamp = stamp(image).or_usage(|| format!("{} cannot be read", image.shown()))?;
    let known = known(cache, &stamp);
    if let Ok(kernel) = open::read_text(&known) {
        if Path::new(&kernel).exists() {
            return Ok(kernel.into());
        }
    }
    cache.require_whole(image)?;
    let bytes = bzimage::read(image)?;
    if bytes.starts_with(b"\x7fELF") {
        return Ok(image.into());
    }
    let Some(payload) = payload(&bytes) else {
        let problem = format!("{} is no bzImage and no ELF file", image.shown());
        return Err(Problem::usage(problem));
    };
    let name = format!("guest/kernel-{}", cache::key([super::fingerprint(&bytes)]));
    let entry = cache.entry(&name, Partial::Discard, |aside| {
        let file = match unpack(payload) {
            Some(kernel) if has_entry(&kernel) => kernel,
            // Packed by other means, or without PVH: it starts by itself, only slower.
            _ => bytes.clone(),
        };
        write_file(&aside.join("kernel"), file)
    })?;
    let kernel = entry.join("kernel");
    // If it cannot be remembered, the next guest reads the image again.
    let _ = cache::write_atomic(&known, kernel.as_os_str().as_encoded_bytes());
    Ok(kernel)
}

/// The file that has the path of what was made of a kernel.
fn known(cache: &Cache, stamp: &str) -> PathBuf {
    cache.path(format!("guest/kernel-of-{}", cache::key([stamp])))
}

/// The entry of the cache with what was made of a kernel, if it was.
pub(super) fn extracted(cache: &Cache, image: &Path) -> Option<String> {
    let kernel = open::read_text(known(cache, &stamp(image).ok()?)).ok()?;
    let entry = Path::new(&kernel).parent()?.file_name()?.to_str()?;
    Some(format!("guest/{entry}"))
}

/// A stand-in for `kernel` in a machine that does not boot. It is a file of the same kind, because
/// QEMU makes the same machine only then. A kernel's 60 MB would be read for nothing.
///
/// # Errors
/// It cannot be read or written.
pub(super) fn stand_in(cache: &Cache, kernel: &Path) -> Result<PathBuf> {
    let mut magic = [0; 4];
    let read = open::open(kernel, open::FILE_BYTES_MAX)
        .and_then(|(mut file, _)| file.read_exact(&mut magic));
    read.or_host(|| format!("{} cannot be read", kernel.shown()))?;
    if &magic != b"\x7fELF" {
        return Ok(kernel.into());
    }
    let entry = cache.entry("guest/stand-in", Partial::Discard, |aside| {
        write_file(&aside.join("kernel"), no_kernel())
    })?;
    Ok(entry.join("kernel"))
}

/// The smallest ELF file that QEMU would start: the headers, and the note with its entry point.
fn no_kernel() -> Vec<u8> {
    const ENTRY: u64 = 16 << 20;
    const NOTE: u64 = 64 + 2 * 56;
    const NOTE_SIZE: u64 = 24;
    let words = [
        // The header: 64 bit, little-endian; an executable for x86-64; two program headers.
        [u64::from_le_bytes(*b"\x7fELF\x02\x01\x01\0"), 0, 1 << 32 | 62 << 16 | 2, ENTRY],
        [64, 0, 56 << 48 | 64 << 32, 2],
    ];
    let segment = |kind: u64| [kind, NOTE, ENTRY, ENTRY, NOTE_SIZE, NOTE_SIZE, 4];
    let read = 4 << 32;
    let segments = [elf::PT_LOAD, elf::PT_NOTE].map(|kind| segment(read | u64::from(kind.0)));
    let name = u64::from(u32::from_le_bytes(*b"Xen\0"));
    let note = [8 << 32 | 4, name << 32 | u64::from(PHYS32_ENTRY), ENTRY];
    let all = words.iter().flatten().chain(segments.iter().flatten()).chain(&note);
    all.flat_map(|word| word.to_le_bytes()).collect()
}

/// `true` if an ELF file names an entry point for PVH.
fn has_entry(kernel: &[u8]) -> bool {
    let find = || -> object::Result<bool> {
        let header = elf::FileHeader64::<Endianness>::parse(kernel)?;
        let endian = header.endian()?;
        for segment in header.program_headers(endian, kernel)? {
            let Some(mut notes) = segment.notes(endian, kernel)? else { continue };
            while let Some(note) = notes.next()? {
                if note.name() == b"Xen" && note.n_type(endian).0 == PHYS32_ENTRY {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    };
    find().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_with_the_note_has_an_entry() {
        assert!(!has_entry(b"\x7fELF"));
        assert!(has_entry(&no_kernel()));
    }
}
