//! Whether a signature is good: the kernel's order of checks.

use std::collections::HashSet;

use super::{
    algorithm::{Digest, KeyAlgorithm},
    certificate::Certificate,
    pkcs7::{Message, Rejection, SignerInfo, parse},
    public_key::{PublicKey, Verification},
};
use crate::{errno::Errno, version_rules::VersionRules};
use ko::kconfig::Kconfig;

/// A keyring that the kernel looks a module's key up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// The certificates that are built into the image.
    Builtin,
    /// Those that were added and that a trusted certificate vouches for.
    Secondary,
    /// The owner's keys (MOK), which the firmware hands over.
    Machine,
    /// The firmware's own keys (db), and the owner's where there is no machine keyring.
    Platform,
    /// None that was seen: whoever asks says that the kernel trusts the certificate.
    Named,
}

impl std::fmt::Display for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Builtin => ".builtin_trusted_keys",
            Self::Secondary => ".secondary_trusted_keys",
            Self::Machine => ".machine",
            Self::Platform => ".platform",
            Self::Named => "the certificate that was named",
        })
    }
}

/// A certificate in a keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Where it is.
    pub keyring: Keyring,
    /// Itself.
    pub certificate: Certificate,
}

/// What a kernel trusts and can compute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The certificates of its keyrings.
    pub keys: Vec<Trusted>,
    /// How each digest, and ECDSA, is there; one that is not named here is missing. RSA is always
    /// there (`SYSTEM_DATA_VERIFICATION` selects it).
    pub algorithms: Vec<(&'static str, Support)>,
    /// The keyrings that its configuration has.
    pub keyrings: Vec<Keyring>,
    /// The rules of its version.
    pub rules: VersionRules,
}

/// How an algorithm is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It is built in.
    BuiltIn,
    /// It is a module, which the kernel asks modprobe for.
    Module,
}

/// The options of the algorithms (`CONFIG_CRYPTO_…`), each with a name in `/proc/crypto` of what it
/// brings.
const OPTIONS: [(&str, &str); 9] = [
    ("SHA1", "sha1"),
    ("SHA256", "sha256"),
    ("SHA512", "sha512"),
    ("SHA3", "sha3-256"),
    ("MD4", "md4"),
    ("MD5", "md5"),
    ("SM3", "sm3"),
    ("STREEBOG", "streebog256"),
    (ECDSA, "ecdsa-nist-p256"),
];
const ECDSA: &str = "ECDSA";

/// The options of the keyrings (`CONFIG_…`); the first is there without one.
const KEYRING_OPTIONS: [(&str, Keyring); 3] = [
    ("SECONDARY_TRUSTED_KEYRING", Keyring::Secondary),
    ("INTEGRITY_MACHINE_KEYRING", Keyring::Machine),
    ("INTEGRITY_PLATFORM_KEYRING", Keyring::Platform),
];

impl Trust {
    /// What a configuration says of digests and keyrings, and the certificates that are built in.
    pub fn new(config: &Kconfig, rules: VersionRules, certificates: Vec<Certificate>) -> Self {
        let support = |option: &'static str| match config.get(&format!("CRYPTO_{option}"))? {
            "y" => Some((option, Support::BuiltIn)),
            "m" => Some((option, Support::Module)),
            _ => None,
        };
        let has = |(option, keyring)| config.has(option).then_some(keyring);
        let mut trust = Self {
            keys: Vec::new(),
            rules,
            algorithms: OPTIONS.into_iter().filter_map(|(option, _)| support(option)).collect(),
            keyrings: [Keyring::Builtin]
                .into_iter()
                .chain(KEYRING_OPTIONS.into_iter().filter_map(has))
                .collect(),
        };
        trust.add(Keyring::Builtin, certificates);
        trust
    }

    /// Adds certificates of a keyring.
    pub fn add(&mut self, keyring: Keyring, certificates: impl IntoIterator<Item = Certificate>) {
        let trusted = |certificate| Trusted { keyring, certificate };
        self.keys.extend(certificates.into_iter().map(trusted));
    }

    /// Takes what the text of `/proc/crypto` lists: an algorithm that is a module and loaded is as
    /// good as built in.
    pub fn take_loaded(&mut self, proc_crypto: &str) {
        let named = |line: &'_ str| {
            let (key, name) = line.split_once(':')?;
            (key.trim() == "name").then(|| name.trim().to_owned())
        };
        let loaded: HashSet<String> = proc_crypto.lines().filter_map(named).collect();
        for (option, support) in &mut self.algorithms {
            let is_loaded = |(of, name): &(&str, &str)| of == option && loaded.contains(*name);
            if OPTIONS.iter().any(is_loaded) {
                *support = Support::BuiltIn;
            }
        }
    }

    /// How the algorithm of an option is there; none for one that is missing.
    fn support(&self, option: &str) -> Option<Support> {
        self.algorithms.iter().find(|(known, _)| *known == option).map(|(_, support)| *support)
    }

    /// Whether the kernel has a digest.
    fn computes(&self, digest: Digest) -> Result<bool, Rejection> {
        let option = digest.option();
        match self.support(option) {
            Some(Support::BuiltIn) => Ok(true),
            Some(Support::Module) => Err(Rejection::unknown(format!(
                "the digest of its signature is a module of the kernel's (CRYPTO_{option}=m), \
                 which may be loaded then or not: load it before, and ask with --live"
            ))),
            None => Ok(false),
        }
    }

    /// `public_key_verify_signature()`: a kind of key that the kernel cannot compute is `ENOENT`
    /// (`crypto_alloc_tfm()`), once it is that of the signature.
    fn verify(
        &self,
        key: &PublicKey,
        algorithm: KeyAlgorithm,
        verify: impl FnOnce() -> Verification,
    ) -> Result<Option<Errno>, Rejection> {
        if (key.algorithm(), algorithm) == (KeyAlgorithm::Ecdsa, KeyAlgorithm::Ecdsa) {
            match self.support(ECDSA) {
                Some(Support::BuiltIn) => {}
                Some(Support::Module) => {
                    return Err(Rejection::unknown(
                        "the kind of its signature is a module of the kernel's \
                         (CRYPTO_ECDSA=m), which may be loaded then or not: load it before, and \
                         ask with --live",
                    ));
                }
                None => return Ok(Some(Errno::ENOENT)),
            }
        }
        match verify() {
            Verification::Good => Ok(None),
            Verification::Bad(errno) => Ok(Some(errno)),
            Verification::NotModelled => Err(Rejection::unknown(
                "its signature is of a kind whose verification is not modelled: sign it with RSA, \
                 or ECDSA over P-256 or P-384",
            )),
        }
    }

    /// What the kernel says of a certificate that another one issued.
    fn issued(&self, upper: &Certificate, lower: &Certificate) -> Result<Option<Errno>, Rejection> {
        let algorithm = lower.algorithm.map_or(KeyAlgorithm::Other(""), |(algorithm, _)| algorithm);
        self.verify(&upper.key, algorithm, || upper.has_signed(lower))
    }

    /// `x509_check_for_self_signed()`: a certificate that names itself as its issuer is verified
    /// when it is read, if its digest is built in.
    pub(super) fn check_self_signed(&self, certificate: &Certificate) -> Result<(), Rejection> {
        if !certificate.is_self_issued() {
            return Ok(());
        }
        match certificate.algorithm {
            Some((_, digest)) if !self.computes(digest)? => return Ok(()),
            _ => {}
        }
        self.issued(certificate, certificate)?.map_or(Ok(()), |errno| Err(Rejection::silent(errno)))
    }

    /// The certificates of a keyring.
    fn of(&self, which: Lookup) -> impl Iterator<Item = &Trusted> {
        let is_asked = move |key: &&Trusted| match which {
            Lookup::Secondary => key.keyring != Keyring::Platform,
            Lookup::Platform => key.keyring == Keyring::Platform,
        };
        self.keys.iter().filter(is_asked)
    }
}

/// The keyring that a verification is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// `VERIFY_USE_SECONDARY_KEYRING`, which links to the built-in and the machine one.
    Secondary,
    /// `VERIFY_USE_PLATFORM_KEYRING`.
    Platform,
}

/// A signature that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The subject of the certificate that vouches for it.
    pub subject: String,
    /// The keyring that has it.
    pub keyring: Keyring,
    /// What the kernel logs all the same.
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
    lower.issuer_id.as_deref() == Some(&upper.id)
        || lower.issuer_key_id.is_some() && lower.issuer_key_id == upper.key_id
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
