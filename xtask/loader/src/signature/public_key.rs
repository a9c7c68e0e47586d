//! Public keys: RSA and ECDSA over P-256 and P-384 (`crypto/asymmetric_keys/public_key.c`,
//! `crypto/rsassa-pkcs1.c`, `crypto/ecdsa.c`).

use super::pkcs7::{Digest, KeyAlgorithm};
use crypto_bigint::{
    BoxedUint, Odd,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use ko::der::{Reader, oid_text, tag};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha1::Digest as _;

/// A public key that can be verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA: modulus and exponent, big endian.
    Rsa(Vec<u8>, Vec<u8>),
    /// ECDSA over P-256: the point.
    P256(Vec<u8>),
    /// ECDSA over P-384: the point.
    P384(Vec<u8>),
}

/// The largest RSA key that is computed with here.
const RSA_BYTES_MAX: usize = 1024;

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo`; none for a kind that is not computed here.
    pub(super) fn parse(info: &[u8]) -> Option<Self> {
        let mut reader = Reader(info);
        let mut algorithm = reader.enter(tag::SEQUENCE)?;
        let kind = oid_text(algorithm.expect(tag::OID)?)?;
        let bits = reader.expect(tag::BIT_STRING)?;
        let key = bits.strip_prefix(&[0])?;
        match kind.as_str() {
            "1.2.840.113549.1.1.1" => {
                let mut numbers = Reader(key).enter(tag::SEQUENCE)?;
                let (modulus, exponent) =
                    (numbers.expect(tag::INTEGER)?, numbers.expect(tag::INTEGER)?);
                let strip =
                    |number: &[u8]| number.iter().copied().skip_while(|&b| b == 0).collect();
                let (modulus, exponent): (Vec<u8>, Vec<u8>) = (strip(modulus), strip(exponent));
                let is_sound = modulus.last().is_some_and(|byte| byte & 1 == 1)
                    && modulus.len() <= RSA_BYTES_MAX
                    && !exponent.is_empty();
                is_sound.then_some(Self::Rsa(modulus, exponent))
            }
            "1.2.840.10045.2.1" => match oid_text(algorithm.expect(tag::OID)?)?.as_str() {
                "1.2.840.10045.3.1.7" => Some(Self::P256(key.to_vec())),
                "1.3.132.0.34" => Some(Self::P384(key.to_vec())),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether this key made a signature over these bytes; none when that is not computed here.
    pub(super) fn verify(
        &self,
        algorithm: KeyAlgorithm,
        digest: Digest,
        data: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let hash = digest.compute(data)?;
        match (self, algorithm) {
            (Self::Rsa(modulus, exponent), KeyAlgorithm::Rsa) => {
                verify_rsa(modulus, exponent, digest, &hash, signature)
            }
            (Self::P256(point), KeyAlgorithm::Ecdsa) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                let Ok(signature) = p256::ecdsa::Signature::from_der(signature) else {
                    return Some(false);
                };
                Some(key.verify_prehash(&to_field(&hash, 32), &signature).is_ok())
            }
            (Self::P384(point), KeyAlgorithm::Ecdsa) => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                let Ok(signature) = p384::ecdsa::Signature::from_der(signature) else {
                    return Some(false);
                };
                Some(key.verify_prehash(&to_field(&hash, 48), &signature).is_ok())
            }
            (_, KeyAlgorithm::Other(_)) => None,
            // `public_key_verify_signature()`: the signature must be of the key's own kind.
            _ => Some(false),
        }
    }
}

/// A hash as a number of the field: cut at its end, or filled with zeros at its beginning.
fn to_field(hash: &[u8], bytes: usize) -> Vec<u8> {
    let hash = &hash[..hash.len().min(bytes)];
    [&vec![0; bytes - hash.len()], hash].concat()
}

/// `rsassa_pkcs1_verify()`: the signature to the power of the exponent is the padded digest.
fn verify_rsa(
    modulus: &[u8],
    exponent: &[u8],
    digest: Digest,
    hash: &[u8],
    signature: &[u8],
) -> Option<bool> {
    if signature.len() != modulus.len() {
        return Some(false);
    }
    let padded = pkcs1(digest.prefix()?, hash, modulus.len());
    let bits = u32::try_from(8 * modulus.len()).ok()?.next_multiple_of(64);
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).ok();
    let (base, power) = (number(signature)?, number(exponent)?);
    let modulus = number(modulus)?;
    if base >= modulus {
        return Some(false);
    }
    let odd = Option::<Odd<BoxedUint>>::from(Odd::new(modulus))?;
    let found = BoxedMontyForm::new(base, &BoxedMontyParams::new(odd)).pow(&power).retrieve();
    Some(Some(found) == padded.and_then(|padded| number(&padded)))
}

/// `EMSA-PKCS1-v1_5` (RFC 8017, 9.2): 0, 1, ones, 0, the digest's name, the digest.
fn pkcs1(prefix: &[u8], hash: &[u8], bytes: usize) -> Option<Vec<u8>> {
    let ones = bytes.checked_sub(3 + prefix.len() + hash.len()).filter(|&ones| ones >= 8)?;
    Some([&[0, 1], &*vec![0xff; ones], &[0], prefix, hash].concat())
}

impl Digest {
    /// The digest of some bytes; none for one that is not computed here.
    pub(super) fn compute(self, data: &[u8]) -> Option<Vec<u8>> {
        Some(match self {
            Self::Sha1 => sha1::Sha1::digest(data).to_vec(),
            Self::Sha224 => sha2::Sha224::digest(data).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(data).to_vec(),
            Self::Sha384 => sha2::Sha384::digest(data).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(data).to_vec(),
            Self::Sha3_256 => sha3::Sha3_256::digest(data).to_vec(),
            Self::Sha3_384 => sha3::Sha3_384::digest(data).to_vec(),
            Self::Sha3_512 => sha3::Sha3_512::digest(data).to_vec(),
            Self::Other(_) => return None,
        })
    }

    /// The options that build it into the kernel, any of them (`CONFIG_CRYPTO_…`).
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha224 | Self::Sha256 => "SHA256",
            Self::Sha384 | Self::Sha512 => "SHA512",
            Self::Sha3_256 | Self::Sha3_384 | Self::Sha3_512 => "SHA3",
            Self::Other(name) => name,
        }
    }

    /// The `DigestInfo` before the digest (RFC 8017, 9.2).
    fn prefix(self) -> Option<&'static [u8]> {
        Some(match self {
            Self::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
            Self::Sha224 => &SHA224,
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
            Self::Sha3_256 => &SHA3_256,
            Self::Sha3_384 => &SHA3_384,
            Self::Sha3_512 => &SHA3_512,
            Self::Other(_) => return None,
        })
    }
}

/// A `DigestInfo` of the NIST's digests, by the last arc of the OID and the bytes of the digest.
const fn nist(arc: u8, bytes: u8) -> [u8; 19] {
    [
        0x30,
        17 + bytes,
        0x30,
        0x0d,
        0x06,
        0x09,
        0x60,
        0x86,
        0x48,
        0x01,
        0x65,
        0x03,
        0x04,
        0x02,
        arc,
        0x05,
        0x00,
        0x04,
        bytes,
    ]
}

static SHA256: [u8; 19] = nist(1, 32);
static SHA384: [u8; 19] = nist(2, 48);
static SHA512: [u8; 19] = nist(3, 64);
static SHA224: [u8; 19] = nist(4, 28);
static SHA3_256: [u8; 19] = nist(8, 32);
static SHA3_384: [u8; 19] = nist(9, 48);
static SHA3_512: [u8; 19] = nist(10, 64);
