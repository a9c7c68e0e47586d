//! An X.509 certificate, as far as the kernel's keyrings use it
//! (`crypto/asymmetric_keys/x509_cert_parser.c`).

use super::{
    algorithm::{Digest, KeyAlgorithm},
    public_key::{PublicKey, Verification},
};
use ko::{
    der::{Reader, oid_text, tag},
    signature::common_name,
};

/// A certificate with a key that can be verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of the subject.
    pub subject: String,
    /// Serial number and issuer, one after the other, as the kernel joins them.
    pub(super) id: Vec<u8>,
    serial: Vec<u8>,
    /// The subject key id.
    pub(super) key_id: Option<Vec<u8>>,
    /// The subject key id of the issuer.
    pub(super) issuer_key_id: Option<Vec<u8>>,
    pub(super) key: PublicKey,
    raw_subject: Vec<u8>,
    raw_issuer: Vec<u8>,
    /// The signed part.
    signed: Vec<u8>,
    signature: Vec<u8>,
    /// The issuer's algorithm; `None` for one that is not computed here.
    pub(super) algorithm: Option<(KeyAlgorithm, Digest)>,
}

/// The largest certificate that is looked for.
const BYTES_MAX: usize = 16 << 10;

impl Certificate {
    /// Reads one DER certificate; none for what is no certificate, or has a key of a kind that is
    /// not computed here.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let mut whole = Reader(der).enter(tag::SEQUENCE)?;
        let signed = whole.any().filter(|element| element.tag == tag::SEQUENCE)?;
        let algorithm = whole.enter(tag::SEQUENCE)?.expect(tag::OID)?;
        let signature = whole.expect(tag::BIT_STRING)?.strip_prefix(&[0])?;
        let mut fields = Reader(signed.value);
        fields.skip_optional(tag::CONTEXT_0);
        let serial = fields.expect(tag::INTEGER)?;
        fields.expect(tag::SEQUENCE)?;
        let issuer = fields.expect(tag::SEQUENCE)?;
        fields.expect(tag::SEQUENCE)?;
        let subject = fields.expect(tag::SEQUENCE)?;
        let key = PublicKey::parse(fields.expect(tag::SEQUENCE)?)?;
        let mut certificate = Self {
            subject: common_name(Reader(subject)).unwrap_or_default().lossy().into_owned(),
            id: [serial, issuer].concat(),
            serial: serial.to_vec(),
            key_id: None,
            issuer_key_id: None,
            key,
            raw_subject: subject.to_vec(),
            raw_issuer: issuer.to_vec(),
            signed: signed.raw.to_vec(),
            signature: signature.to_vec(),
            algorithm: signature_algorithm(&oid_text(algorithm)?),
        };
        while let Some(field) = fields.any() {
            if field.tag == tag::CONTEXT_3 {
                certificate.read_extensions(Reader(field.value).enter(tag::SEQUENCE)?)?;
            }
        }
        Some(certificate)
    }

    fn read_extensions(&mut self, mut extensions: Reader<'_>) -> Option<()> {
        while extensions.peek().is_some() {
            let mut extension = extensions.enter(tag::SEQUENCE)?;
            let kind = oid_text(extension.expect(tag::OID)?)?;
            extension.skip_optional(tag::BOOLEAN);
            let mut value = Reader(extension.expect(tag::OCTET_STRING)?);
            match kind.as_str() {
                "2.5.29.14" => self.key_id = Some(value.expect(tag::OCTET_STRING)?.to_vec()),
                "2.5.29.35" => {
                    let mut authority = value.enter(tag::SEQUENCE)?;
                    while let Some(part) = authority.any() {
                        if part.tag == tag::CONTEXT_0_PRIMITIVE {
                            self.issuer_key_id = Some(part.value.to_vec());
                        }
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// The id with which `/proc/keys` shows a key: that of the subject, or else the serial number
    /// (`x509_key_preparse()`, `crypto/asymmetric_keys/x509_public_key.c`).
    pub fn shown_id(&self) -> String {
        let id = self.key_id.as_ref().unwrap_or(&self.serial);
        id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns `true` if issuer and subject are the same.
    pub(super) fn is_self_issued(&self) -> bool {
        self.raw_subject == self.raw_issuer
            && (self.issuer_key_id.is_none() || self.issuer_key_id == self.key_id)
    }

    /// Verifies another certificate's signature by this one's key.
    pub(super) fn has_signed(&self, other: &Self) -> Verification {
        let Some((key, digest)) = other.algorithm else { return Verification::NotModeled };
        self.key.verify(key, digest, &other.signed, &other.signature)
    }

    /// `asymmetric_match_key_ids()`: whether an id names this certificate.
    pub(super) fn is_named_by(&self, id: &[u8]) -> bool {
        self.id == id || self.key_id.as_deref() == Some(id)
    }
}

/// `x509_note_sig_algo()`.
fn signature_algorithm(oid: &str) -> Option<(KeyAlgorithm, Digest)> {
    use KeyAlgorithm::{Ecdsa, Rsa};
    Some(match oid {
        "1.2.840.113549.1.1.5" => (Rsa, Digest::Sha1),
        "1.2.840.113549.1.1.11" => (Rsa, Digest::Sha256),
        "1.2.840.113549.1.1.12" => (Rsa, Digest::Sha384),
        "1.2.840.113549.1.1.13" => (Rsa, Digest::Sha512),
        "1.2.840.113549.1.1.14" => (Rsa, Digest::Sha224),
        "1.2.840.10045.4.1" => (Ecdsa, Digest::Sha1),
        "1.2.840.10045.4.3.1" => (Ecdsa, Digest::Sha224),
        "1.2.840.10045.4.3.2" => (Ecdsa, Digest::Sha256),
        "1.2.840.10045.4.3.3" => (Ecdsa, Digest::Sha384),
        "1.2.840.10045.4.3.4" => (Ecdsa, Digest::Sha512),
        _ => return None,
    })
}

/// The certificates in an unpacked kernel image, which are those of `.builtin_trusted_keys`
/// (`certs/system_certificates.S`): every DER certificate whose key can be read.
pub fn find_certificates(vmlinux: &[u8]) -> Vec<Certificate> {
    ranges(vmlinux).filter_map(|range| Certificate::parse(&vmlinux[range])).collect()
}

/// The places of the certificates that [`find_certificates`] finds, as DER.
pub fn find_der(vmlinux: &[u8]) -> Vec<&[u8]> {
    let ders = ranges(vmlinux).map(|range| &vmlinux[range]);
    ders.filter(|der| Certificate::parse(der).is_some()).collect()
}

/// Returns the ranges that begin with two nested sequences of two-byte lengths, as certificates do.
fn ranges(vmlinux: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> {
    const BEGIN: [u8; 2] = [tag::SEQUENCE, 0x82];
    vmlinux.windows(6).enumerate().filter_map(move |(at, bytes)| {
        let is_begin = bytes[..2] == BEGIN && bytes[4..] == BEGIN;
        let length = 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        (is_begin && length <= BYTES_MAX && at + length <= vmlinux.len()).then(|| at..at + length)
    })
}
