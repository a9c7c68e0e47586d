//! One kernel module file: bytes in, facts out.
//!
//! Where to start: [`module::Module::read`] takes the bytes of an unpacked `.ko`.
//!
//! | question | place |
//! |---|---|
//! | name, license, parameters, aliases | [`modinfo`], [`params`], [`license`] |
//! | what it exports, and to which modules | [`exports`] |
//! | what it needs | [`imports`] |
//! | CRCs: `__versions` and the extended tables | [`versions`] |
//! | vermagic, flag by flag | [`vermagic`] |
//! | sections, symbols, relocations | [`elf`] |
//! | the signature at its end | [`signature`], [`der`] |
//! | `.ko.xz`, `.ko.zst`, `.ko.gz` | [`compression`] |
//! | a kernel's `.config` | [`kconfig`] |
//! | a kmod: its release and its libraries | [`kmod_facts`] |
//!
//! ```
//! let error = ko::module::Module::read(b"no module").unwrap_err();
//! assert!(error.to_string().contains("ELF"), "{error}");
//! ```
//!
//! Everything borrows from the bytes of the file and is read when it is asked for: a hostile file
//! cannot make a reader hold more than a small multiple of its own size. Nothing here starts a
//! process, or reads anything but the bytes it is given.

pub mod der;

pub mod compression;
pub mod elf;
pub mod error;
pub mod exports;
pub mod imports;
pub mod kconfig;
pub mod kmod_elf;
pub mod kmod_facts;
pub mod kmod_unpack;
pub mod license;
pub mod modinfo;
pub mod module;
pub mod params;
pub mod seal;
pub mod signature;
pub mod text;
pub mod vermagic;
pub mod versions;
