//! Compressed files: what the kernel's own decoder takes, given as modprobe gives them.

use flate2::write::GzEncoder;
use ko::compression::Compression;
use liblzma::stream::{Action, Check, Filters, LzmaOptions, Stream};
use loader::errno::Errno;
use std::io::Write as _;

use super::{
    cases::{EINVAL, ENOEXEC, Load, Maker, OK, Shows},
    sign::{self, Form},
};

/// Returns the kernel's words for its decoder's status.
const STATUS: [&str; 9] = [
    "decompression failed with status 0",
    "",
    "",
    "",
    "",
    "",
    "decompression failed with status 6",
    "decompression failed with status 7",
    "",
];

/// The headers of the stream and of its block.
const HEADERS_BYTES: usize = 12 + 12;
/// The bytes before the data of the first chunk: control, sizes, properties.
const FIRST_CHUNK_BYTES: usize = 6;

impl Maker<'_> {
    fn packed(&mut self, id: &str, shows: Shows, file: &[u8]) {
        // A kernel that unpacks nothing says so of every file.
        let no_support = Shows(Some(Errno::EOPNOTSUPP), "");
        let shows = if self.target.options.unpacks.is_some() { shows } else { no_support };
        self.add(id, shows, vec![Load { file: file.to_vec(), args: "", flags: 4 }]);
    }

    /// It is long because it is a list of forms.
    pub(super) fn compressed(&mut self) {
        let plain = self.built.plain.bytes.clone();
        let good = xz(&plain);
        let status = |status: usize| Shows(EINVAL, STATUS[status]);
        let loads = Shows(OK, "");
        let magic = "Invalid ELF header magic: != \x7fELF";
        let bare = Load { file: good.clone(), args: "", flags: 0 };
        self.add("packed-given-bare", Shows(ENOEXEC, magic), vec![bare]);
        self.packed("packed", loads, &good);
        for (id, check, shows) in [
            ("crc64", Check::Crc64, status(6)),
            ("sha256", Check::Sha256, status(6)),
            ("unchecked", Check::None, loads),
        ] {
            self.packed(&format!("packed-{id}"), shows, &xz_with(&plain, check));
        }
        for end in [1, 6, 8, 12, 13, 24, good.len() / 2, good.len() - 1] {
            let shows = if end < 6 { Shows(EINVAL, "not an xz compressed") } else { status(0) };
            self.packed(&format!("packed-cut-{end}"), shows, &good[..end]);
        }
        let nothing = Load { file: Vec::new(), args: "", flags: 4 };
        self.add("packed-nothing", Shows(EINVAL, ""), vec![nothing]);
        // The first byte of the data, which the kernel's decoder does not look at.
        let mut first = good.clone();
        first[HEADERS_BYTES + FIRST_CHUNK_BYTES] ^= 0x10;
        self.packed("packed-first-byte", loads, &first);
        // Each part of the container, with one bit changed.
        let len = good.len();
        for at in [6, 7, 8, 12, 13, 14, 16, 20, 24, len / 2, len - 40, len - 28, len - 12, len - 1]
        {
            let mut damaged = good.clone();
            damaged[at] ^= 0x40;
            self.packed(&format!("packed-damaged-{at}"), Shows(EINVAL, "status "), &damaged);
        }
        let mut unknown = good.clone();
        set_flags(&mut unknown, [0, 2]);
        self.packed("packed-check-unknown", status(6), &unknown);
        set_flags(&mut unknown, [1, 1]);
        self.packed("packed-flags-unknown", status(6), &unknown);
        let filter = |add: fn(&mut Filters)| {
            let mut chain = Filters::new();
            add(&mut chain);
            chain.lzma2(&LzmaOptions::new_preset(1).unwrap());
            encoded(&plain, &chain, Check::Crc32)
        };
        self.packed("packed-x86", loads, &filter(|chain| _ = chain.x86()));
        let has_arm = self.target.options.xz_filters.contains(&7);
        let arm = if has_arm { loads } else { status(6) };
        self.packed("packed-arm", arm, &filter(|chain| _ = chain.arm()));
        self.packed(
            "packed-delta",
            status(6),
            &filter(|chain| _ = chain.delta_properties(&[0]).unwrap()),
        );
        self.packed(
            "packed-two-filters",
            status(6),
            &filter(|chain| _ = chain.x86().delta_properties(&[0]).unwrap()),
        );
        let offset = filter(|chain| _ = chain.x86_properties(&[0, 16, 0, 0]).unwrap());
        self.packed("packed-filter-offset", status(6), &offset);
        self.packed("packed-followed", loads, &[good.as_slice(), b"whatever follows"].concat());
        self.packed("packed-streams-2", loads, &[good.as_slice(), good.as_slice()].concat());
        self.packed("packed-padded", loads, &[good.as_slice(), &[0; 8]].concat());
        self.packed("packed-blocks", loads, &blocks(&plain));
        for dictionary in [4096, 1 << 20, 64 << 20] {
            let mut options = LzmaOptions::new_preset(6).unwrap();
            let mut chain = Filters::new();
            chain.lzma2(options.dict_size(dictionary));
            let file = encoded(&plain, &chain, Check::Crc32);
            self.packed(&format!("packed-dictionary-{dictionary}"), loads, &file);
        }
        let is_measured =
            self.target.options.ima_appraise && self.target.rules.unpacked_is_measured;
        let empty = if is_measured {
            Shows(Some(Errno::EACCES), "")
        } else {
            Shows(ENOEXEC, "Invalid ELF header len 0")
        };
        self.packed("packed-empty", empty, &xz(b""));
        self.packed("packed-short", Shows(ENOEXEC, "Invalid ELF header len 5"), &xz(b"short"));
        self.packed("packed-twice", Shows(ENOEXEC, magic), &xz(&good));
        let page = &plain[..4096];
        let overflow = Shows(ENOEXEC, "Invalid ELF section header overflow");
        self.packed("packed-page", overflow, &xz(page));
        let signed = sign::signed(&plain, Form::default());
        self.packed("packed-signed", loads, &xz(&signed));
        self.packed("packed-elf", NO_XZ, &plain);
        self.other_compressions(&plain);
    }

    /// zstd and gzip: a kernel unpacks one kind, and that of every kernel here is XZ, or none. The
    /// beginning of the file decides, so that damage behind it changes nothing.
    fn other_compressions(&mut self, plain: &[u8]) {
        let unpacks = self.target.options.unpacks;
        assert!(matches!(unpacks, None | Some(Compression::Xz)), "{unpacks:?} has no case here");
        for (kind, whole) in [("gzip", gzip(plain)), ("zstd", zstd::encode_all(plain, 1).unwrap())]
        {
            self.packed(&format!("packed-{kind}"), NO_XZ, &whole);
            self.packed(&format!("packed-{kind}-cut"), NO_XZ, &whole[..6]);
            let mut damaged = whole.clone();
            damaged[whole.len() / 2] ^= 0x40;
            self.packed(&format!("packed-{kind}-damaged"), NO_XZ, &damaged);
            let magic = Shows(ENOEXEC, "Invalid ELF header magic: != \x7fELF");
            let bare = Load { file: whole, args: "", flags: 0 };
            self.add(&format!("packed-{kind}-given-bare"), magic, vec![bare]);
        }
    }
}

/// The words of the XZ decoder for a file that is none.
const NO_XZ: Shows = Shows(EINVAL, "not an xz compressed module");

/// Packs a file as gzip does.
fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Changes the flags of a stream, with their CRC.
fn set_flags(file: &mut [u8], flags: [u8; 2]) {
    file[6..8].copy_from_slice(&flags);
    file[8..12].copy_from_slice(&ko::compression::crc32(&flags).to_le_bytes());
}

/// Packs a file.
pub(crate) fn xz(plain: &[u8]) -> Vec<u8> {
    xz_with(plain, Check::Crc32)
}

/// Packs a file with this check.
pub(crate) fn xz_with(plain: &[u8], check: Check) -> Vec<u8> {
    finished(Stream::new_easy_encoder(1, check).unwrap(), plain)
}

fn encoded(plain: &[u8], chain: &Filters, check: Check) -> Vec<u8> {
    finished(Stream::new_stream_encoder(chain, check).unwrap(), plain)
}

/// Packs a file in several blocks, as `xz --block-size` does.
fn blocks(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(2 * plain.len() + 4096);
    let mut stream = Stream::new_easy_encoder(1, Check::Crc32).unwrap();
    let (first, rest) = plain.split_at(plain.len() / 3);
    for (part, action) in [(first, Action::FullFlush), (rest, Action::Finish)] {
        let begin = stream.total_in();
        loop {
            let left = &part[(stream.total_in() - begin) as usize..];
            match stream.process_vec(left, &mut packed, action).unwrap() {
                liblzma::stream::Status::StreamEnd => break,
                _ if left.is_empty() && matches!(action, Action::FullFlush) => break,
                _ => {}
            }
        }
    }
    packed
}

fn finished(mut stream: Stream, plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(2 * plain.len() + 4096);
    stream.process_vec(plain, &mut packed, Action::Finish).unwrap();
    packed
}
