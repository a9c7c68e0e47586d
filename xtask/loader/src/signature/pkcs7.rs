//! A PKCS#7 message, read as `pkcs7_parse_message()` reads it
//! (`crypto/asymmetric_keys/pkcs7_parser.c` and `pkcs7.asn1` of 7.3.4): what it refuses is refused
//! at the same place, with the same error and the same line.

use super::certificate::Certificate;
use crate::{errno::Errno, verdict::NUMBER};
use ko::der::{Element, Reader, oid_text, tag};

/// Why a signature is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The kernel's error, and the lines that it logs.
    Errno(Errno, Vec<String>),
    /// It cannot be decided offline; the reason.
    Unknown(String),
}

impl Rejection {
    pub(super) fn silent(errno: Errno) -> Self {
        Self::Errno(errno, Vec::new())
    }

    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown(reason.into())
    }
}

/// What a signer did.
#[derive(Clone, Debug)]
pub(super) struct SignerInfo<'a> {
    /// `auth_ids[0]`: serial number and issuer of the certificate, or its subject key id.
    pub(super) key_id: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) key_algorithm: KeyAlgorithm,
    pub(super) signature: &'a [u8],
}

/// The parts of a message that decide.
#[derive(Clone, Debug, Default)]
pub(super) struct Message<'a> {
    /// Whether the content type is `data`.
    pub(super) is_data: bool,
    /// Whether the message brings the data itself.
    pub(super) has_data: bool,
    pub(super) has_signed_attributes: bool,
    pub(super) certificates: Vec<Certificate>,
    pub(super) signers: Vec<SignerInfo<'a>>,
}

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
    /// `sm3` or `streebog`, which is not computed here.
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
    ("1.2.156.10197.1.401", Digest::Other("sm3")),
    ("1.2.643.7.1.1.2.2", Digest::Other("streebog256")),
    ("1.2.643.7.1.1.2.3", Digest::Other("streebog512")),
];

/// The beginnings of the OIDs that `look_up_OID()` knows (`include/linux/oid_registry.h`), as far
/// as messages have them: an OID of none of these is logged.
const REGISTRY: [&str; 13] = [
    "1.2.840.10045.4.",
    "1.2.840.113549.1.1.",
    "1.2.840.113549.1.7.",
    "1.2.840.113549.1.9.",
    "1.3.6.1.4.1.311.2.1.",
    "1.3.14.3.2.26",
    "2.16.840.1.101.3.4.2.",
    "2.16.840.1.101.3.4.3.",
    "2.5.4.",
    "2.5.29.",
    "1.2.643.",
    "1.2.156.10197.1.",
    "1.2.840.10040.4.",
];

type Parsed<T> = Result<T, Rejection>;

/// The kernel's ASN.1 decoder on what is no valid message: silent, EBADMSG.
fn bad<T>(found: Option<T>) -> Parsed<T> {
    found.ok_or(Rejection::silent(Errno::EBADMSG))
}

fn warn<T>(errno: Errno, line: &str) -> Parsed<T> {
    Err(Rejection::Errno(errno, vec![format!("PKCS7: {line}")]))
}

/// Reads a message.
pub(super) fn parse(bytes: &[u8]) -> Parsed<Message<'_>> {
    // BER's indefinite lengths, which no tool writes into a module, are not read here.
    if bytes.starts_with(&[tag::SEQUENCE, 0x80]) {
        return Err(Rejection::unknown("its signature is encoded with indefinite lengths"));
    }
    let mut parser = Parser { whole: bytes, lines: Vec::new() };
    let message = parser.content_info(Reader(bytes));
    // Lines about unknown OIDs come before whatever ends the parser.
    match message {
        Err(Rejection::Errno(errno, mut lines)) if !parser.lines.is_empty() => {
            lines.splice(0..0, parser.lines);
            Err(Rejection::Errno(errno, lines))
        }
        Ok(_) if !parser.lines.is_empty() => {
            Err(Rejection::unknown("its signature has OIDs that the kernel may not know"))
        }
        message => message,
    }
}

struct Parser<'a> {
    whole: &'a [u8],
    lines: Vec<String>,
}

impl<'a> Parser<'a> {
    /// `pkcs7_note_OID()`.
    fn note_oid(&mut self, value: &[u8]) -> String {
        let text = oid_text(value).unwrap_or_default();
        if !REGISTRY.iter().any(|known| text.starts_with(known)) {
            let at = value.as_ptr() as usize - self.whole.as_ptr() as usize;
            self.lines.push(format!("PKCS7: Unknown OID: [{at}] {text}"));
        }
        text
    }

    fn content_info(&mut self, mut reader: Reader<'a>) -> Parsed<Message<'a>> {
        let mut info = bad(reader.enter(tag::SEQUENCE))?;
        let kind = self.note_oid(bad(info.expect(tag::OID))?);
        if kind != "1.2.840.113549.1.7.2" {
            return warn(Errno::EINVAL, "Only support pkcs7_signedData type");
        }
        if info.peek().is_none() {
            return warn(Errno::EINVAL, "Inconsistently supplied authAttrs");
        }
        let signed_data = bad(info.enter(tag::CONTEXT_0))?.enter(tag::SEQUENCE);
        self.signed_data(bad(signed_data)?)
    }

    fn signed_data(&mut self, mut reader: Reader<'a>) -> Parsed<Message<'a>> {
        let mut message = Message::default();
        let version = match bad(reader.expect(tag::INTEGER))? {
            [version @ (1 | 3)] => *version,
            _ => return warn(Errno::EINVAL, "Unsupported SignedData version"),
        };
        let mut digests = bad(self.set_or_sequence(&mut reader))?;
        while digests.peek().is_some() {
            let mut digest = bad(digests.enter(tag::SEQUENCE))?;
            self.note_oid(bad(digest.expect(tag::OID))?);
        }
        let mut content = bad(reader.enter(tag::SEQUENCE))?;
        match self.note_oid(bad(content.expect(tag::OID))?).as_str() {
            "1.2.840.113549.1.7.1" => message.is_data = true,
            "1.3.6.1.4.1.311.2.1.4" => {}
            _ => {
                return warn(Errno::EINVAL, &format!("Unsupported data type {NUMBER}"));
            }
        }
        message.has_data = content.peek().is_some();
        if let Some(tag::CONTEXT_0 | tag::CONTEXT_2) = reader.peek() {
            let mut certificates = Reader(bad(reader.any())?.value);
            while certificates.peek().is_some() {
                let Element { tag, raw, .. } = bad(certificates.any())?;
                if tag != tag::SEQUENCE {
                    return Err(Rejection::silent(Errno::EBADMSG));
                }
                let certificate = Certificate::parse(raw).ok_or_else(|| {
                    Rejection::unknown("a certificate in its signature is of a form not modelled")
                })?;
                message.certificates.push(certificate);
            }
        }
        if let Some(tag::CONTEXT_1 | tag::CONTEXT_3) = reader.peek() {
            bad(reader.any())?;
        }
        let mut signers = bad(self.set_or_sequence(&mut reader))?;
        while signers.peek().is_some() {
            let signer = bad(signers.enter(tag::SEQUENCE))?;
            let signed = self.signer_info(signer, version, &mut message)?;
            message.signers.push(signed);
        }
        if message.signers.is_empty() {
            return warn(Errno::EINVAL, "Inconsistently supplied authAttrs");
        }
        Ok(message)
    }

    fn set_or_sequence(&self, reader: &mut Reader<'a>) -> Option<Reader<'a>> {
        let element = reader.any()?;
        [tag::SET, tag::SEQUENCE].contains(&element.tag).then_some(Reader(element.value))
    }

    fn signer_info(
        &mut self,
        mut reader: Reader<'a>,
        message_version: u8,
        message: &mut Message<'a>,
    ) -> Parsed<SignerInfo<'a>> {
        let by_key_id = match bad(reader.expect(tag::INTEGER))? {
            [1] if message_version == 1 => false,
            [3] if message_version != 1 => true,
            [1 | 3] => return warn(Errno::EBADMSG, "SignedData-SignerInfo version mismatch"),
            _ => return warn(Errno::EINVAL, "Unsupported SignerInfo version"),
        };
        let key_id = self.signer_id(bad(reader.any())?, by_key_id)?;
        let mut algorithm = bad(reader.enter(tag::SEQUENCE))?;
        let oid = self.note_oid(bad(algorithm.expect(tag::OID))?);
        let digest = DIGESTS.iter().find(|(known, _)| *known == oid).map(|(_, digest)| *digest);
        let Some(digest) = digest else {
            let line = format!("Unsupported digest algo: {NUMBER}");
            return Err(Rejection::Errno(Errno::ENOPKG, vec![line]));
        };
        if let Some(tag::CONTEXT_0 | tag::CONTEXT_2) = reader.peek() {
            self.signed_attributes(bad(reader.any())?, message)?;
            message.has_signed_attributes = true;
        }
        let mut algorithm = bad(reader.enter(tag::SEQUENCE))?;
        let oid = self.note_oid(bad(algorithm.expect(tag::OID))?);
        let key_algorithm = match oid.as_str() {
            "1.2.840.113549.1.1.1" => KeyAlgorithm::Rsa,
            _ if oid.starts_with("1.2.840.10045.4.") => KeyAlgorithm::Ecdsa,
            "2.16.840.1.101.3.4.3.10" | "2.16.840.1.101.3.4.3.11" | "2.16.840.1.101.3.4.3.12" => {
                KeyAlgorithm::Ecdsa
            }
            "1.2.643.7.1.1.1.1" | "1.2.643.7.1.1.1.2" => KeyAlgorithm::Other("ecrdsa"),
            "2.16.840.1.101.3.4.3.17" | "2.16.840.1.101.3.4.3.18" | "2.16.840.1.101.3.4.3.19" => {
                KeyAlgorithm::Other("mldsa")
            }
            _ => {
                let line = format!("Unsupported pkey algo: {NUMBER}");
                return Err(Rejection::Errno(Errno::ENOPKG, vec![line]));
            }
        };
        let signature = bad(reader.expect(tag::OCTET_STRING))?;
        Ok(SignerInfo { key_id, digest, key_algorithm, signature })
    }

    fn signer_id(&mut self, element: Element<'a>, by_key_id: bool) -> Parsed<Vec<u8>> {
        match (element.tag, by_key_id) {
            (tag::CONTEXT_0_PRIMITIVE, true) => Ok(element.value.to_vec()),
            (tag::SEQUENCE, false) => {
                let mut reader = Reader(element.value);
                let issuer = bad(reader.expect(tag::SEQUENCE))?;
                let mut names = Reader(issuer);
                while names.peek().is_some() {
                    let mut set = bad(names.enter(tag::SET))?;
                    while set.peek().is_some() {
                        let mut pair = bad(set.enter(tag::SEQUENCE))?;
                        self.note_oid(bad(pair.expect(tag::OID))?);
                    }
                }
                let serial = bad(reader.expect(tag::INTEGER))?;
                Ok([serial, issuer].concat())
            }
            (tag::SEQUENCE | tag::CONTEXT_0_PRIMITIVE, _) => {
                Err(Rejection::unknown("its signer is not named as its version asks for"))
            }
            _ => Err(Rejection::silent(Errno::EBADMSG)),
        }
    }

    /// `pkcs7_sig_note_authenticated_attr()` for each value, then
    /// `pkcs7_sig_note_set_of_authattrs()`.
    fn signed_attributes(&mut self, set: Element<'a>, message: &Message<'a>) -> Parsed<()> {
        let mut attributes = Reader(set.value);
        if set.tag == tag::CONTEXT_2 {
            attributes = bad(attributes.enter(tag::SEQUENCE))?;
        }
        let mut seen: Vec<String> = Vec::new();
        while attributes.peek().is_some() {
            let mut attribute = bad(attributes.enter(tag::SEQUENCE))?;
            let kind = self.note_oid(bad(attribute.expect(tag::OID))?);
            let mut values = bad(attribute.enter(tag::SET))?;
            while values.peek().is_some() {
                let value = bad(values.any())?;
                self.signed_attribute(&kind, value, message, &mut seen)?;
            }
        }
        let has = |kind: &str| seen.iter().any(|seen| seen == kind);
        if has(CONTENT_TYPE) && has(MESSAGE_DIGEST) || set.tag == tag::CONTEXT_2 {
            return Ok(());
        }
        warn(Errno::EBADMSG, "Missing required AuthAttr")
    }

    fn signed_attribute(
        &mut self,
        kind: &str,
        value: Element<'a>,
        message: &Message<'a>,
        seen: &mut Vec<String>,
    ) -> Parsed<()> {
        let is_known = [
            CONTENT_TYPE,
            MESSAGE_DIGEST,
            "1.2.840.113549.1.9.5",
            SMIME_CAPABILITIES,
            "1.3.6.1.4.1.311.2.1.12",
            "1.3.6.1.4.1.311.2.1.11",
        ];
        if !is_known.contains(&kind) {
            return Ok(());
        }
        if seen.iter().any(|seen| seen == kind) {
            return warn(Errno::EKEYREJECTED, "Repeated/multivalue AuthAttrs not permitted");
        }
        seen.push(kind.to_owned());
        match kind {
            CONTENT_TYPE if message.is_data != (oid_text(value.value).as_deref() == Some(DATA)) => {
                let line =
                    format!("Mismatch between global data type ({NUMBER}) and sinfo 0 ({NUMBER})");
                warn(Errno::EBADMSG, &line)
            }
            MESSAGE_DIGEST if value.tag != tag::OCTET_STRING => {
                Err(Rejection::silent(Errno::EBADMSG))
            }
            SMIME_CAPABILITIES if message.is_data => {
                warn(Errno::EKEYREJECTED, "S/MIME Caps only allowed with Authenticode")
            }
            _ if kind.starts_with("1.3.6.1.4.1.311.") && message.is_data => {
                warn(Errno::EKEYREJECTED, "Authenticode AuthAttrs only allowed with Authenticode")
            }
            _ => Ok(()),
        }
    }
}

const DATA: &str = "1.2.840.113549.1.7.1";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SMIME_CAPABILITIES: &str = "1.2.840.113549.1.9.15";
