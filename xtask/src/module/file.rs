//! A module as it lies on disk: plain, or packed by xz, zstd or gzip.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
};

use liblzma::stream::{Action, IGNORE_CHECK, Status, Stream};

use super::{
    damage::Damage,
    elf::{Elf, Section},
};

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
    /// Its length is the room there is; a file fills the beginning.
    packed: Vec<u8>,
    plain: Vec<u8>,
    parts: Parts,
}

/// Room for parts of a file at their places, zero elsewhere.
#[derive(Debug, Default)]
struct Parts {
    bytes: Vec<u8>,
    filled: Vec<Range<usize>>,
}

impl Parts {
    /// Makes room, all of it zero: only what was filled is written to, since that is less.
    fn clear(&mut self, size: usize) {
        if self.bytes.len() < size {
            // Zero pages come from the system untouched; most of them stay so.
            *self = Self { bytes: vec![0; size.max(Buffer::KEPT_BYTES_MAX)], filled: Vec::new() };
        }
        self.filled.drain(..).for_each(|range| self.bytes[range].fill(0));
    }

    /// Reads a part of a file into its place.
    fn fill(&mut self, file: &File, range: Range<usize>) -> Option<()> {
        let part = self.bytes.get_mut(range.clone())?;
        self.filled.push(range.clone());
        file.read_exact_at(part, range.start as u64).ok()
    }
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
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        self.read_file(&file, size)
    }

    /// Reads an open file from its beginning and unpacks it. It may have another size than the one
    /// that is expected.
    ///
    /// # Errors
    /// As [`Buffer::read`].
    pub fn read_file(&mut self, file: &File, expected: u64) -> Result<&[u8], FileError> {
        self.shrink();
        let length = self.fill(file, usize::try_from(expected).unwrap_or(usize::MAX))?;
        let packed = &self.packed[..length];
        match Packing::of(packed) {
            Packing::None => Ok(packed),
            packing => {
                self.plain.clear();
                unpack(packing, packed, &mut self.plain, UNPACKED_BYTES_MAX)?;
                Ok(&self.plain)
            }
        }
    }

    /// Reads of a large unpacked module only the sections that are asked for; the rest of the bytes
    /// is zero. `None` for a file that is small, packed, of another size than expected, or not laid
    /// out as a module: then [`Buffer::read_file`] is for it.
    ///
    /// Two thirds of a tree is code and type information, which no tie to another module is in.
    pub fn read_sections(
        &mut self,
        file: &File,
        expected: u64,
        wanted: impl Fn(&Elf<'_>, &Section<'_>) -> bool,
    ) -> Option<&[u8]> {
        let size = usize::try_from(expected).ok()?;
        if !(Self::WHOLE_BYTES_MAX..UNPACKED_BYTES_MAX).contains(&size) {
            return None;
        }
        self.shrink();
        let parts = &mut self.parts;
        parts.clear(size);
        parts.fill(file, 0..64)?;
        let (table, names) = Elf::table_of(&parts.bytes[..64], size)?;
        parts.fill(file, table.clone())?;
        let names = names_range(&parts.bytes[..64], &parts.bytes[table], names)?;
        parts.fill(file, names)?;
        let mut ranges = wanted_ranges(&Elf::parse(&parts.bytes[..size]).ok()?, wanted);
        merge_near(&mut ranges);
        for range in ranges {
            parts.fill(file, range)?;
        }
        Some(&parts.bytes[..size])
    }

    /// A smaller file is read whole as fast as in parts.
    const WHOLE_BYTES_MAX: usize = 64 << 10;

    /// Reads to the end of a file: with one call for all of it, if it is as long as expected, and
    /// one that finds the end. `read_to_end()` takes twice as many.
    fn fill(&mut self, mut file: &File, expected: usize) -> Result<usize, FileError> {
        let mut room = expected.saturating_add(1).min(UNPACKED_BYTES_MAX + 1);
        let mut length = 0;
        loop {
            if self.packed.len() < room {
                let more = room - self.packed.len();
                self.packed.try_reserve_exact(more).map_err(io::Error::from)?;
                self.packed.resize(room, 0);
            }
            match file.read(&mut self.packed[length..]) {
                Ok(0) => return Ok(length),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if length > UNPACKED_BYTES_MAX {
                return Err(too_large(UNPACKED_BYTES_MAX).into());
            }
            if length == self.packed.len() {
                room = length.saturating_mul(2).min(UNPACKED_BYTES_MAX + 1);
            }
        }
    }

    fn shrink(&mut self) {
        for room in [&mut self.packed, &mut self.plain] {
            if room.capacity() > Self::KEPT_BYTES_MAX {
                *room = Vec::new();
            }
        }
        if self.parts.bytes.capacity() > Self::KEPT_BYTES_MAX {
            self.parts = Parts::default();
        }
    }
}

/// Where the names of the sections lie, by one entry of the section table.
fn names_range(header: &[u8], table: &[u8], index: usize) -> Option<Range<usize>> {
    let is_64 = header.get(4) == Some(&2);
    let is_big = header.get(5) == Some(&2);
    // sh_offset and sh_size of Elf32_Shdr and Elf64_Shdr.
    let (entry_bytes, offset_at, size_at, word) =
        if is_64 { (64, 24, 32, 8) } else { (40, 16, 20, 4) };
    let entry = table.get(index.checked_mul(entry_bytes)?..)?.get(..entry_bytes)?;
    let number = |at: usize| {
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        let digits = &entry[at..at + word];
        let value =
            if is_big { digits.iter().fold(0, add) } else { digits.iter().rev().fold(0, add) };
        usize::try_from(value).ok()
    };
    let start = number(offset_at)?;
    Some(start..start.checked_add(number(size_at)?)?)
}

fn wanted_ranges(
    elf: &Elf<'_>,
    wanted: impl Fn(&Elf<'_>, &Section<'_>) -> bool,
) -> Vec<Range<usize>> {
    let sections = elf.sections().filter(|section| wanted(elf, section));
    let mut ranges: Vec<Range<usize>> = sections.map(|section| elf.range_of(&section)).collect();
    ranges.retain(|range| !range.is_empty());
    ranges
}

/// Joins parts with little between them: a system call costs as much as a few pages.
fn merge_near(ranges: &mut Vec<Range<usize>>) {
    const GAP_BYTES_MAX: usize = 8 << 10;
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        let near = next.start <= range.end.saturating_add(GAP_BYTES_MAX);
        if near {
            range.end = range.end.max(next.end);
        }
        near
    });
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
    let layout = XzLayout::of(packed);
    let own_check = layout.and_then(|layout| layout.crc32);
    let flags = if own_check.is_some() { IGNORE_CHECK } else { 0 };
    let refuse = |stream: &Stream, found: String| Damage::new(stream.total_in(), "xz data", found);
    let mut stream = Stream::new_stream_decoder(DECODER_BYTES_MAX, flags)
        .map_err(|error| Damage::new(0, "memory for an xz decoder", error.to_string()))?;
    plain.reserve_exact(layout.map_or(0, |layout| layout.unpacked_bytes).min(bytes_max));
    loop {
        if plain.len() == plain.capacity() {
            // One byte past the limit is enough to see that it is passed.
            plain.reserve(packed.len().max(plain.len()).max(4096).min(bytes_max) + 1);
        }
        let rest = packed.get(stream.total_in() as usize..).unwrap_or_default();
        match stream.process_vec(rest, plain, Action::Finish) {
            Ok(Status::StreamEnd) if plain.len() <= bytes_max => break,
            _ if plain.len() > bytes_max => return Err(too_large(bytes_max)),
            Ok(Status::MemNeeded) => {
                return Err(refuse(&stream, "a file that is cut short".into()));
            }
            Ok(_) => {}
            Err(error) => return Err(refuse(&stream, error.to_string())),
        }
    }
    match own_check {
        Some(expected) if crc32fast::hash(plain) != expected => {
            Err(refuse(&stream, "data that differs from its CRC32".into()))
        }
        _ => Ok(()),
    }
}

/// What the end of an xz file tells of its whole (the .xz format, 2.1 and 4). Nobody has checked
/// it yet: it serves to make room at once, and to find the check of the one block there is.
#[derive(Clone, Copy)]
struct XzLayout {
    unpacked_bytes: usize,
    /// The CRC32 of the unpacked data, when the file has one block and this kind of check. It is
    /// then computed by `crc32fast`, several times faster than by the bundled liblzma, which is
    /// built without the processor's own instructions for it: 5 % of the whole time of a tree.
    crc32: Option<u32>,
}

impl XzLayout {
    fn of(packed: &[u8]) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn xz(plain: &[u8], check: liblzma::stream::Check) -> Vec<u8> {
        let mut packed = Vec::with_capacity(plain.len() + 1000);
        let mut stream = Stream::new_easy_encoder(0, check).unwrap();
        stream.process_vec(plain, &mut packed, Action::Finish).unwrap();
        packed
    }

    fn unpacked(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, Damage> {
        let mut plain = Vec::new();
        unpack(Packing::of(packed), packed, &mut plain, bytes_max).map(|()| plain)
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
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 1 << 20];
        let packed = xz(&zeros, liblzma::stream::Check::Crc32);
        assert!(unpacked(&packed, 1 << 16).is_err());
        assert!(unpacked(&zstd::encode_all(&zeros[..], 1).unwrap(), 1 << 16).is_err());
    }

    #[test]
    fn of_a_module_read_in_parts_nothing_is_left_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut buffer = Buffer::default();
        let fixtures: [&[u8]; 2] = [
            include_bytes!("../../tests/fixtures/exporter-7.3.ko"),
            include_bytes!("../../tests/fixtures/hello-7.3.ko"),
        ];
        for (bytes, all) in fixtures.into_iter().zip([true, false]) {
            // What follows the ELF makes it large enough to be read in parts.
            let bytes = [bytes, &[0xff; Buffer::WHOLE_BYTES_MAX]].concat();
            let path = folder.path().join("module.ko");
            std::fs::write(&path, &bytes).unwrap();
            let (file, size) = (File::open(&path).unwrap(), bytes.len() as u64);
            let read = buffer.read_sections(&file, size, |_, _| all).unwrap();
            assert_eq!(read.len(), bytes.len());
            assert!(read.iter().zip(&bytes).all(|(read, byte)| read == byte || *read == 0));
            let elf = Elf::parse(&bytes).unwrap();
            let mut sections = elf.sections().map(|section| elf.range_of(&section));
            assert_eq!(all, sections.all(|range| read[range.clone()] == bytes[range]));
        }
    }
}
