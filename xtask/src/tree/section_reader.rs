//! Reads module files from disk, unpacked, or only the sections that are asked for.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::{
    host::{open, root_kmod::kmod_facts},
    printer::Shown as _,
    problem::Problem,
};
use ko::{
    compression::{Compression, UNPACKED_BYTES_MAX, too_large, unpack},
    elf::{Elf, Section},
    error::Malformed,
    kmod_unpack::{KmodRefusal, NotUnpacked, form_for_kmod, unpack_for_kmod},
    module::Module,
};

/// Why a module could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system's own words.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The bytes are not what their form asks for.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// kmod refuses the file.
    #[error(transparent)]
    Kmod(#[from] KmodRefusal),
}

impl FileError {
    /// This error of a file, as one that ends a command.
    pub fn problem(&self, file: &Path) -> Problem {
        let fact = format!("{}: {self}", file.shown());
        match self {
            Self::Io(_) => Problem::usage(fact),
            Self::Malformed(_) | Self::Kmod(_) => Problem::does_not_hold(fact),
        }
    }
}

/// A module file, or a folder of them, that could not be read.
#[derive(Debug)]
pub struct UnreadableFile {
    /// Its path.
    pub file: PathBuf,
    /// The reason.
    pub error: FileError,
}

/// Memory to read modules into, one after the other.
#[derive(Debug, Default)]
pub struct ModuleBuffer {
    /// Its length is the room there is; a file fills the beginning.
    packed: Vec<u8>,
    plain: Vec<u8>,
    parts: Parts,
}

/// Where the bytes of a module are.
enum Loaded {
    /// Among those that were read: so many of them.
    AsItIs(usize),
    /// Among the unpacked ones.
    Unpacked,
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
            *self =
                Self { bytes: vec![0; size.max(ModuleBuffer::KEPT_BYTES_MAX)], filled: Vec::new() };
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

impl ModuleBuffer {
    /// Room larger than this is given back before the next module: one of 30 MB must not stay
    /// resident in every thread.
    const KEPT_BYTES_MAX: usize = 4 << 20;

    /// Reads a file and unpacks it.
    ///
    /// # Errors
    /// Those of the system, and of a packed file that is damaged.
    pub fn read(&mut self, path: &Path) -> Result<&[u8], FileError> {
        let (file, metadata) = open::open(path, UNPACKED_BYTES_MAX as u64)?;
        let length = self.fill(&file, metadata.len())?;
        let packed = &self.packed[..length];
        let form = Compression::detect(packed);
        if form == Compression::None {
            return Ok(packed);
        }
        self.plain.clear();
        unpack(form, packed, &mut self.plain, UNPACKED_BYTES_MAX)?;
        Ok(&self.plain)
    }

    /// Reads a file, unpacks it, and takes apart what is there of the module.
    ///
    /// # Errors
    /// It cannot be read, or is no module.
    pub fn module(&mut self, path: &Path) -> Result<Module<'_>, Problem> {
        let read = self.read(path).and_then(|bytes| Ok(Module::read_in_part(bytes)?));
        read.map_err(|error| error.problem(path))
    }

    /// Reads a file and unpacks it even where kmod refuses to; what kmod says of it comes with it.
    ///
    /// # Errors
    /// Those of the system; kmod's refusal of a file that cannot be unpacked here either.
    pub fn read_beside_kmod(
        &mut self,
        path: &Path,
    ) -> Result<(&[u8], Option<KmodRefusal>), FileError> {
        let (file, metadata) = open::open(path, UNPACKED_BYTES_MAX as u64)?;
        let refusal = match self.load_for_kmod(&file, metadata.len()) {
            Ok(loaded) => return Ok((self.loaded(loaded), None)),
            Err(FileError::Kmod(refusal)) => refusal,
            Err(error) => return Err(error),
        };
        match self.read(path) {
            Ok(bytes) => Ok((bytes, Some(refusal))),
            Err(_) => Err(refusal.into()),
        }
    }

    /// Reads a file and unpacks it as kmod does: what it then takes apart, or gives the kernel.
    ///
    /// # Errors
    /// The file cannot be read, kmod refuses it, or it is larger than any module.
    pub fn read_for_kmod(&mut self, path: &Path) -> Result<&[u8], FileError> {
        let (file, metadata) = open::open(path, UNPACKED_BYTES_MAX as u64)?;
        self.read_open_for_kmod(&file, metadata.len())
    }

    /// The same of an open file, which may have another size than the one that is expected.
    ///
    /// # Errors
    /// As [`ModuleBuffer::read_for_kmod`].
    pub fn read_open_for_kmod(&mut self, file: &File, expected: u64) -> Result<&[u8], FileError> {
        let loaded = self.load_for_kmod(file, expected)?;
        Ok(self.loaded(loaded))
    }

    fn load_for_kmod(&mut self, file: &File, expected: u64) -> Result<Loaded, FileError> {
        let length = self.fill(file, expected)?;
        let packed = &self.packed[..length];
        let kmod = kmod_facts();
        let form = form_for_kmod(kmod, packed)?;
        if form == Compression::None {
            return Ok(Loaded::AsItIs(length));
        }
        self.plain.clear();
        match unpack_for_kmod(kmod, form, packed, &mut self.plain, UNPACKED_BYTES_MAX) {
            Ok(()) => Ok(Loaded::Unpacked),
            Err(NotUnpacked::Refused(refusal)) => Err(refusal.into()),
            Err(NotUnpacked::TooLarge(malformed)) => Err(malformed.into()),
        }
    }

    fn loaded(&self, loaded: Loaded) -> &[u8] {
        match loaded {
            Loaded::AsItIs(length) => &self.packed[..length],
            Loaded::Unpacked => &self.plain,
        }
    }

    /// Reads of a large unpacked module only the sections that are asked for; the rest of the bytes
    /// is zero. `None` for a file that is small, packed, of another size than expected, or not laid
    /// out as a module: then [`ModuleBuffer::read_open_for_kmod`] is
    /// for it.
    ///
    /// Two thirds of a tree is code and type information, which says nothing about other modules.
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
        parts.fill(file, Elf::table_range(&parts.bytes[..size])?)?;
        parts.fill(file, Elf::names_range(&parts.bytes[..size])?)?;
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
    fn fill(&mut self, mut file: &File, expected: u64) -> Result<usize, FileError> {
        self.shrink();
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_module_read_in_parts_nothing_is_left_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut buffer = ModuleBuffer::default();
        let fixtures: [&[u8]; 2] = [
            include_bytes!("../../tests/fixtures/exporter-7.3.ko"),
            include_bytes!("../../tests/fixtures/hello-7.3.ko"),
        ];
        for (bytes, all) in fixtures.into_iter().zip([true, false]) {
            // The bytes after the ELF make it large enough to be read in parts.
            let bytes = [bytes, &[0xff; ModuleBuffer::WHOLE_BYTES_MAX]].concat();
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
