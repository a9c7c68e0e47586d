//! A module as kmod unpacks it: depmod and modinfo always, insmod and modprobe where the kernel
//! does not (`libkmod/libkmod-file*.c` of kmod 34).

use liblzma::stream::CONCATENATED;

use super::{
    compression::{Compression, unpack, unpack_xz, unpack_zstd},
    error::Malformed,
    kmod_facts::KmodFacts,
};

/// kmod looks at so many bytes before anything else.
const HEAD_BYTES: usize = 6;

/// A file that kmod refuses before the kernel is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{by} refuses it with {}: {reason}", .errno.name())]
pub struct KmodRefusal {
    /// The kmod.
    pub by: KmodFacts,
    /// The error that its tools print in words.
    pub errno: KmodErrno,
    /// The cause.
    pub reason: String,
}

/// The errors with which kmod itself refuses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmodErrno {
    /// `EINVAL`
    Invalid,
    /// `ENOSYS`
    NotBuiltIn,
}

impl KmodErrno {
    /// Its name in C.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "EINVAL",
            Self::NotBuiltIn => "ENOSYS",
        }
    }
}

/// The reason for which there are no unpacked bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUnpacked {
    /// kmod refuses the file.
    #[error(transparent)]
    Refused(#[from] KmodRefusal),
    /// It takes more memory than is given here; kmod might unpack it.
    #[error("{0}")]
    TooLarge(Malformed),
}

/// Looks at the first bytes as kmod does when it opens a file (`kmod_file_open()`).
///
/// # Errors
/// The file is shorter than any that kmod takes.
pub fn form_for_kmod(kmod: KmodFacts, packed: &[u8]) -> Result<Compression, KmodRefusal> {
    if packed.len() < HEAD_BYTES {
        let reason = format!("a file of {} bytes, fewer than {HEAD_BYTES}", packed.len());
        return Err(KmodRefusal { by: kmod, errno: KmodErrno::Invalid, reason });
    }
    Ok(Compression::detect(packed))
}

/// Unpacks a whole file of this form to the end of `plain`, which then holds at most `bytes_max`.
///
/// # Errors
/// kmod refuses it, or it is larger than the limit.
pub fn unpack_for_kmod(
    kmod: KmodFacts,
    form: Compression,
    packed: &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), NotUnpacked> {
    let refuse = |errno, reason: String| NotUnpacked::from(KmodRefusal { by: kmod, errno, reason });
    if !kmod.unpacks(form) {
        let reason = format!("it was built without the library for {}", form.name());
        return Err(refuse(KmodErrno::NotBuiltIn, reason));
    }
    let unpacked = match form {
        Compression::Xz => unpack_xz(packed, CONCATENATED, plain, bytes_max),
        Compression::Zstd => {
            let stated = ZstdHeader::parse(packed).and_then(|header| header.content_size);
            let Some(size @ 1..) = stated else {
                let reason = "the first frame of the zstd data does not state the content's size";
                return Err(refuse(KmodErrno::Invalid, reason.into()));
            };
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > bytes_max {
                return Err(NotUnpacked::TooLarge(super::compression::too_large(bytes_max)));
            }
            if !has_whole_zstd_frames(packed) {
                let reason = "the zstd data is cut short, or other bytes follow it";
                return Err(refuse(KmodErrno::Invalid, reason.into()));
            }
            // The stated size is all the room that there is for what all frames hold.
            return unpack_zstd(packed, plain, size)
                .map_err(|malformed| refuse(KmodErrno::Invalid, malformed.to_string()));
        }
        Compression::Gzip | Compression::None => unpack(form, packed, plain, bytes_max),
    };
    match unpacked {
        Err(malformed) if plain.len() > bytes_max => Err(NotUnpacked::TooLarge(malformed)),
        Err(malformed) => Err(refuse(KmodErrno::Invalid, malformed.to_string())),
        Ok(()) => Ok(()),
    }
}

/// The header of a zstd frame (RFC 8878, 3.1.1.1).
struct ZstdHeader {
    /// Its own size.
    bytes: usize,
    /// The content's size, if it is stated.
    content_size: Option<u64>,
    has_checksum: bool,
}

impl ZstdHeader {
    fn parse(frame: &[u8]) -> Option<Self> {
        const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
        const SINGLE_SEGMENT: u8 = 1 << 5;
        const RESERVED: u8 = 1 << 3;
        const CHECKSUM: u8 = 1 << 2;
        let (&descriptor, rest) = frame.strip_prefix(&MAGIC)?.split_first()?;
        if descriptor & RESERVED != 0 {
            return None;
        }
        let is_single = descriptor & SINGLE_SEGMENT != 0;
        let before = usize::from(!is_single) + [0, 1, 2, 4][usize::from(descriptor & 3)];
        let (size_bytes, more) = match descriptor >> 6 {
            0 => (usize::from(is_single), 0),
            1 => (2, 256),
            2 => (4, 0),
            _ => (8, 0),
        };
        let field = rest.get(before..before + size_bytes)?;
        let number = field.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
        Some(Self {
            bytes: MAGIC.len() + 1 + before + size_bytes,
            content_size: (size_bytes > 0).then_some(number + more),
            has_checksum: descriptor & CHECKSUM != 0,
        })
    }
}

/// Returns `true` if a file is made of whole frames, by their own sizes: the decoder that unpacks
/// them does not miss their end.
fn has_whole_zstd_frames(mut packed: &[u8]) -> bool {
    while !packed.is_empty() {
        match zstd_frame_bytes(packed).and_then(|bytes| packed.get(bytes..)) {
            Some(rest) => packed = rest,
            None => return false,
        }
    }
    true
}

/// The size of a frame with its blocks (RFC 8878, 3.1.1.2), or of one that is to be skipped.
fn zstd_frame_bytes(frame: &[u8]) -> Option<usize> {
    const SKIPPABLE: u32 = 0x184d_2a50;
    const RLE: usize = 1;
    let word = |at: usize| Some(u32::from_le_bytes(frame.get(at..at + 4)?.try_into().ok()?));
    if word(0)? & !0xf == SKIPPABLE {
        return 8usize.checked_add(word(4)? as usize);
    }
    let header = ZstdHeader::parse(frame)?;
    let mut at = header.bytes;
    loop {
        let &[low, middle, high] = frame.get(at..at + 3)? else { return None };
        let block = u32::from_le_bytes([low, middle, high, 0]) as usize;
        let (is_last, kind, size) = (block & 1 == 1, block >> 1 & 3, block >> 3);
        at += 3 + if kind == RLE { 1 } else { size };
        if is_last {
            return Some(at + if header.has_checksum { 4 } else { 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"one two three one two three one two three four";
    const SKIPPABLE: [u8; 9] = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7];

    fn unpacked(packed: &[u8]) -> Result<Vec<u8>, &'static str> {
        let (kmod, mut plain) = (KmodFacts::TRIXIE, Vec::new());
        let form = form_for_kmod(kmod, packed).map_err(|refusal| refusal.errno.name())?;
        match unpack_for_kmod(kmod, form, packed, &mut plain, 1 << 20) {
            Ok(()) => Ok(plain),
            Err(NotUnpacked::Refused(refusal)) => Err(refusal.errno.name()),
            Err(NotUnpacked::TooLarge(_)) => Err("too large"),
        }
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(plain, 1).unwrap()
    }

    /// As from a pipe, whose length nobody knows.
    fn zstd_without_size(plain: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn zstd_frames_have_the_room_that_the_first_states() {
        let whole = zstd(PLAIN);
        let (first, second) = PLAIN.split_at(9);
        assert_eq!(unpacked(&whole).unwrap(), PLAIN);
        for more in [&zstd(b"")[..], &SKIPPABLE] {
            assert_eq!(unpacked(&[&whole, more].concat()).unwrap(), PLAIN);
        }
        for refused in [
            [zstd(first), zstd(second)].concat(),
            zstd_without_size(PLAIN),
            [&whole[..], b"after"].concat(),
            whole[..whole.len() - 1].to_vec(),
            zstd(b""),
        ] {
            assert_eq!(unpacked(&refused), Err("EINVAL"), "{refused:x?}");
        }
    }

    #[test]
    fn forms_that_kmod_was_not_built_for_are_not_unpacked() {
        assert_eq!(unpacked(b"\x1f\x8b\x08\0\0\0\0"), Err("ENOSYS"));
        assert_eq!(unpacked(b"\x1f\x8b\x08"), Err("EINVAL"));
    }
}
