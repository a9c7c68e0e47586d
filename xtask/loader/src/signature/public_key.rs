//! Public keys: RSA and ECDSA over P-256 and P-384 (`crypto/asymmetric_keys/public_key.c`,
//! `crypto/rsassa-pkcs1.c`, `crypto/ecdsa.c`).

use super::{
    algorithm::{Digest, KeyAlgorithm},
    ber::ecdsa_signature,
    ecdsa::has_signed,
};
use crate::errno::Errno;
use crypto_bigint::{
    Encoding, U4096,
    modular::runtime_mod::{DynResidue, DynResidueParams},
};
use ko::der::{Reader, oid_text, tag};
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

/// The largest RSA key that the kernel takes (`rsa_check_key_length()` of crypto/rsa.c).
const RSA_BYTES_MAX: usize = U4096::BYTES;

/// Verifies over one of the two curves, whose types are different ones.
macro_rules! verify_over {
    ($curve:ident, $bytes:literal, $point:ident, $hash:ident, $signature:ident) => {{
        let Ok(key) = $curve::ecdsa::VerifyingKey::from_sec1_bytes($point) else {
            return Verification::NotModeled;
        };
        verify_ecdsa::<$bytes>($signature, |r, s| {
            let signature = $curve::ecdsa::Signature::from_scalars(r, s).ok()?;
            let hash = to_field(&$hash, $bytes);
            Some(has_signed(key.as_affine(), signature.split_scalars(), (&*hash).into()))
        })
    }};
}

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
                    && (1..=RSA_BYTES_MAX).contains(&exponent.len());
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

    /// The kind of this key.
    pub(super) fn algorithm(&self) -> KeyAlgorithm {
        match self {
            Self::Rsa(..) => KeyAlgorithm::Rsa,
            Self::P256(_) | Self::P384(_) => KeyAlgorithm::Ecdsa,
        }
    }

    /// Verifies a signature over these bytes by this key, as a kernel with the algorithm does.
    pub(super) fn verify(
        &self,
        algorithm: KeyAlgorithm,
        digest: Digest,
        data: &[u8],
        signature: &[u8],
    ) -> Verification {
        let Some(hash) = digest.compute(data) else { return Verification::NotModeled };
        match (self, algorithm) {
            (Self::Rsa(modulus, exponent), KeyAlgorithm::Rsa) => {
                verify_rsa(modulus, exponent, digest, &hash, signature)
                    .unwrap_or(Verification::NotModeled)
            }
            (Self::P256(point), KeyAlgorithm::Ecdsa) => {
                verify_over!(p256, 32, point, hash, signature)
            }
            (Self::P384(point), KeyAlgorithm::Ecdsa) => {
                verify_over!(p384, 48, point, hash, signature)
            }
            (_, KeyAlgorithm::Other(_)) => Verification::NotModeled,
            // `public_key_verify_signature()`: the signature must be of the key's own kind.
            _ => Verification::Bad(Errno::EKEYREJECTED),
        }
    }
}

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// The key made the signature.
    Good,
    /// It did not, or the signature is no signature; the kernel's error.
    Bad(Errno),
    /// It is not computed here.
    NotModeled,
}

/// A hash as a number of the field: cut at its end, or filled with zeros at its beginning.
fn to_field(hash: &[u8], bytes: usize) -> Vec<u8> {
    let hash = &hash[..hash.len().min(bytes)];
    [&vec![0; bytes - hash.len()], hash].concat()
}

/// `ecdsa_x962_verify()` (`crypto/ecdsa-x962.c`): the signature is taken apart, its numbers must be
/// below the order of the curve, and then it is verified.
fn verify_ecdsa<const BYTES: usize>(
    signature: &[u8],
    verify: impl FnOnce([u8; BYTES], [u8; BYTES]) -> Option<bool>,
) -> Verification {
    let Ok(numbers) = ecdsa_signature(signature) else {
        return Verification::Bad(Errno::EBADMSG);
    };
    let [Some(r), Some(s)] = numbers.map(ecdsa_number) else {
        return Verification::Bad(Errno::EINVAL);
    };
    match verify(r, s) {
        Some(true) => Verification::Good,
        Some(false) => Verification::Bad(Errno::EKEYREJECTED),
        // Zero, or not below the order.
        None => Verification::Bad(Errno::EBADMSG),
    }
}

/// `ecdsa_get_signature_rs()`: one more byte than the curve's is allowed when it is zero.
fn ecdsa_number<const BYTES: usize>(value: &[u8]) -> Option<[u8; BYTES]> {
    let value = if value.len() == BYTES + 1 { value.strip_prefix(&[0])? } else { value };
    if value.is_empty() || value.len() > BYTES {
        return None;
    }
    let mut number = [0; BYTES];
    number[BYTES - value.len()..].copy_from_slice(value);
    Some(number)
}

/// `rsassa_pkcs1_verify()` (`crypto/rsassa-pkcs1.c`): the signature to the power of the exponent is
/// the padded digest.
fn verify_rsa(
    modulus: &[u8],
    exponent: &[u8],
    digest: Digest,
    hash: &[u8],
    signature: &[u8],
) -> Option<Verification> {
    if signature.len() != modulus.len() {
        return Some(Verification::Bad(Errno::EINVAL));
    }
    let padded = pkcs1(&digest.prefix()?, hash, modulus.len())?;
    let (base, modulus, power) = (number(signature)?, number(modulus)?, number(exponent)?);
    if base >= modulus {
        return Some(Verification::Bad(Errno::EINVAL));
    }
    // Montgomery's form needs an odd modulus.
    let modulus = Some(modulus).filter(|modulus| modulus.bit_vartime(0))?;
    let base = DynResidue::new(&base, DynResidueParams::new(&modulus));
    let found = base.pow_bounded_exp(&power, power.bits()).retrieve();
    if found == number(&padded)? {
        return Some(Verification::Good);
    }
    let found = found.to_be_bytes();
    Some(Verification::Bad(padding_error(&found, padded.len() - hash.len(), padded.len())))
}

/// Returns the errno of the first failed padding check (RFC 8017, 8.2.2, step 3): `EBADMSG` for
/// all but the last.
fn padding_error(found: &[u8], padding_bytes: usize, bytes: usize) -> Errno {
    let found = &found[found.len().saturating_sub(bytes)..];
    match found {
        [0, 1, ..] => {}
        [0, ..] if found.get(1) == Some(&0) => return Errno::EINVAL,
        [0, ..] => return Errno::EBADMSG,
        _ => return Errno::EINVAL,
    }
    let ones = found[2..].iter().take_while(|&&byte| byte == 0xff).count();
    if ones < 8 || found.get(2 + ones) != Some(&0) || 3 + ones > padding_bytes {
        return Errno::EBADMSG;
    }
    Errno::EKEYREJECTED
}

/// A number from its bytes, the highest first; none for one that is too large.
fn number(bytes: &[u8]) -> Option<U4096> {
    let mut padded = [0; RSA_BYTES_MAX];
    padded[RSA_BYTES_MAX.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(U4096::from_be_bytes(padded))
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
    fn prefix(self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14".into(),
            Self::Sha256 => nist(1, 32),
            Self::Sha384 => nist(2, 48),
            Self::Sha512 => nist(3, 64),
            Self::Sha224 => nist(4, 28),
            Self::Sha3_256 => nist(8, 32),
            Self::Sha3_384 => nist(9, 48),
            Self::Sha3_512 => nist(10, 64),
            Self::Other(_) => return None,
        })
    }
}

/// A `DigestInfo` of the NIST's digests, by the last arc of the OID and the bytes of the digest.
fn nist(arc: u8, bytes: u8) -> Vec<u8> {
    let oid = b"\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02";
    [&[0x30, 17 + bytes], &oid[..], &[arc, 0x05, 0x00, 0x04, bytes]].concat()
}
