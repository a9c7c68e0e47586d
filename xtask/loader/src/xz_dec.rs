//! The kernel's XZ decoder (`lib/xz/xz_dec_stream.c` of 7.3.4), check by check in its order: what a
//! file is refused for, the status in the log tells.

use crate::raw_elf::u32_at;
use ko::compression::{LzmaEnd, crc32, unpack_lzma2};

/// `enum xz_ret` (`include/linux/xz.h`), as far as a file brings it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// `XZ_OK`, although the file has ended.
    Truncated = 0,
    Options = 6,
    Data = 7,
}

/// Why a file is not unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The decoder's status, what was found, and whether another check than CRC32 is the cause.
    Status(Status, String, bool),
    /// The decoder wants so much memory, or makes so much, that it is not modeled.
    TooLarge,
}

type Decoded<T> = Result<T, Refused>;

const HEADER_BYTES: usize = 12;
const LZMA2: u8 = 0x21;
/// More than this in `s->dict.size` is `XZ_OPTIONS_ERROR` (`xz_dec_lzma2_reset()`).
const DICTIONARY_MAX: u8 = 39;

/// The branch filters of xz by their configuration and their id (`xz_dec_bcj_reset()`,
/// `lib/xz/xz_dec_bcj.c`).
pub(super) const XZ_FILTERS: [(&str, u8); 7] = [
    ("XZ_DEC_X86", 4),
    ("XZ_DEC_POWERPC", 5),
    ("XZ_DEC_ARM", 7),
    ("XZ_DEC_ARMTHUMB", 8),
    ("XZ_DEC_SPARC", 9),
    ("XZ_DEC_ARM64", 10),
    ("XZ_DEC_RISCV", 11),
];

fn fail<T>(status: Status, what: impl Into<String>) -> Decoded<T> {
    Err(Refused::Status(status, what.into(), false))
}

fn damaged<T>(what: &str) -> Decoded<T> {
    fail(Status::Data, format!("an xz file whose {what}"))
}

/// The bytes that are left.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, bytes: usize) -> Decoded<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(bytes) else {
            return fail(Status::Truncated, "an xz file that is cut short");
        };
        self.0 = rest;
        Ok(taken)
    }

    /// The header of a block, whose first byte tells how long it is.
    fn block_header(&mut self) -> Decoded<&'a [u8]> {
        self.take(self.0.first().map_or(1, |&size| (usize::from(size) + 1) * 4))
    }

    fn byte(&mut self) -> Decoded<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    /// Bytes that must have these values, one after the other.
    fn matches(&mut self, wanted: &[u8], what: &str) -> Decoded<()> {
        for &wanted in wanted {
            if self.byte()? != wanted {
                return damaged(what);
            }
        }
        Ok(())
    }

    /// `dec_vli()`.
    fn number(&mut self) -> Decoded<u64> {
        let mut number = 0;
        for place in 0..9 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return if byte == 0 && place > 0 {
                    damaged("numbers are padded")
                } else {
                    Ok(number)
                };
            }
        }
        damaged("numbers are too long")
    }
}

/// The header of a block.
struct Block {
    header_bytes: u64,
    packed: Option<u64>,
    unpacked: Option<u64>,
    branch: Option<u8>,
    dictionary: u8,
}

/// The file, unpacked: its first stream, whatever follows.
pub(super) fn unpack(file: &[u8], filters: &[u8], bytes_max: usize) -> Decoded<Vec<u8>> {
    let mut input = Input(file);
    let has_crc = stream_header(input.take(HEADER_BYTES)?)?;
    let mut plain = Vec::new();
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    while input.0.first() != Some(&0) {
        let block = block_header(input.block_header()?, filters)?;
        blocks.push(block_data(&mut input, &block, has_crc, &mut plain, bytes_max)?);
    }
    index(&mut input, &blocks, has_crc)?;
    Ok(plain)
}

/// The part of a file that [`refuses_form`] looks at.
pub(super) const FORM_BYTES: usize = HEADER_BYTES + 1024;

/// `true` if the first headers of a file are sound, and of a form that the decoder lacks.
pub(super) fn refuses_form(head: &[u8], filters: &[u8]) -> bool {
    let mut input = Input(head);
    let mut headers = || -> Decoded<()> {
        stream_header(input.take(HEADER_BYTES)?)?;
        match input.0.first() {
            Some(0) | None => Ok(()),
            Some(_) => block_header(input.block_header()?, filters).map(drop),
        }
    };
    matches!(headers(), Err(Refused::Status(Status::Options, ..)))
}

/// `dec_stream_header()`: whether the blocks have a CRC32.
fn stream_header(header: &[u8]) -> Decoded<bool> {
    let flags = header.get(6..8).unwrap_or_default();
    if Some(crc32(flags)) != u32_at(header, 8) {
        return damaged("header is damaged");
    }
    let check = match flags {
        [0, 0] => return Ok(false),
        [0, 1] => return Ok(true),
        [0, 4] => "CRC64, which is xz's default",
        [0, 10] => "SHA-256",
        _ => "an unknown check",
    };
    Err(Refused::Status(Status::Options, format!("an xz file with {check}"), true))
}

/// `dec_block_header()`.
fn block_header(header: &[u8], filters: &[u8]) -> Decoded<Block> {
    let Some(end) = header.len().checked_sub(4).filter(|&end| end >= 4) else {
        return fail(Status::Truncated, "an xz file that is cut short");
    };
    if Some(crc32(&header[..end])) != u32_at(header, end) {
        return damaged("header of a block is damaged");
    }
    let form = |what: &str| fail(Status::Options, format!("an xz file with {what}"));
    let flags = header[1];
    if flags & 0x3e != 0 {
        return form("more than two filters");
    }
    let mut rest = Input(&header[2..end]);
    let mut size = |is_there: bool| {
        let number = is_there.then(|| rest.number()).transpose();
        number.or_else(|_| damaged("sizes are damaged"))
    };
    let packed = size(flags & 0x40 != 0)?;
    let unpacked = size(flags & 0x80 != 0)?;
    let mut branch = None;
    if flags & 1 != 0 {
        let &[filter, properties, ..] = rest.0 else { return form("no filter") };
        if !filters.contains(&filter) {
            return form(&format!("the filter {filter}, which the kernel does not have"));
        }
        if properties != 0 {
            return form("a filter that starts at an offset");
        }
        branch = Some(filter);
        rest.0 = &rest.0[2..];
    }
    let &[filter, properties, ref last @ ..] = rest.0 else {
        return damaged("filter is cut short");
    };
    if filter != LZMA2 || properties != 1 {
        return form("another filter than LZMA2");
    }
    let Some((&dictionary, padding)) = last.split_first() else {
        return damaged("filter is cut short");
    };
    if dictionary > DICTIONARY_MAX {
        return form("a dictionary of 4 GiB");
    }
    if padding.iter().any(|&byte| byte != 0) {
        return form("a header that is longer than the kernel knows");
    }
    Ok(Block { header_bytes: header.len() as u64, packed, unpacked, branch, dictionary })
}

/// `dec_block()` and what follows it: the record that the index must have of the block.
fn block_data(
    input: &mut Input<'_>,
    block: &Block,
    has_crc: bool,
    plain: &mut Vec<u8>,
    bytes_max: usize,
) -> Decoded<(u64, u64)> {
    let begin = plain.len();
    let end = unpack_lzma2(input.0, block.dictionary, block.branch, plain, bytes_max);
    let unpacked = (plain.len() - begin) as u64;
    let exceeds = |limit: Option<u64>, found: u64| limit.is_some_and(|limit| found > limit);
    let packed = match end {
        LzmaEnd::Complete(packed) => packed as u64,
        LzmaEnd::Damaged => return damaged("data is damaged"),
        LzmaEnd::Refused => return Err(Refused::TooLarge),
        LzmaEnd::Truncated => {
            let is_beyond =
                exceeds(block.packed, input.0.len() as u64) || exceeds(block.unpacked, unpacked);
            if is_beyond {
                return damaged("sizes are not those of its data");
            }
            return fail(Status::Truncated, "an xz file that is cut short");
        }
    };
    let differs = |stated: Option<u64>, found: u64| stated.is_some_and(|stated| stated != found);
    if differs(block.packed, packed) || differs(block.unpacked, unpacked) {
        return damaged("sizes are not those of its data");
    }
    input.take(packed as usize)?;
    input.matches(&[0; 3][..(packed.wrapping_neg() & 3) as usize], "padding is damaged")?;
    if has_crc {
        let crc = crc32(&plain[begin..]);
        input.matches(&crc.to_le_bytes(), "data differs from its CRC32")?;
    }
    Ok((block.header_bytes + packed + if has_crc { 4 } else { 0 }, unpacked))
}

/// `dec_index()` to `dec_stream_footer()`.
fn index(input: &mut Input<'_>, blocks: &[(u64, u64)], has_crc: bool) -> Decoded<()> {
    let whole = input.0;
    input.byte()?;
    if input.number()? != blocks.len() as u64 {
        return damaged("index is damaged");
    }
    let mut records = Vec::new();
    for _ in blocks {
        records.push((input.number()?, input.number()?));
    }
    while (whole.len() - input.0.len()) % 4 != 0 {
        input.matches(&[0], "index is damaged")?;
    }
    if records != blocks {
        return damaged("index is damaged");
    }
    let bytes = whole.len() - input.0.len();
    input.matches(&crc32(&whole[..bytes]).to_le_bytes(), "index is damaged")?;
    let footer = input.take(HEADER_BYTES)?;
    let is_sound = footer.ends_with(b"YZ")
        && Some(crc32(&footer[4..10])) == u32_at(footer, 0)
        && u32_at(footer, 4) == u32::try_from(bytes / 4).ok()
        && footer[8..10] == [0, u8::from(has_crc)];
    if is_sound { Ok(()) } else { damaged("end is damaged") }
}
