//! The compression of a module, and its unpacked bytes: xz, zstd or gzip.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use liblzma::stream::{Action, Error, Filters, IGNORE_CHECK, Status, Stream};
use ruzstd::decoding::{
    StreamingDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError::SkipFrame},
};

use crate::error::Malformed;

/// The largest module read: ten times the largest that Debian ships.
pub const UNPACKED_BYTES_MAX: usize = 320 << 20;
/// The memory that a decoder may use beside its output. A dictionary of 64 MiB, as `xz -9` uses,
/// fits.
const DECODER_BYTES_MAX: u64 = 128 << 20;
/// The largest window a zstd frame may ask for: that of `zstd --ultra -22`. The decoder holds as
/// much.
const ZSTD_WINDOW_BYTES_MAX: u64 = 128 << 20;

/// The compression of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `.ko.xz`
    Xz,
    /// `.ko.zst`
    Zstd,
    /// `.ko.gz`
    Gzip,
}

impl Compression {
    /// Its name; of a file that is not packed, "plain".
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// Looks at the first bytes, as kmod does (`libkmod/libkmod-file.c`), and not at the name.
    pub fn detect(bytes: &[u8]) -> Self {
        match bytes {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x1f, 0x8b, ..] => Self::Gzip,
            _ => Self::None,
        }
    }
}

/// Unpacks a whole file to the end of `plain`, which then holds at most `bytes_max`.
///
/// # Errors
/// A file that is cut short, damaged, or larger than the limit.
pub fn unpack(
    compression: Compression,
    packed: &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Malformed> {
    match compression {
        Compression::None if packed.len() > bytes_max => Err(too_large(bytes_max)),
        Compression::None => {
            plain.extend_from_slice(packed);
            Ok(())
        }
        Compression::Xz => unpack_xz(packed, 0, plain, bytes_max),
        Compression::Zstd => unpack_zstd(packed, plain, bytes_max),
        Compression::Gzip => {
            unpack_stream("gzip data", MultiGzDecoder::new(packed), plain, bytes_max)
        }
    }
}

/// The end of a decoder of raw LZMA2 data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LzmaEnd {
    /// At its end mark, after so many bytes.
    Complete(usize),
    /// The data ends too early.
    Truncated,
    /// The data contradicts itself.
    Damaged,
    /// It was not decoded: it is larger than the limit, or the decoder cannot be made.
    Refused,
}

/// The CRC32 that xz uses.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Unpacks LZMA2 data as it stands in a block of an xz file, without the block's headers, to the
/// end of `plain`, which then holds at most `bytes_max`. The first byte of a chunk, which is zero,
/// may be any: the kernel's decoder shifts it out (`rc_read_init()`, `lib/xz/xz_dec_lzma2.c`), and
/// liblzma refuses it. `properties` is the byte of the dictionary's size, `branch` the id of a
/// branch filter before it, of those that xz has.
pub fn unpack_lzma2(
    packed: &[u8],
    properties: u8,
    branch: Option<u8>,
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> LzmaEnd {
    let begin = plain.len();
    let end = decode_lzma2(packed, properties, branch, plain, bytes_max);
    if end != LzmaEnd::Damaged {
        return end;
    }
    let Some(packed) = with_zeros_first(packed) else { return end };
    plain.truncate(begin);
    decode_lzma2(&packed, properties, branch, plain, bytes_max)
}

/// The data with a zero at the beginning of each chunk; `None` when it has them already.
fn with_zeros_first(packed: &[u8]) -> Option<Vec<u8>> {
    const LZMA: u8 = 0x80;
    const WITH_PROPERTIES: u8 = 0xc0;
    let mut changed = None;
    let mut at = 0;
    while let Some(&control) = packed.get(at).filter(|&&control| control != 0) {
        let size_at = if control >= LZMA { at + 3 } else { at + 1 };
        let Some(&[high, low]) = packed.get(size_at..size_at + 2) else { break };
        let size = usize::from(u16::from_be_bytes([high, low])) + 1;
        let data_at = size_at + 2 + usize::from(control >= WITH_PROPERTIES);
        if control >= LZMA && packed.get(data_at).is_some_and(|&first| first != 0) {
            changed.get_or_insert_with(|| packed.to_vec())[data_at] = 0;
        }
        at = data_at + size;
    }
    changed
}

fn decode_lzma2(
    packed: &[u8],
    properties: u8,
    branch: Option<u8>,
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> LzmaEnd {
    let Some(mut stream) = lzma2_decoder(properties, branch) else { return LzmaEnd::Refused };
    match run(&mut stream, packed, plain, bytes_max) {
        _ if plain.len() > bytes_max => LzmaEnd::Refused,
        Ok(Status::StreamEnd) => LzmaEnd::Complete(stream.total_in() as usize),
        Ok(_) => LzmaEnd::Truncated,
        Err(Error::Data) => LzmaEnd::Damaged,
        Err(_) => LzmaEnd::Refused,
    }
}

/// Decodes until something ends it: an end mark, the end of the data, an error, or a byte more than
/// the limit.
fn run(
    stream: &mut Stream,
    packed: &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<Status, Error> {
    loop {
        // One byte past the limit is enough to see that it is passed.
        if plain.len() == plain.capacity() {
            plain.reserve(packed.len().max(plain.len()).max(4096).min(bytes_max) + 1);
        }
        let rest = packed.get(stream.total_in() as usize..).unwrap_or_default();
        match stream.process_vec(rest, plain, Action::Finish) {
            Ok(Status::Ok | Status::GetCheck) if plain.len() <= bytes_max => {}
            end => return end,
        }
    }
}

fn lzma2_decoder(properties: u8, branch: Option<u8>) -> Option<Stream> {
    // Twice this step is the exponent (the .xz format, 5.3.1): a larger dictionary takes more
    // memory than is given here.
    const STEP_MAX: u8 = 2 * (27 - 12);
    if properties > STEP_MAX {
        return None;
    }
    let mut filters = Filters::new();
    match branch {
        None => {}
        Some(4) => _ = filters.x86(),
        Some(5) => _ = filters.powerpc(),
        Some(7) => _ = filters.arm(),
        Some(8) => _ = filters.arm_thumb(),
        Some(9) => _ = filters.sparc(),
        Some(10) => _ = filters.arm64(),
        Some(11) => _ = filters.riscv(),
        Some(_) => return None,
    }
    filters.lzma2_properties(&[properties]).ok()?;
    Stream::new_raw_decoder(&filters).ok()
}

/// Unpacks what the kernel's decoders of zstd and gzip would (`kernel/module/decompress.c`): the
/// first frame alone, whatever follows it; of gzip with no header field but the name, and without
/// its checksum. None where it is damaged, or larger than `bytes_max`.
pub fn unpack_as_kernel(
    compression: Compression,
    packed: &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Option<()> {
    match compression {
        Compression::None | Compression::Xz => None,
        Compression::Zstd => unpack_zstd_frame(&mut &*packed, plain, bytes_max).ok(),
        Compression::Gzip => {
            let decoder = DeflateDecoder::new(gzip_data(packed)?);
            unpack_stream("gzip data", decoder, plain, bytes_max).ok()
        }
    }
}

/// Returns the data after the header of a gzip file, if that has no field but a name.
fn gzip_data(packed: &[u8]) -> Option<&[u8]> {
    const HEADER_BYTES: usize = 10;
    const NAME: u8 = 8;
    let (header, rest) = packed.split_at_checked(HEADER_BYTES)?;
    match header[3] {
        0 => Some(rest),
        NAME => Some(&rest[rest.iter().position(|&byte| byte == 0)? + 1..]),
        _ => None,
    }
}

/// The error for more than `bytes_max` unpacked bytes.
pub fn too_large(bytes_max: usize) -> Malformed {
    Malformed::new(bytes_max as u64, format!("a module of at most {bytes_max} bytes"), "more")
}

/// Unpacks xz data; `flags` are liblzma's.
pub(crate) fn unpack_xz(
    packed: &[u8],
    flags: u32,
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Malformed> {
    let layout = XzLayout::parse(packed);
    let own_check = layout.and_then(|layout| layout.crc32);
    let flags = if own_check.is_some() { flags | IGNORE_CHECK } else { flags };
    let refuse =
        |stream: &Stream, found: String| Malformed::new(stream.total_in(), "xz data", found);
    let mut stream = Stream::new_stream_decoder(DECODER_BYTES_MAX, flags)
        .map_err(|error| Malformed::new(0, "memory for an xz decoder", error.to_string()))?;
    plain.reserve_exact(layout.map_or(0, |layout| layout.unpacked_bytes).min(bytes_max));
    match run(&mut stream, packed, plain, bytes_max) {
        _ if plain.len() > bytes_max => return Err(too_large(bytes_max)),
        Ok(Status::StreamEnd) => {}
        Ok(_) => return Err(refuse(&stream, "a file that is cut short".into())),
        Err(error) => return Err(refuse(&stream, error.to_string())),
    }
    match own_check {
        Some(expected) if crc32fast::hash(plain) != expected => {
            Err(refuse(&stream, "data that differs from its CRC32".into()))
        }
        _ => Ok(()),
    }
}

/// The facts at the end of an xz file about all of it (the .xz format, 2.1 and 4). It has not been
/// checked: it serves to make room at once, and to find the check of a single block.
#[derive(Clone, Copy)]
struct XzLayout {
    unpacked_bytes: usize,
    /// The CRC32 of the unpacked data, when the file has one block and this kind of check. It is
    /// then computed by `crc32fast`, several times faster than by the bundled liblzma, which is
    /// built without the processor's own instructions for it: 5 % of the whole time of a tree.
    crc32: Option<u32>,
}

impl XzLayout {
    fn parse(packed: &[u8]) -> Option<Self> {
        let index_end = packed.len().checked_sub(12)?;
        let footer = &packed[index_end..];
        let backward = u32::from_le_bytes(footer.get(4..8)?.try_into().ok()?);
        let index_bytes = (backward as usize).checked_add(1)?.checked_mul(4)?;
        let index_start = index_end.checked_sub(index_bytes)?;
        let mut rest = packed.get(index_start..index_end)?.strip_prefix(&[0])?;
        let blocks = xz_number(&mut rest)?;
        let (mut unpacked, mut packed_blocks) = (0u64, 0u64);
        for _ in 0..blocks.min(index_bytes as u64) {
            packed_blocks = packed_blocks.checked_add(xz_number(&mut rest)?)?;
            unpacked = unpacked.checked_add(xz_number(&mut rest)?)?;
        }
        // LZMA2's best is about 7000 times.
        let unpacked_bytes = usize::try_from(unpacked).ok()?;
        if unpacked_bytes / 8192 > packed.len() {
            return None;
        }
        const CHECK_CRC32: u8 = 1;
        let is_crc32 = packed.get(7)? & 0x0f == CHECK_CRC32;
        let block_end = usize::try_from(packed_blocks).ok()?.checked_add(12)?;
        let padded_end = block_end.checked_next_multiple_of(4)?;
        let crc32 = (blocks == 1 && is_crc32 && padded_end == index_start).then(|| {
            let check = packed.get(index_start.checked_sub(4)?..index_start)?;
            Some(u32::from_le_bytes(check.try_into().ok()?))
        });
        Some(Self { unpacked_bytes, crc32: crc32.flatten() })
    }
}

/// A number of the .xz format: seven bits a byte, the lowest first.
fn xz_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Unpacks all frames of a file, and skips those that hold no data.
pub(crate) fn unpack_zstd(
    mut packed: &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Malformed> {
    while !packed.is_empty() {
        unpack_zstd_frame(&mut packed, plain, bytes_max)?;
    }
    Ok(())
}

/// Unpacks the first frame, and takes it off.
fn unpack_zstd_frame(
    packed: &mut &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Malformed> {
    let refuse = |found: String| Malformed::new(0, "zstd data", found);
    let header = *packed;
    let mut frame = match StreamingDecoder::new(&mut *packed) {
        Ok(frame) => frame,
        Err(FrameDecoderError::ReadFrameHeaderError(SkipFrame { length, .. })) => {
            *packed = packed.get(length as usize..).unwrap_or_default();
            return Ok(());
        }
        Err(error) => return Err(refuse(error.to_string())),
    };
    let window = zstd_window(header).unwrap_or(frame.decoder.content_size());
    if window > ZSTD_WINDOW_BYTES_MAX {
        return Err(refuse(format!("a window of {window} bytes")));
    }
    unpack_stream("zstd data", &mut frame, plain, bytes_max)?;
    let decoder = frame.into_frame_decoder();
    let check = decoder.get_checksum_from_data();
    if check.is_some() && check != decoder.get_calculated_checksum() {
        return Err(refuse("data that differs from its checksum".into()));
    }
    Ok(())
}

/// The bytes of a frame's window (RFC 8878, 3.1.1.1.2), unless all of it is one segment.
fn zstd_window(frame: &[u8]) -> Option<u64> {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    let descriptor = *frame.get(5).filter(|_| frame[4] & SINGLE_SEGMENT == 0)?;
    let base = 1 << (10 + (descriptor >> 3));
    Some(base + base / 8 * u64::from(descriptor & 7))
}

fn unpack_stream(
    what: &str,
    decoder: impl Read,
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Malformed> {
    match decoder.take(bytes_max as u64 + 1).read_to_end(plain) {
        Ok(_) if plain.len() <= bytes_max => Ok(()),
        Ok(_) => Err(too_large(bytes_max)),
        Err(error) => {
            let found = format!("{error} after {} unpacked bytes", plain.len());
            Err(Malformed::new(0, what, found))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xz(plain: &[u8], check: liblzma::stream::Check) -> Vec<u8> {
        let mut packed = Vec::with_capacity(plain.len() + 1000);
        let mut stream = Stream::new_easy_encoder(0, check).unwrap();
        stream.process_vec(plain, &mut packed, Action::Finish).unwrap();
        packed
    }

    fn unpacked(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, Malformed> {
        let mut plain = Vec::new();
        unpack(Compression::detect(packed), packed, &mut plain, bytes_max).map(|()| plain)
    }

    const PLAIN: &[u8] = b"one two three one two three one two three four";

    #[test]
    fn every_packing_comes_back() {
        use liblzma::stream::Check;
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(PLAIN).unwrap();
        for packed in [
            xz(PLAIN, Check::Crc32),
            xz(PLAIN, Check::Crc64),
            zstd::encode_all(PLAIN, 1).unwrap(),
            gzip.finish().unwrap(),
            PLAIN.to_vec(),
        ] {
            assert_eq!(unpacked(&packed, 1000).unwrap(), PLAIN);
            let error = unpacked(&packed, PLAIN.len() - 1).unwrap_err();
            assert!(error.expected.contains("at most 45 bytes"), "{error}");
        }
    }

    #[test]
    fn a_flipped_bit_in_xz_is_noticed_wherever_it_is() {
        use liblzma::stream::Check;
        for check in [Check::Crc32, Check::Crc64] {
            let packed = xz(PLAIN, check);
            for at in 6..packed.len() {
                let mut damaged = packed.clone();
                damaged[at] ^= 0x10;
                assert!(unpacked(&damaged, 1000).is_err(), "{check:?} {at}");
            }
        }
    }

    #[test]
    fn a_zstd_file_may_have_several_frames_and_a_wide_window() {
        use std::io::Write as _;
        let frame = |window_log| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.window_log(window_log).unwrap();
            encoder.write_all(PLAIN).unwrap();
            encoder.finish().unwrap()
        };
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7];
        let packed = [frame(27).as_slice(), &skipped, &frame(10)].concat();
        assert_eq!(unpacked(&packed, 1000).unwrap(), [PLAIN, PLAIN].concat());
        assert!(unpacked(&packed, PLAIN.len()).is_err(), "the limit is that of all frames");

        let error = unpacked(&frame(28), 1000).unwrap_err();
        assert!(error.found.contains("a window of 268435456 bytes"), "{error}");

        let mut damaged = frame(10);
        *damaged.last_mut().unwrap() ^= 1;
        let error = unpacked(&damaged, 1000).unwrap_err();
        assert!(error.found.contains("differs from its checksum"), "{error}");
        assert!(unpacked(&frame(10)[..20], 1000).is_err());
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 1 << 20];
        let packed = xz(&zeros, liblzma::stream::Check::Crc32);
        assert!(unpacked(&packed, 1 << 16).is_err());
        assert!(unpacked(&zstd::encode_all(&zeros[..], 1).unwrap(), 1 << 16).is_err());
    }
}
