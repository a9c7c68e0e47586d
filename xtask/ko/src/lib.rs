//! One .ko: ELF, modinfo, exports, imports, versions, compression. Pure: bytes in, facts out.
//!
//! Everything borrows from the bytes of the file and is read when asked for, so that a hostile
//! file can make nobody hold more than a small multiple of its own size. Invariant: nothing here
//! starts a process or reads anything but the file it is given.

pub mod der;

pub mod compression;
pub mod elf;
pub mod error;
pub mod exports;
pub mod imports;
pub mod kconfig;
pub mod license;
pub mod modinfo;
pub mod module;
pub mod params;
pub mod seal;
pub mod signature;
pub mod text;
pub mod vermagic;
pub mod versions;
