//! The algorithms that the kernel's parsers know, whether or not they are computed here.

/// A digest that the parser knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Digest {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    /// One that is not computed here, by its option (`CONFIG_CRYPTO_…`).
    Other(&'static str),
}

/// A kind of key that the parser knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAlgorithm {
    Rsa,
    Ecdsa,
    /// One that is not computed here.
    Other(&'static str),
}
