//! The kernel's ELF file inside a bzImage.

use std::path::Path;

use ko::compression::{self, Compression};

use crate::{
    host::open,
    printer::Shown as _,
    problem::{OrProblem, Result},
};

/// Bytes of the largest kernel file, packed or not.
const SIZE_MAX: usize = 512 << 20;

/// Places in a bzImage's header, from Documentation/arch/x86/boot.rst of the kernel.
mod header {
    /// The number of sectors of 512 bytes in the setup, apart from the first.
    pub(super) const SETUP_SECTORS: usize = 0x1f1;
    /// Where `HdrS` stands.
    pub(super) const MAGIC: usize = 0x202;
    /// Where the packed kernel begins, counted from the end of the setup.
    pub(super) const PAYLOAD_OFFSET: usize = 0x248;
    /// The number of bytes of the packed kernel.
    pub(super) const PAYLOAD_LENGTH: usize = 0x24c;
}

/// The bytes of a kernel's image.
///
/// # Errors
/// It cannot be read, or is too large to be one.
pub fn read(image: &Path) -> Result<Vec<u8>> {
    open::read_within(image, SIZE_MAX as u64)
        .or_usage(|| format!("{} cannot be read", image.shown()))
}

/// The packed kernel in a bzImage.
pub fn payload(image: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    if image.get(header::MAGIC..header::MAGIC + 4)? != b"HdrS" {
        return None;
    }
    // A zero means four, for the oldest kernels.
    let sectors = match usize::from(image[header::SETUP_SECTORS]) {
        0 => 4,
        sectors => sectors,
    };
    let begin = (sectors + 1) * 512 + number(header::PAYLOAD_OFFSET)?;
    image.get(begin..begin.checked_add(number(header::PAYLOAD_LENGTH)?)?)
}

/// The kernel, if it is packed by zstd, xz or gzip.
pub fn unpack(payload: &[u8]) -> Option<Vec<u8>> {
    // The last four bytes are not part of the packed data: they tell the unpacked size.
    let (packed, size) = payload.split_at_checked(payload.len().checked_sub(4)?)?;
    let size = u32::from_le_bytes(size.try_into().ok()?) as usize;
    let packed = match Compression::detect(packed) {
        Compression::None => return None,
        // gzip brings its size itself, as its own last four bytes.
        Compression::Gzip => payload,
        Compression::Xz | Compression::Zstd => packed,
    };
    let mut kernel = Vec::new();
    compression::unpack(Compression::detect(packed), packed, &mut kernel, SIZE_MAX).ok()?;
    (kernel.len() == size).then_some(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[header::SETUP_SECTORS] = 1;
        image[header::MAGIC..header::MAGIC + 4].copy_from_slice(b"HdrS");
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        image[header::PAYLOAD_LENGTH..header::PAYLOAD_LENGTH + 4].copy_from_slice(&length);
        image.extend(payload);
        image
    }

    #[test]
    fn the_payload_is_found_and_unpacked() {
        let mut packed = zstd::encode_all(&b"a kernel"[..], 1).unwrap();
        packed.extend(8_u32.to_le_bytes());
        let image = image(&packed);
        assert_eq!(unpack(payload(&image).unwrap()).unwrap(), b"a kernel");
    }

    #[test]
    fn a_size_that_is_not_the_kernels_is_noticed() {
        let mut packed = zstd::encode_all(&b"a kernel"[..], 1).unwrap();
        packed.extend(9_u32.to_le_bytes());
        assert_eq!(unpack(&packed), None);
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(payload(b"text"), None);
        let mut image = image(b"");
        image[header::PAYLOAD_LENGTH..header::PAYLOAD_LENGTH + 4].fill(0xff);
        assert_eq!(payload(&image), None, "a length outside the file");
    }
}
