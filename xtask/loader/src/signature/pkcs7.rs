//! A PKCS#7 message, read as `pkcs7_parse_message()` reads it
//! (`crypto/asymmetric_keys/pkcs7_parser.c` and `pkcs7.asn1` of 7.3.4): what it refuses is refused
//! at the same place, with the same error and the same line.
//!
//! It is long because it is one grammar, with what the kernel does at each of its places.

use super::{
    algorithm::{Digest, KeyAlgorithm},
    ber::{self, Bad, Ber, Found},
    certificate::Certificate,
    oid,
    trust::{Rejection, Trust},
};
use crate::{errno::Errno, log_line::NUMBER};
use ko::der::tag;

/// One signer of a message.
#[derive(Clone, Debug)]
pub(super) struct SignerInfo<'a> {
    /// `auth_ids[0]`: serial number and issuer of the certificate, or its subject key id.
    pub(super) key_id: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) key_algorithm: KeyAlgorithm,
    pub(super) signature: &'a [u8],
    has_attributes: bool,
}

/// The parts of a message that decide.
#[derive(Clone, Debug, Default)]
pub(super) struct Message<'a> {
    /// `true` if the content type is `data`.
    pub(super) is_data: bool,
    /// `true` if the message carries the data itself.
    pub(super) has_data: bool,
    pub(super) has_signed_attributes: bool,
    pub(super) certificates: Vec<Certificate>,
    pub(super) signers: Vec<SignerInfo<'a>>,
    /// The lines that parsing logs.
    pub(super) lines: Vec<String>,
}

/// The digests by their OIDs (`pkcs7_sig_note_digest_algo()`).
const DIGESTS: [(&str, Digest); 11] = [
    ("1.3.14.3.2.26", Digest::Sha1),
    ("2.16.840.1.101.3.4.2.4", Digest::Sha224),
    ("2.16.840.1.101.3.4.2.1", Digest::Sha256),
    ("2.16.840.1.101.3.4.2.2", Digest::Sha384),
    ("2.16.840.1.101.3.4.2.3", Digest::Sha512),
    ("2.16.840.1.101.3.4.2.8", Digest::Sha3_256),
    ("2.16.840.1.101.3.4.2.9", Digest::Sha3_384),
    ("2.16.840.1.101.3.4.2.10", Digest::Sha3_512),
    ("1.2.156.10197.1.401", Digest::Other("SM3")),
    ("1.2.643.7.1.1.2.2", Digest::Other("STREEBOG")),
    ("1.2.643.7.1.1.2.3", Digest::Other("STREEBOG")),
];

/// Those that kernels before 6.7 read as well.
const DIGESTS_BEFORE_6_7: [(&str, Digest); 2] =
    [(oid::MD4, Digest::Other("MD4")), (oid::MD5, Digest::Other("MD5"))];

type Parsed<T> = Result<T, Rejection>;

fn warn<T>(errno: Errno, line: &str) -> Parsed<T> {
    Err(Rejection::Errno(errno, vec![format!("PKCS7: {line}")]))
}

/// The kernel's ASN.1 decoder refuses what is no valid message.
impl From<Bad> for Rejection {
    fn from(_: Bad) -> Self {
        Self::silent(Errno::EBADMSG)
    }
}

/// Reads a message.
pub(super) fn parse<'a>(bytes: &'a [u8], trust: &'a Trust) -> Parsed<Message<'a>> {
    if bytes.len() > ber::BYTES_MAX {
        return Err(Rejection::unknown(
            "its signature is larger than the kernel's decoder takes: sign it with sign-file",
        ));
    }
    let mut parser = Parser::new(bytes, trust);
    let parsed = parser.content_info();
    let Parser { mut message, lines, knows_ml_dsa, .. } = parser;
    if knows_ml_dsa {
        return Err(Rejection::unknown(
            "its signature names ML-DSA, which is not modeled: sign it with RSA or ECDSA",
        ));
    }
    let checked = parsed.and_then(|()| check_attributes(&message));
    if let Err(Rejection::Errno(errno, more)) = checked {
        return Err(Rejection::Errno(errno, [lines, more].concat()));
    }
    checked?;
    message.lines = lines;
    Ok(message)
}

/// `pkcs7_check_authattrs()`: all signers have signed attributes, or none has.
fn check_attributes(message: &Message<'_>) -> Parsed<()> {
    let has = |signer: &SignerInfo<'_>| signer.has_attributes == message.has_signed_attributes;
    if !message.signers.is_empty() && message.signers.iter().all(has) {
        return Ok(());
    }
    warn(Errno::EINVAL, "Inconsistently supplied authAttrs")
}

/// `struct pkcs7_parse_context`.
struct Parser<'a> {
    bytes: &'a [u8],
    /// The kernel's certificates and algorithms.
    trust: &'a Trust,
    ber: Ber<'a>,
    message: Message<'a>,
    lines: Vec<String>,
    /// `true` once an identifier of ML-DSA was seen.
    knows_ml_dsa: bool,
    /// `last_oid`; none for one that is not in the registry.
    last_oid: Option<&'static str>,
    version: u8,
    serial: &'a [u8],
    issuer: &'a [u8],
    key_id: &'a [u8],
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8], trust: &'a Trust) -> Self {
        Self {
            bytes,
            trust,
            ber: Ber::new(bytes),
            message: Message::default(),
            lines: Vec::new(),
            knows_ml_dsa: false,
            last_oid: None,
            version: 0,
            serial: &[],
            issuer: &[],
            key_id: &[],
        }
    }

    /// `pkcs7_note_OID()`.
    fn note_oid(&mut self, value: &[u8], at: usize) {
        self.last_oid = oid::look_up(value, self.trust.rules);
        self.knows_ml_dsa |= self.last_oid.is_some_and(|oid| oid::ML_DSA.contains(&oid));
        if self.last_oid.is_none() {
            self.lines.push(format!("PKCS7: Unknown OID: [{at}] {}", oid::sprint(value)));
        }
    }

    fn expect_oid(&mut self) -> Parsed<()> {
        let found = self.ber.expect(tag::OID)?;
        self.note_oid(found.value, found.at);
        Ok(())
    }

    /// `PKCS7ContentInfo`.
    fn content_info(&mut self) -> Parsed<()> {
        self.ber.open(tag::SEQUENCE)?;
        self.expect_oid()?;
        if self.last_oid != Some("1.2.840.113549.1.7.2") {
            return warn(Errno::EINVAL, "Only support pkcs7_signedData type");
        }
        if self.ber.open_if(tag::CONTEXT_0)? {
            self.signed_data()?;
            self.ber.close()?;
        }
        Ok(self.ber.close()?)
    }

    fn signed_data(&mut self) -> Parsed<()> {
        self.ber.open(tag::SEQUENCE)?;
        self.version = match self.ber.expect(tag::INTEGER)?.value {
            [version @ (1 | 3)] => *version,
            _ => return warn(Errno::EINVAL, "Unsupported SignedData version"),
        };
        self.either(tag::SET, tag::SEQUENCE, |parser| {
            parser.ber.open(tag::SEQUENCE)?;
            parser.algorithm()
        })?;
        self.ber.one_matched()?;
        self.content()?;
        let extract = |parser: &mut Self| parser.certificate();
        self.either(tag::CONTEXT_0, tag::CONTEXT_2, extract)?;
        self.either(tag::CONTEXT_1, tag::CONTEXT_3, |parser| {
            parser.ber.open(tag::SEQUENCE)?;
            parser.list(extract)
        })?;
        self.either(tag::SET, tag::SEQUENCE, |parser| {
            parser.ber.open(tag::SEQUENCE)?;
            parser.signer_info()
        })?;
        self.ber.one_matched()?;
        Ok(self.ber.close()?)
    }

    /// A list under one of two tags, if there is one.
    fn either(
        &mut self,
        first: u8,
        second: u8,
        member: impl FnMut(&mut Self) -> Parsed<()>,
    ) -> Parsed<()> {
        if self.ber.open_if(first)? || self.ber.open_else(second)? {
            self.list(member)?;
            self.ber.returned();
        }
        Ok(())
    }

    /// The members of a list that is open, of which there must be one.
    fn list(&mut self, mut member: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        loop {
            member(self)?;
            if self.ber.close_list()?.is_some() {
                return Ok(());
            }
        }
    }

    /// The rest of an `AlgorithmIdentifier`: its parameters may be anything.
    fn algorithm(&mut self) -> Parsed<()> {
        self.expect_oid()?;
        self.ber.skip_any()?;
        self.ber.close()?;
        self.ber.returned();
        Ok(())
    }

    /// `ContentInfo`: the type of what is signed.
    fn content(&mut self) -> Parsed<()> {
        self.ber.open(tag::SEQUENCE)?;
        let found = self.ber.expect(tag::OID)?;
        // The grammar names the action twice.
        self.note_oid(found.value, found.at);
        self.note_oid(found.value, found.at);
        if self.ber.open_if(tag::CONTEXT_0)? {
            self.ber.any()?;
            self.ber.close()?;
            self.ber.returned();
            self.message.has_data = true;
        }
        self.ber.close()?;
        match self.last_oid {
            Some(DATA) => self.message.is_data = true,
            Some("1.3.6.1.4.1.311.2.1.4") => {}
            _ => return warn(Errno::EINVAL, &format!("Unsupported data type {NUMBER}")),
        }
        Ok(())
    }

    /// `pkcs7_extract_cert()`.
    fn certificate(&mut self) -> Parsed<()> {
        let found = self.ber.any()?;
        if found.tag != tag::SEQUENCE {
            return Err(Rejection::silent(Errno::EBADMSG));
        }
        let certificate = Certificate::parse(found.raw(self.bytes)).ok_or_else(|| {
            Rejection::unknown(
                "a certificate in its signature is of a form not modeled: sign it with \
                 scripts/sign-file, which puts none in",
            )
        })?;
        // `x509_note_sig_algo()`.
        let is_sha1 = certificate.algorithm.is_some_and(|(_, digest)| digest == Digest::Sha1);
        if is_sha1 && self.trust.rules.forgets_sha1() {
            return Err(Rejection::silent(Errno::ENOPKG));
        }
        self.trust.check_self_signed(&certificate)?;
        self.message.certificates.push(certificate);
        Ok(())
    }

    fn signer_info(&mut self) -> Parsed<()> {
        let by_key_id = match self.ber.expect(tag::INTEGER)?.value {
            [1] if self.version == 1 => false,
            [3] if self.version != 1 => true,
            [1 | 3] => return warn(Errno::EBADMSG, "SignedData-SignerInfo version mismatch"),
            _ => return warn(Errno::EINVAL, "Unsupported SignerInfo version"),
        };
        if self.ber.open_if(tag::SEQUENCE)? {
            self.issuer_and_serial()?;
        } else if let Some(found) = self.ber.expect_else(tag::CONTEXT_0_PRIMITIVE)? {
            self.key_id = found.value;
        }
        self.ber.one_matched()?;
        self.ber.open(tag::SEQUENCE)?;
        self.algorithm()?;
        let digest = self.digest()?;
        let has_attributes = self.attributes()?;
        self.ber.open(tag::SEQUENCE)?;
        self.algorithm()?;
        let key_algorithm = self.key_algorithm()?;
        let signature = self.ber.expect(tag::OCTET_STRING)?.value;
        self.either(tag::CONTEXT_1, tag::CONTEXT_3, |parser| {
            parser.ber.open(tag::SEQUENCE)?;
            parser.ber.expect(tag::OID)?;
            parser.ber.open(tag::SET)?;
            parser.list(|parser| Ok(parser.ber.any().map(drop)?))?;
            Ok(parser.ber.close()?)
        })?;
        self.ber.close()?;
        self.ber.returned();
        let key_id =
            if by_key_id { self.key_id.into() } else { [self.serial, self.issuer].concat() };
        let signer = SignerInfo { key_id, digest, key_algorithm, signature, has_attributes };
        self.note_signed_info(signer)
    }

    /// `pkcs7_note_signed_info()`.
    fn note_signed_info(&mut self, signer: SignerInfo<'a>) -> Parsed<()> {
        if !self.message.is_data && !signer.has_attributes {
            return warn(Errno::EBADMSG, "Authenticode requires AuthAttrs");
        }
        if self.message.signers.is_empty() {
            self.message.has_signed_attributes = signer.has_attributes;
        }
        self.message.signers.push(signer);
        Ok(())
    }

    /// `pkcs7_sig_note_digest_algo()`.
    fn digest(&self) -> Parsed<Digest> {
        let known = DIGESTS_BEFORE_6_7.iter().chain(&DIGESTS);
        let known = known.into_iter().find(|(known, _)| self.last_oid == Some(known));
        known.map(|(_, digest)| *digest).ok_or_else(|| {
            let line = format!("Unsupported digest algo: {NUMBER}");
            Rejection::Errno(Errno::ENOPKG, vec![line])
        })
    }

    /// `pkcs7_sig_note_pkey_algo()`.
    fn key_algorithm(&self) -> Parsed<KeyAlgorithm> {
        Ok(match self.last_oid {
            Some("1.2.840.113549.1.1.1") => KeyAlgorithm::Rsa,
            Some(oid) if oid.starts_with("1.2.840.10045.4.") => KeyAlgorithm::Ecdsa,
            Some(
                "2.16.840.1.101.3.4.3.10" | "2.16.840.1.101.3.4.3.11" | "2.16.840.1.101.3.4.3.12",
            ) => KeyAlgorithm::Ecdsa,
            Some("1.2.643.7.1.1.1.1" | "1.2.643.7.1.1.1.2") => KeyAlgorithm::Other("ecrdsa"),
            Some(oid) if oid::ML_DSA.contains(&oid) => KeyAlgorithm::Other("mldsa"),
            _ => {
                let line = format!("Unsupported pkey algo: {NUMBER}");
                return Err(Rejection::Errno(Errno::ENOPKG, vec![line]));
            }
        })
    }

    /// `IssuerAndSerialNumber`.
    fn issuer_and_serial(&mut self) -> Parsed<()> {
        self.ber.open(tag::SEQUENCE)?;
        self.issuer = loop {
            self.ber.open(tag::SET)?;
            self.list(|parser| {
                parser.ber.open(tag::SEQUENCE)?;
                parser.expect_oid()?;
                parser.ber.any()?;
                Ok(parser.ber.close()?)
            })?;
            if let Some(issuer) = self.ber.close_list()? {
                break issuer;
            }
        };
        self.serial = self.ber.expect(tag::INTEGER)?.value;
        self.ber.close()?;
        self.ber.returned();
        Ok(())
    }

    /// The signed attributes: whether there are some.
    fn attributes(&mut self) -> Parsed<bool> {
        // `aa_set`: the attributes that were there.
        let mut seen = Vec::new();
        if self.ber.open_if(tag::CONTEXT_0)? {
            self.list(|parser| parser.attribute(&mut seen))?;
            self.ber.returned();
            self.note_attributes(&seen)?;
            return Ok(true);
        }
        if self.ber.open_else(tag::CONTEXT_2)? {
            self.ber.open(tag::SEQUENCE)?;
            self.list(|parser| parser.attribute(&mut seen))?;
            self.ber.close()?;
            self.ber.returned();
        }
        Ok(false)
    }

    /// `pkcs7_sig_note_set_of_authattrs()`.
    fn note_attributes(&self, seen: &[&str]) -> Parsed<()> {
        if !seen.contains(&CONTENT_TYPE) || !seen.contains(&MESSAGE_DIGEST) {
            return warn(Errno::EBADMSG, "Missing required AuthAttr");
        }
        if self.message.is_data && seen.contains(&MS_OPUS_INFO) {
            return warn(Errno::EBADMSG, "Unexpected Authenticode AuthAttr");
        }
        Ok(())
    }

    fn attribute(&mut self, seen: &mut Vec<&'static str>) -> Parsed<()> {
        self.ber.open(tag::SEQUENCE)?;
        self.expect_oid()?;
        self.ber.open(tag::SET)?;
        self.list(|parser| {
            let value = parser.ber.any()?;
            parser.attribute_value(&value, seen)
        })?;
        Ok(self.ber.close()?)
    }

    /// `pkcs7_sig_note_authenticated_attr()`.
    fn attribute_value(&self, value: &Found<'a>, seen: &mut Vec<&'static str>) -> Parsed<()> {
        let Some(kind) = self.last_oid.filter(|kind| KNOWN_ATTRIBUTES.contains(kind)) else {
            return Ok(());
        };
        if seen.contains(&kind) {
            return warn(Errno::EKEYREJECTED, "Repeated/multivalue AuthAttrs not permitted");
        }
        seen.push(kind);
        let is_data = self.message.is_data;
        match kind {
            CONTENT_TYPE
                if is_data != (oid::look_up(value.value, self.trust.rules) == Some(DATA)) =>
            {
                let index = self.message.signers.len();
                let line = format!(
                    "Mismatch between global data type ({NUMBER}) and sinfo {index} ({NUMBER})"
                );
                warn(Errno::EBADMSG, &line)
            }
            SIGNING_TIME if !is_time(value.tag, value.value) => {
                Err(Rejection::silent(Errno::EBADMSG))
            }
            MESSAGE_DIGEST if value.tag != tag::OCTET_STRING => {
                Err(Rejection::silent(Errno::EBADMSG))
            }
            SMIME_CAPABILITIES if is_data => {
                warn(Errno::EKEYREJECTED, "S/MIME Caps only allowed with Authenticode")
            }
            MS_OPUS_INFO | MS_STATEMENT_TYPE if is_data => {
                warn(Errno::EKEYREJECTED, "Authenticode AuthAttrs only allowed with Authenticode")
            }
            _ => Ok(()),
        }
    }
}

/// `x509_decode_time()` (`x509_cert_parser.c`): whether this is a date and time.
pub(super) fn is_time(tag: u8, text: &[u8]) -> bool {
    const UTC: u8 = 0x17;
    const GENERALIZED: u8 = 0x18;
    let Some((b'Z', digits)) = text.split_last() else { return false };
    let (century, digits) = match (tag, digits.len()) {
        (UTC, 12) => (None, digits),
        (GENERALIZED, 14) => (Some(&digits[..2]), &digits[2..]),
        _ => return false,
    };
    let number = |pair: &[u8]| match pair {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(10 * u32::from(tens - b'0') + u32::from(ones - b'0'))
        }
        _ => None,
    };
    let numbers: Option<Vec<u32>> = digits.chunks(2).map(number).collect();
    let Some([short, month, day, hour, minute, second]) = numbers.as_deref() else { return false };
    let year = match century.map(number) {
        None => short + if *short >= 50 { 1900 } else { 2000 },
        Some(Some(century)) => 100 * century + short,
        Some(None) => return false,
    };
    // A year that fits the short form must use it.
    if century.is_some() && (1950..=2049).contains(&year) || year < 1970 {
        return false;
    }
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(day) && *hour <= 24 && *minute <= 59 && *second <= 60
}

const KNOWN_ATTRIBUTES: [&str; 6] = [
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    SIGNING_TIME,
    SMIME_CAPABILITIES,
    MS_OPUS_INFO,
    MS_STATEMENT_TYPE,
];
const MS_OPUS_INFO: &str = "1.3.6.1.4.1.311.2.1.12";
const MS_STATEMENT_TYPE: &str = "1.3.6.1.4.1.311.2.1.11";
const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
const DATA: &str = "1.2.840.113549.1.7.1";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SMIME_CAPABILITIES: &str = "1.2.840.113549.1.9.15";
