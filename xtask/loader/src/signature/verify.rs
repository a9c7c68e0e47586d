//! Whether a signature is good: the kernel's order of checks.

use super::{
    certificate::Certificate,
    pkcs7::{Message, Rejection, SignerInfo, parse},
};
use crate::errno::Errno;
use ko::kconfig::Kconfig;

/// What a kernel trusts and can compute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The certificates of its keyrings.
    pub certificates: Vec<Certificate>,
    /// How each digest is there; none named here is missing.
    pub digests: Vec<(&'static str, DigestSupport)>,
}

/// How a digest is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestSupport {
    /// It is built in.
    BuiltIn,
    /// It is a module, which the kernel asks modprobe for.
    Module,
}

/// The options of the digests (`CONFIG_CRYPTO_…`).
const DIGEST_OPTIONS: [&str; 4] = ["SHA1", "SHA256", "SHA512", "SHA3"];

impl Trust {
    /// What a configuration says of the digests, and these certificates.
    pub fn new(config: &Kconfig, certificates: Vec<Certificate>) -> Self {
        let support = |option: &'static str| match config.get(&format!("CRYPTO_{option}"))? {
            "y" => Some((option, DigestSupport::BuiltIn)),
            "m" => Some((option, DigestSupport::Module)),
            _ => None,
        };
        Self { certificates, digests: DIGEST_OPTIONS.into_iter().filter_map(support).collect() }
    }
}

/// `verify_pkcs7_signature()` (`certs/system_keyring.c` of 7.3.4): the subject of the certificate
/// that vouches for the signature.
///
/// # Errors
/// Why the signature is not good: `ENOKEY` when no trusted certificate is named by it.
pub fn verify(data: &[u8], message: &[u8], trust: &Trust) -> Result<String, Rejection> {
    let message = parse(message)?;
    let reject = |errno, line: &str| Err(Rejection::Errno(errno, vec![line.to_owned()]));
    if message.has_data {
        let lines = ["PKCS7: Data already supplied", "PKCS#7 signature with non-detached data"];
        return Err(Rejection::Errno(Errno::EBADMSG, lines.map(Into::into).to_vec()));
    }
    if !message.is_data {
        return reject(Errno::EKEYREJECTED, "PKCS7: Invalid module sig (not pkcs7-data)");
    }
    if message.has_signed_attributes {
        return reject(Errno::EKEYREJECTED, "PKCS7: Invalid module sig (has authattrs)");
    }
    let mut supported = Vec::new();
    for signer in &message.signers {
        if verify_own(data, &message, signer, trust)? {
            supported.push(signer);
        }
    }
    if supported.is_empty() {
        return Err(Rejection::silent(Errno::ENOPKG));
    }
    let mut found = Err(Rejection::silent(Errno::ENOKEY));
    for signer in supported {
        match validate_trust(data, &message, signer, trust) {
            Err(Rejection::Errno(Errno::ENOKEY, _)) => {}
            Ok(subject) => found = Ok(subject),
            other => return other,
        }
    }
    found
}

/// The answer of a verification that was computed; an error where it cannot be.
fn computed(answer: Option<bool>) -> Result<bool, Rejection> {
    answer.ok_or_else(|| {
        Rejection::unknown("its signature is of a kind whose verification is not modelled")
    })
}

/// `pkcs7_verify_one()`: a certificate that the message brings for its signer must fit. False when
/// the kernel lacks the digest.
fn verify_own(
    data: &[u8],
    message: &Message<'_>,
    signer: &SignerInfo<'_>,
    trust: &Trust,
) -> Result<bool, Rejection> {
    let option = signer.digest.option();
    match trust.digests.iter().find(|(known, _)| *known == option) {
        Some((_, DigestSupport::BuiltIn)) => {}
        Some((_, DigestSupport::Module)) => {
            return Err(Rejection::unknown(format!(
                "the digest of its signature is a module of the kernel's (CRYPTO_{option}=m), \
                 which may be loaded then or not"
            )));
        }
        None => return Ok(false),
    }
    let Some(own) = own_certificate(message, signer) else { return Ok(true) };
    let SignerInfo { key_algorithm, digest, signature, .. } = signer;
    if !computed(own.key.verify(*key_algorithm, *digest, data, signature))? {
        return Err(Rejection::silent(Errno::EKEYREJECTED));
    }
    // `pkcs7_verify_sig_chain()`, as far as the message brings the chain.
    let mut lower = own;
    for _ in &message.certificates {
        if lower.is_self_issued() {
            break;
        }
        let Some(upper) = issuer_in(&message.certificates, lower) else { break };
        if !computed(upper.has_signed(lower))? {
            return Err(Rejection::silent(Errno::EKEYREJECTED));
        }
        lower = upper;
    }
    Ok(true)
}

/// `pkcs7_find_key()`.
fn own_certificate<'m>(
    message: &'m Message<'_>,
    signer: &SignerInfo<'_>,
) -> Option<&'m Certificate> {
    message.certificates.iter().find(|certificate| certificate.id == signer.key_id)
}

fn issuer_in<'c>(certificates: &'c [Certificate], lower: &Certificate) -> Option<&'c Certificate> {
    certificates.iter().find(|upper| is_issuer(upper, lower))
}

fn is_issuer(upper: &Certificate, lower: &Certificate) -> bool {
    lower.issuer_id.as_deref() == Some(&upper.id)
        || lower.issuer_key_id.is_some() && lower.issuer_key_id == upper.key_id
}

/// `pkcs7_validate_trust_one()` (`crypto/asymmetric_keys/pkcs7_trust.c`): a certificate of the
/// signer's chain is trusted, or was issued by a trusted one, or a trusted one is the signer's.
fn validate_trust(
    data: &[u8],
    message: &Message<'_>,
    signer: &SignerInfo<'_>,
    trust: &Trust,
) -> Result<String, Rejection> {
    let SignerInfo { key_algorithm, digest, signature, .. } = signer;
    let signed_by = |certificate: &Certificate| {
        computed(certificate.key.verify(*key_algorithm, *digest, data, signature))
    };
    let vouched = |is_good: bool, trusted: &Certificate| {
        if is_good {
            Ok(trusted.subject.clone())
        } else {
            Err(Rejection::silent(Errno::EKEYREJECTED))
        }
    };
    let mut lower: Option<&Certificate> = None;
    let mut next = own_certificate(message, signer);
    for _ in 0..=message.certificates.len() {
        let Some(certificate) = next else { break };
        if let Some(trusted) = trust.certificates.iter().find(|t| t.id == certificate.id) {
            let is_good = match lower {
                None => signed_by(trusted)?,
                Some(lower) => computed(trusted.has_signed(lower))?,
            };
            return vouched(is_good, trusted);
        }
        if certificate.is_self_issued() {
            return Err(Rejection::silent(Errno::ENOKEY));
        }
        lower = Some(certificate);
        next = issuer_in(&message.certificates, certificate);
    }
    if let Some(lower) = lower {
        if let Some(root) = trust.certificates.iter().find(|root| is_issuer(root, lower)) {
            return vouched(computed(root.has_signed(lower))?, root);
        }
    }
    match trust.certificates.iter().find(|trusted| trusted.is_named_by(&signer.key_id)) {
        Some(trusted) => vouched(signed_by(trusted)?, trusted),
        None => Err(Rejection::silent(Errno::ENOKEY)),
    }
}
