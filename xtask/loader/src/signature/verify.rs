//! The verification of a signature, in the kernel's order of checks.

use super::{
    certificate::Certificate,
    pkcs7::{Message, SignerInfo, parse},
    trust::{Keyring, Lookup, Rejection, Trust, Trusted},
};
use crate::errno::Errno;

/// A signature that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The subject of the certificate that vouches for it.
    pub subject: String,
    /// The keyring that has it.
    pub keyring: Keyring,
    /// The lines that the kernel logs in either case.
    pub lines: Vec<String>,
}

/// `verify_pkcs7_signature()` (`certs/system_keyring.c` of 7.3.4).
///
/// # Errors
/// Why the signature is not good: `ENOKEY` when no trusted certificate is named by it.
pub fn verify(
    data: &[u8],
    message: &[u8],
    trust: &Trust,
    which: Lookup,
) -> Result<Vouched, Rejection> {
    let message = parse(message, trust)?;
    let logged = |more: Vec<String>| [message.lines.clone(), more].concat();
    match verify_message(data, &message, trust, which) {
        Ok(Trusted { keyring, certificate }) => Ok(Vouched {
            subject: certificate.subject.clone(),
            keyring: *keyring,
            lines: logged(Vec::new()),
        }),
        Err(Rejection::Errno(errno, lines)) => Err(Rejection::Errno(errno, logged(lines))),
        Err(unknown) => Err(unknown),
    }
}

fn verify_message<'t>(
    data: &[u8],
    message: &Message<'_>,
    trust: &'t Trust,
    which: Lookup,
) -> Result<&'t Trusted, Rejection> {
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
        if verify_own(data, message, signer, trust)? {
            supported.push(signer);
        }
    }
    if supported.is_empty() {
        return Err(Rejection::silent(Errno::ENOPKG));
    }
    let mut found = Err(Rejection::silent(Errno::ENOKEY));
    for signer in supported {
        match validate_trust(data, message, signer, trust, which) {
            Err(Rejection::Errno(Errno::ENOKEY, _)) => {}
            Ok(trusted) => found = Ok(trusted),
            other => return other,
        }
    }
    found
}

/// `pkcs7_verify_one()`: a certificate that the message brings for its signer must fit. False when
/// the kernel lacks the digest.
fn verify_own(
    data: &[u8],
    message: &Message<'_>,
    signer: &SignerInfo<'_>,
    trust: &Trust,
) -> Result<bool, Rejection> {
    if !trust.computes(signer.digest)? {
        return Ok(false);
    }
    let Some(own) = own_certificate(message, signer) else { return Ok(true) };
    let SignerInfo { key_algorithm, digest, signature, .. } = signer;
    // Here alone the error of the verification itself is returned.
    let verify = || own.key.verify(*key_algorithm, *digest, data, signature);
    if let Some(errno) = trust.verify(&own.key, *key_algorithm, verify)? {
        return Err(Rejection::silent(errno));
    }
    // `pkcs7_verify_sig_chain()`, as far as the message brings the chain.
    let mut lower = own;
    for _ in &message.certificates {
        if lower.is_self_issued() {
            break;
        }
        let Some(upper) = issuer_in(&message.certificates, lower) else { break };
        if let Some(errno) = trust.issued(upper, lower)? {
            return Err(Rejection::silent(errno));
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
    lower.issuer_key_id.is_some() && lower.issuer_key_id == upper.key_id
}

/// `pkcs7_validate_trust_one()` (`crypto/asymmetric_keys/pkcs7_trust.c`): a certificate of the
/// signer's chain is trusted, or was issued by a trusted one, or a trusted one is the signer's.
fn validate_trust<'t>(
    data: &[u8],
    message: &Message<'_>,
    signer: &SignerInfo<'_>,
    trust: &'t Trust,
    which: Lookup,
) -> Result<&'t Trusted, Rejection> {
    let SignerInfo { key_algorithm, digest, signature, .. } = signer;
    let find = |is: &dyn Fn(&Certificate) -> bool| trust.of(which).find(|key| is(&key.certificate));
    let signed_by = |trusted: &Trusted| {
        let key = &trusted.certificate.key;
        let verify = || key.verify(*key_algorithm, *digest, data, signature);
        trust.verify(key, *key_algorithm, verify)
    };
    let vouched = |answer: Option<Errno>, trusted: &'t Trusted| match answer {
        None => Ok(trusted),
        Some(_) => Err(Rejection::silent(Errno::EKEYREJECTED)),
    };
    let mut lower: Option<&Certificate> = None;
    let mut next = own_certificate(message, signer);
    for _ in 0..=message.certificates.len() {
        let Some(certificate) = next else { break };
        if let Some(trusted) = find(&|known| known.id == certificate.id) {
            let answer = match lower {
                None => signed_by(trusted)?,
                Some(lower) => trust.issued(&trusted.certificate, lower)?,
            };
            return vouched(answer, trusted);
        }
        if certificate.is_self_issued() {
            return Err(Rejection::silent(Errno::ENOKEY));
        }
        lower = Some(certificate);
        next = issuer_in(&message.certificates, certificate);
    }
    if let Some(lower) = lower {
        if let Some(root) = find(&|root| is_issuer(root, lower)) {
            return vouched(trust.issued(&root.certificate, lower)?, root);
        }
    }
    // A search for no id at all is no search (`asymmetric_key_match_preparse()`).
    if signer.key_id.is_empty() {
        return Err(Rejection::silent(Errno::EINVAL));
    }
    match find(&|known| known.is_named_by(&signer.key_id)) {
        Some(trusted) => vouched(signed_by(trusted)?, trusted),
        None => Err(Rejection::silent(Errno::ENOKEY)),
    }
}
