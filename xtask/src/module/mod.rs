//! One .ko: ELF, modinfo, exports, imports, versions, compression. Pure: bytes in, facts out.

pub mod licence;
