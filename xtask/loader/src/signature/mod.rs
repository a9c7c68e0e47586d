//! The signature of a module: taken apart, verified, and judged as the kernel judges it.
//!
//! | file | what |
//! |---|---|
//! | `algorithm.rs` | the digests and kinds of keys |
//! | `ber.rs`, `oid.rs` | the kernel's ASN.1 decoder, and the identifiers that it knows |
//! | `pkcs7.rs` | the message (`crypto/asymmetric_keys/pkcs7_parser.c`) |
//! | `certificate.rs` | a certificate (`x509_cert_parser.c`), and how they are found in a kernel image |
//! | `efi.rs` | the certificates in the firmware's variables |
//! | `public_key.rs`, `ecdsa.rs` | RSA and ECDSA (`public_key.c`) |
//! | `trust.rs` | the keyrings, and what the kernel can compute |
//! | `verify.rs` | the order of the checks (`pkcs7_verify.c`, `pkcs7_trust.c`, `certs/system_keyring.c`) |

mod algorithm;
mod ber;
pub mod certificate;
mod ecdsa;
pub mod efi;
mod oid;
mod pkcs7;
mod public_key;
#[cfg(test)]
mod tests;
mod trust;
mod verify;

pub use algorithm::Digest;
pub use public_key::PublicKey;
pub use trust::{Keyring, Lookup, Rejection, Support, Trust, Trusted};
pub use verify::{Vouched, verify};
