//! The signature that may follow a module's ELF.
//!
//! The file ends in the magic words, before them 12 bytes of `struct module_signature`
//! (`include/uapi/linux/module_signature.h`), before those the signature itself. Since 4.3 that
//! is a PKCS#7 message whose signer is named by issuer and serial number.

use serde::{Serialize, Serializer};

use super::{
    der::{Reader, oid_text, tag},
    text::Text,
};

/// `MODULE_SIGNATURE_MARKER`.
pub const MAGIC: &[u8] = b"~Module signature appended~\n";
/// `sizeof(struct module_signature)`.
const INFO_BYTES: usize = 12;
/// `MODULE_SIGNATURE_TYPE_PKCS7`.
const TYPE_PKCS7: u8 = 2;

/// Bytes, written as `28:8D:42`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The signature of a module. That it is there says nothing of its being good: the keys that
/// decide are the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signature<'a> {
    /// `PKCS#7`; before 4.3 `PGP` or `X509`.
    pub id: &'static str,
    /// The common name of the issuer of the signer's certificate.
    pub signer: Text<'a>,
    /// The serial number of the signer's certificate.
    pub key: Hex<'a>,
    /// The digest, such as `sha256`.
    pub hash: String,
    /// The signature proper.
    pub signature: Hex<'a>,
}

/// Reads the signature at the end of a module; `None` when there is none, or none that kmod's
/// `kmod_module_signature_info()` (`libkmod/libkmod-signature.c`) would show.
pub fn signature(data: &[u8]) -> Option<Signature<'_>> {
    let data = data.strip_suffix(MAGIC)?;
    let (data, info) = data.split_at_checked(data.len().checked_sub(INFO_BYTES)?)?;
    let [_, _, id_type, .., a, b, c, d] = *info else { return None };
    if id_type != TYPE_PKCS7 {
        return None;
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let message = data.get(data.len().checked_sub(length)?..)?;
    pkcs7(message)
}

/// `SignedData` of RFC 2315: the first signer and what it used.
fn pkcs7(message: &[u8]) -> Option<Signature<'_>> {
    let mut content = Reader(message).enter(tag::SEQUENCE)?;
    content.expect(tag::OID)?;
    let mut signed = content.enter(tag::CONTEXT_0)?.enter(tag::SEQUENCE)?;
    signed.expect(tag::INTEGER)?;
    signed.expect(tag::SET)?;
    signed.expect(tag::SEQUENCE)?;
    signed.skip_optional(tag::CONTEXT_0);
    signed.skip_optional(tag::CONTEXT_1);
    let mut signer = signed.enter(tag::SET)?.enter(tag::SEQUENCE)?;
    signer.expect(tag::INTEGER)?;
    let mut issuer_and_serial = signer.enter(tag::SEQUENCE)?;
    let issuer = issuer_and_serial.enter(tag::SEQUENCE)?;
    let serial = issuer_and_serial.expect(tag::INTEGER)?;
    let hash = signer.enter(tag::SEQUENCE)?.expect(tag::OID)?;
    signer.skip_optional(tag::CONTEXT_0);
    signer.expect(tag::SEQUENCE)?;
    let signature = signer.expect(tag::OCTET_STRING)?;
    Some(Signature {
        id: "PKCS#7",
        signer: common_name(issuer).unwrap_or_default(),
        key: Hex(magnitude(serial)),
        hash: hash_name(hash)?,
        signature: Hex(signature),
    })
}

/// The common name; without one the last name there is, as kmod's `x509_name_to_str()` does.
pub fn common_name(mut name: Reader<'_>) -> Option<Text<'_>> {
    const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
    let mut last = None;
    while let Some(mut set) = name.enter(tag::SET) {
        while let Some(mut attribute) = set.enter(tag::SEQUENCE) {
            let kind = attribute.expect(tag::OID)?;
            let text = Text::until_nul(attribute.any()?.value);
            if kind == COMMON_NAME {
                return Some(text);
            }
            last = Some(text);
        }
    }
    last
}

/// The bytes of a positive number, without the zeros that only keep it positive.
fn magnitude(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|&&byte| byte == 0).count();
    &integer[zeros..]
}

/// The name of a digest, or its number when it is none that signs modules.
fn hash_name(oid: &[u8]) -> Option<String> {
    let number = oid_text(oid)?;
    let name = match number.as_str() {
        "1.3.14.3.2.26" => "sha1",
        "2.16.840.1.101.3.4.2.1" => "sha256",
        "2.16.840.1.101.3.4.2.2" => "sha384",
        "2.16.840.1.101.3.4.2.3" => "sha512",
        "2.16.840.1.101.3.4.2.4" => "sha224",
        "2.16.840.1.101.3.4.2.8" => "sha3-256",
        "2.16.840.1.101.3.4.2.9" => "sha3-384",
        "2.16.840.1.101.3.4.2.10" => "sha3-512",
        _ => return Some(number),
    };
    Some(name.to_owned())
}
