//! A module as it lies on disk: plain, or packed by xz, zstd or gzip.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use liblzma::stream::{Action, Status, Stream};

use super::damage::Damage;

/// The largest module read: ten times the largest that Debian ships.
pub const UNPACKED_BYTES_MAX: usize = 320 << 20;
/// What a decoder may use beside its output. A dictionary of 64 MiB, as `xz -9` uses, fits.
const DECODER_BYTES_MAX: u64 = 128 << 20;
/// `log2` of the largest window a zstd frame may ask for: that of `zstd --ultra -22`.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Why a module could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system's own words.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The bytes are not what their form asks for.
    #[error("{0}")]
    Damaged(#[from] Damage),
}

/// How a module is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// `.ko.xz`
    Xz,
    /// `.ko.zst`
    Zstd,
    /// `.ko.gz`
    Gzip,
}

impl Packing {
    /// Told by the first bytes, as kmod does (`libkmod/libkmod-file.c`), not by the name.
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x1f, 0x8b, ..] => Self::Gzip,
            _ => Self::None,
        }
    }
}

/// Room to read modules into, one after the other.
#[derive(Debug, Default)]
pub struct Buffer {
    packed: Vec<u8>,
    plain: Vec<u8>,
}

impl Buffer {
    /// Room larger than this is given back before the next module: one of 30 MB must not stay
    /// resident in every thread.
    const KEPT_BYTES_MAX: usize = 4 << 20;

    /// Reads a file and unpacks it.
    ///
    /// # Errors
    /// What the system says, or what is wrong with a packed file.
    pub fn read(&mut self, path: &Path) -> Result<&[u8], FileError> {
        self.shrink();
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        self.packed.clear();
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(UNPACKED_BYTES_MAX);
        self.packed.try_reserve_exact(size).map_err(io::Error::from)?;
        file.by_ref().take(UNPACKED_BYTES_MAX as u64 + 1).read_to_end(&mut self.packed)?;
        if self.packed.len() > UNPACKED_BYTES_MAX {
            return Err(too_large(UNPACKED_BYTES_MAX).into());
        }
        match Packing::of(&self.packed) {
            Packing::None => Ok(&self.packed),
            packing => {
                self.plain.clear();
                unpack(packing, &self.packed, &mut self.plain, UNPACKED_BYTES_MAX)?;
                Ok(&self.plain)
            }
        }
    }

    fn shrink(&mut self) {
        for room in [&mut self.packed, &mut self.plain] {
            if room.capacity() > Self::KEPT_BYTES_MAX {
                *room = Vec::new();
            }
        }
    }
}

/// Unpacks a whole file to the end of `plain`, which then holds at most `bytes_max`.
///
/// # Errors
/// A file that is cut short, damaged, or larger than the limit.
pub fn unpack(
    packing: Packing,
    packed: &[u8],
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Damage> {
    match packing {
        Packing::None => {
            if packed.len() > bytes_max {
                return Err(too_large(bytes_max));
            }
            plain.extend_from_slice(packed);
            Ok(())
        }
        Packing::Xz => unpack_xz(packed, plain, bytes_max),
        Packing::Zstd => unpack_zstd(packed, plain, bytes_max),
        Packing::Gzip => unpack_stream(
            "gzip data",
            flate2::bufread::MultiGzDecoder::new(packed),
            plain,
            bytes_max,
        ),
    }
}

fn too_large(bytes_max: usize) -> Damage {
    Damage::new(bytes_max as u64, format!("a module of at most {bytes_max} bytes"), "more")
}

fn unpack_xz(packed: &[u8], plain: &mut Vec<u8>, bytes_max: usize) -> Result<(), Damage> {
    let refuse = |stream: &Stream, found: String| Damage::new(stream.total_in(), "xz data", found);
    let mut stream = Stream::new_stream_decoder(DECODER_BYTES_MAX, 0)
        .map_err(|error| Damage::new(0, "memory for an xz decoder", error.to_string()))?;
    plain.reserve_exact(xz_unpacked_bytes(packed).unwrap_or(0).min(bytes_max));
    loop {
        if plain.len() == plain.capacity() {
            plain.reserve((packed.len()).max(plain.len()).clamp(4096, bytes_max));
        }
        let rest = packed.get(stream.total_in() as usize..).unwrap_or_default();
        match stream.process_vec(rest, plain, Action::Finish) {
            Ok(Status::StreamEnd) if plain.len() <= bytes_max => return Ok(()),
            _ if plain.len() > bytes_max => return Err(too_large(bytes_max)),
            Ok(Status::MemNeeded) => {
                return Err(refuse(&stream, "a file that is cut short".into()));
            }
            Ok(_) => {}
            Err(error) => return Err(refuse(&stream, error.to_string())),
        }
    }
}

/// What the index at the end of an xz file says its blocks unpack to (the .xz format, 2.1.2 and
/// 4): good for making room at once, and for nothing else, since nobody has checked it.
fn xz_unpacked_bytes(packed: &[u8]) -> Option<usize> {
    let footer = packed.get(packed.len().checked_sub(12)?..)?;
    let backward = u32::from_le_bytes(footer.get(4..8)?.try_into().ok()?);
    let index_bytes = (backward as usize).checked_add(1)?.checked_mul(4)?;
    let start = packed.len().checked_sub(12)?.checked_sub(index_bytes)?;
    let index = packed.get(start..start + index_bytes)?;
    let mut rest = index.strip_prefix(&[0])?;
    let blocks = xz_number(&mut rest)?;
    let mut sum: u64 = 0;
    for _ in 0..blocks.min(index_bytes as u64) {
        xz_number(&mut rest)?;
        sum = sum.checked_add(xz_number(&mut rest)?)?;
    }
    // A file cannot unpack to more than this many times itself (LZMA2's best is about 7000).
    usize::try_from(sum).ok().filter(|&sum| sum / 8192 <= packed.len())
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

fn unpack_zstd(packed: &[u8], plain: &mut Vec<u8>, bytes_max: usize) -> Result<(), Damage> {
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        Ok(decoder)
    });
    let decoder =
        decoder.map_err(|error| Damage::new(0, "memory for a zstd decoder", error.to_string()))?;
    unpack_stream("zstd data", decoder, plain, bytes_max)
}

fn unpack_stream(
    what: &str,
    decoder: impl Read,
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Damage> {
    match decoder.take(bytes_max as u64 + 1).read_to_end(plain) {
        Ok(_) if plain.len() <= bytes_max => Ok(()),
        Ok(_) => Err(too_large(bytes_max)),
        Err(error) => {
            let found = format!("{error} after {} unpacked bytes", plain.len());
            Err(Damage::new(0, what, found))
        }
    }
}
