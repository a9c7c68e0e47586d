//! A kernel's trusted certificates and its algorithms, and the ways in which it refuses.

use std::{collections::HashSet, fmt};

use super::{
    algorithm::{Digest, KeyAlgorithm},
    certificate::Certificate,
    public_key::{PublicKey, Verification},
};
use crate::{errno::Errno, version_rules::VersionRules};
use ko::kconfig::Kconfig;

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

/// A keyring that the kernel looks a module's key up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// The certificates that are built into the image.
    Builtin,
    /// The certificates that were added, each vouched for by a trusted one.
    Secondary,
    /// The owner's keys (MOK), which the firmware hands over.
    Machine,
    /// The firmware's own keys (db), and the owner's where there is no machine keyring.
    Platform,
    /// The caller names the certificate, and says that the kernel trusts it.
    Named,
}

impl fmt::Display for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// Its keyring.
    pub keyring: Keyring,
    /// Itself.
    pub certificate: Certificate,
}

/// A kernel's trusted certificates and its algorithms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The certificates of its keyrings.
    pub keys: Vec<Trusted>,
    /// The support for each digest and for ECDSA; an algorithm that is not listed is missing. RSA
    /// is always built in (`SYSTEM_DATA_VERIFICATION` selects it).
    pub algorithms: Vec<(&'static str, Support)>,
    /// The keyrings that its configuration has.
    pub keyrings: Vec<Keyring>,
    /// The rules of its version.
    pub rules: VersionRules,
}

/// The support for an algorithm.
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
    /// Reads digests and keyrings from a configuration, and takes the built-in certificates.
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

    /// Returns `true` if the kernel has the algorithm of an option; `what` names its role in the
    /// signature.
    fn has(&self, option: &str, what: &str) -> Result<bool, Rejection> {
        match self.algorithms.iter().find(|(known, _)| *known == option) {
            Some((_, Support::BuiltIn)) => Ok(true),
            Some((_, Support::Module)) => Err(Rejection::unknown(format!(
                "the {what} of its signature is a module of the kernel's (CRYPTO_{option}=m), \
                 which may be loaded then or not: load it before, and ask with --live"
            ))),
            None => Ok(false),
        }
    }

    /// Returns `true` if the kernel has a digest.
    pub(super) fn computes(&self, digest: Digest) -> Result<bool, Rejection> {
        self.has(digest.option(), "digest")
    }

    /// `public_key_verify_signature()`: a kind of key that the kernel cannot compute is `ENOENT`
    /// (`crypto_alloc_tfm()`), once it is that of the signature.
    pub(super) fn verify(
        &self,
        key: &PublicKey,
        algorithm: KeyAlgorithm,
        verify: impl FnOnce() -> Verification,
    ) -> Result<Option<Errno>, Rejection> {
        let is_ecdsa = [key.algorithm(), algorithm] == [KeyAlgorithm::Ecdsa; 2];
        if is_ecdsa && !self.has(ECDSA, "kind")? {
            return Ok(Some(Errno::ENOENT));
        }
        match verify() {
            Verification::Good => Ok(None),
            Verification::Bad(errno) => Ok(Some(errno)),
            Verification::NotModeled => Err(Rejection::unknown(
                "its signature is of a kind whose verification is not modeled: sign it with RSA, \
                 or ECDSA over P-256 or P-384",
            )),
        }
    }

    /// Checks that `upper` issued `lower`, as the kernel does.
    pub(super) fn issued(
        &self,
        upper: &Certificate,
        lower: &Certificate,
    ) -> Result<Option<Errno>, Rejection> {
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
    pub(super) fn of(&self, which: Lookup) -> impl Iterator<Item = &Trusted> {
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
