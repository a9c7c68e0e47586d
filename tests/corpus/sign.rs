//! Signs a module with a key that no kernel knows, in every form that the kernel tells apart.

use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
use sha2::{Digest, Sha256};

/// The parts of a signature.
#[derive(Clone, Copy, Default)]
pub(crate) struct Form {
    /// The signer's own certificate.
    pub(crate) certificate: bool,
    /// Signed attributes: the content type and the digest.
    pub(crate) attributes: bool,
    /// Among them the capabilities of S/MIME, which `openssl cms` adds.
    pub(crate) capabilities: bool,
    /// The signer named by the key id instead of issuer and serial number.
    pub(crate) by_key_id: bool,
    /// The data within the message.
    pub(crate) attached: bool,
    /// The identifier of the digest, where it is not SHA-256; the digest itself is SHA-256 all the
    /// same.
    pub(crate) digest: Option<&'static [u8]>,
    /// The identifier of the kind of key, where it is not ECDSA with SHA-256.
    pub(crate) key: Option<&'static [u8]>,
    /// The type that the message says it is of, where that is not data.
    pub(crate) content: Option<&'static [u8]>,
    /// The versions of the message and of its signer.
    pub(crate) versions: Option<[u8; 2]>,
    /// Sequences where the kernel takes sets or sequences.
    pub(crate) sequences: bool,
    /// Attributes that are not signed.
    pub(crate) unsigned_attributes: bool,
    /// An attribute of the issuer's name that the kernel does not know.
    pub(crate) odd_name: bool,
    /// The number of further signers.
    pub(crate) more_signers: usize,
    /// No signer at all.
    pub(crate) no_signer: bool,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 2;
const OCTETS: u8 = 4;
const OID: u8 = 6;

const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
const CAPABILITIES: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f";
const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
pub(crate) const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
pub(crate) const SHA224: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x04";
pub(crate) const SHA384: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x02";
pub(crate) const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";
pub(crate) const SHA3_256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x08";
pub(crate) const MD5: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x02\x05";
const ECDSA_SHA256: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x02";
const EC_KEY: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
pub(crate) const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
pub(crate) const AUTHENTICODE: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x04";
/// An identifier that is in nobody's registry.
pub(crate) const UNKNOWN: &[u8] = b"\x2a\x03\x04";
const COMMON_NAME: &[u8] = b"\x55\x04\x03";
const KEY_ID: &[u8] = b"\x55\x1d\x0e";
const SERIAL: &[u8] = b"\x47\x11";

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = value.len().to_be_bytes();
    let digits: Vec<u8> = length.iter().copied().skip_while(|&byte| byte == 0).collect();
    let length = match value.len() {
        short @ 0..128 => vec![short as u8],
        _ => [&[0x80 | digits.len() as u8], digits.as_slice()].concat(),
    };
    [&[tag], length.as_slice(), &value].concat()
}

fn algorithm(oid: &[u8]) -> Vec<u8> {
    der(SEQUENCE, &[&der(OID, &[oid])])
}

fn name() -> Vec<u8> {
    let pair = der(SEQUENCE, &[&der(OID, &[COMMON_NAME]), &der(0x0c, &[b"a key of nobody's"])]);
    der(SEQUENCE, &[&der(SET, &[&pair])])
}

/// A name with an attribute of a kind that the kernel does not know.
fn odd_name() -> Vec<u8> {
    let pair = der(SEQUENCE, &[&der(OID, &[UNKNOWN]), &der(0x0c, &[b"odd"])]);
    der(SEQUENCE, &[&der(SET, &[&pair])])
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn sign(bytes: &[u8]) -> Vec<u8> {
    let signature: Signature = key().sign_prehash(&Sha256::digest(bytes)).unwrap();
    signature.to_der().as_bytes().to_vec()
}

/// The key id: a digest of the key, as `openssl` makes it, only by another digest.
fn key_id() -> Vec<u8> {
    Sha256::digest(key().verifying_key().to_encoded_point(false)).to_vec()
}

/// A certificate of the key, signed by itself.
pub(crate) fn certificate() -> Vec<u8> {
    let point = key().verifying_key().to_encoded_point(false);
    let curve = der(SEQUENCE, &[&der(OID, &[EC_KEY]), &der(OID, &[P256])]);
    let key = der(SEQUENCE, &[&curve, &der(3, &[&[0], point.as_bytes()])]);
    let time = |text: &str| der(0x17, &[text.as_bytes()]);
    let key_id = der(OCTETS, &[&der(OCTETS, &[&key_id()])]);
    let extension = der(SEQUENCE, &[&der(OID, &[KEY_ID]), &key_id]);
    let signed = der(
        SEQUENCE,
        &[
            &der(0xa0, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[SERIAL]),
            &algorithm(ECDSA_SHA256),
            &name(),
            &der(SEQUENCE, &[&time("250101000000Z"), &time("450101000000Z")]),
            &name(),
            &key,
            &der(0xa3, &[&der(SEQUENCE, &[&extension])]),
        ],
    );
    let signature = sign(&signed);
    der(SEQUENCE, &[&signed, &algorithm(ECDSA_SHA256), &der(3, &[&[0], &signature])])
}

/// The PKCS#7 message over some bytes.
/// It is long because it puts the parts of one message together.
pub(crate) fn message(data: &[u8], form: Form) -> Vec<u8> {
    let versions = form.versions.unwrap_or(if form.by_key_id { [3, 3] } else { [1, 1] });
    let digest = algorithm(form.digest.unwrap_or(SHA256));
    let set = if form.sequences { SEQUENCE } else { SET };
    let name = if form.odd_name { odd_name() } else { name() };
    let signer = if form.by_key_id {
        der(0x80, &[&key_id()])
    } else {
        der(SEQUENCE, &[&name, &der(INTEGER, &[SERIAL])])
    };
    let attribute =
        |kind: &[u8], value: &[u8]| der(SEQUENCE, &[&der(OID, &[kind]), &der(SET, &[value])]);
    let mut attributes = vec![
        attribute(CONTENT_TYPE, &der(OID, &[DATA])),
        attribute(MESSAGE_DIGEST, &der(OCTETS, &[&Sha256::digest(data)])),
    ];
    if form.capabilities {
        attributes.push(attribute(CAPABILITIES, &der(SEQUENCE, &[])));
    }
    let attributes = attributes.concat();
    let (signed, attributes) = if form.attributes {
        (der(SET, &[&attributes]), der(0xa0, &[&attributes]))
    } else {
        (data.to_vec(), Vec::new())
    };
    let signer_info = der(
        SEQUENCE,
        &[
            &der(INTEGER, &[&versions[1..]]),
            &signer,
            &digest,
            &attributes,
            &algorithm(form.key.unwrap_or(ECDSA_SHA256)),
            &der(OCTETS, &[&sign(&signed)]),
            &if form.unsigned_attributes {
                der(0xa1, &[&attribute(UNKNOWN, &der(OCTETS, &[b"x"]))])
            } else {
                Vec::new()
            },
        ],
    );
    let signers = if form.no_signer { 0 } else { 1 + form.more_signers };
    let signer_infos = vec![signer_info; signers].concat();
    let kind = der(OID, &[form.content.unwrap_or(DATA)]);
    let certificates = if form.certificate { der(0xa0, &[&certificate()]) } else { Vec::new() };
    let content = if form.attached {
        der(SEQUENCE, &[&kind, &der(0xa0, &[&der(OCTETS, &[b"data"])])])
    } else {
        der(SEQUENCE, &[&kind])
    };
    let signed_data = der(
        SEQUENCE,
        &[
            &der(INTEGER, &[&versions[..1]]),
            &der(set, &[&digest]),
            &content,
            &certificates,
            &der(set, &[&signer_infos]),
        ],
    );
    der(SEQUENCE, &[&der(OID, &[SIGNED_DATA]), &der(0xa0, &[&signed_data])])
}

/// A module with this message as its signature.
pub(crate) fn append(module: &[u8], message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    let marker = b"~Module signature appended~\n";
    [module, message, &[0, 0, 2, 0, 0, 0, 0, 0], &length, marker].concat()
}

/// A module, signed.
pub(crate) fn signed(module: &[u8], form: Form) -> Vec<u8> {
    append(module, &message(module, form))
}
