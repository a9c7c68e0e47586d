//! The signature of a module: taken apart, verified, and judged as the kernel judges it.
//!
//! | file | what |
//! |---|---|
//! | `pkcs7.rs` | the message (`crypto/asymmetric_keys/pkcs7_parser.c`) |
//! | `certificate.rs` | a certificate (`x509_cert_parser.c`), and how they are found in a kernel image |
//! | `public_key.rs` | RSA and ECDSA (`public_key.c`) |
//! | `verify.rs` | the order of the checks (`pkcs7_verify.c`, `pkcs7_trust.c`, `certs/system_keyring.c`) |

pub mod certificate;
mod pkcs7;
mod public_key;
#[cfg(test)]
mod tests;
mod verify;

pub use pkcs7::{Digest, Rejection};
pub use public_key::PublicKey;
pub use verify::{DigestSupport, Trust, verify};
