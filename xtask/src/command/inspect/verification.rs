//! A kernel's answer to a module's signature.

use std::fmt;

use loader::{
    errno::Errno,
    kernel_facts::KernelFacts,
    signature::{Keyring, Rejection, Vouched},
    verify_signature,
};

/// A kernel's answer to a signature.
pub(super) struct Verification {
    pub(super) release: String,
    pub(super) answer: Answer,
    /// The keyrings in which the kernel looks the key up.
    pub(super) keyrings: Vec<String>,
}

/// The answer, with its reason.
pub(super) enum Answer {
    /// The kernel checks no signatures.
    NotChecked,
    /// It is, by a certificate of a keyring.
    Good { subject: String, keyring: Keyring },
    /// It is not.
    Bad(Errno),
    /// It cannot be decided offline; the reason.
    Unknown(String),
}

impl Verification {
    /// Verifies an unpacked module's signature for a kernel.
    pub(super) fn of(file: &[u8], kernel: &KernelFacts) -> Self {
        let answer = if kernel.options.signatures {
            match verify_signature(file, kernel) {
                Ok(Vouched { subject, keyring, .. }) => Answer::Good { subject, keyring },
                Err(Rejection::Errno(errno, _)) => Answer::Bad(errno),
                Err(Rejection::Unknown(reason)) => Answer::Unknown(reason),
            }
        } else {
            Answer::NotChecked
        };
        let is_asked = |keyring: &&Keyring| {
            **keyring != Keyring::Platform || kernel.patches.platform_keyring_asked != Some(false)
        };
        let keyrings = kernel.trust.keyrings.iter().filter(is_asked);
        let keyrings = keyrings.map(ToString::to_string).collect();
        Self { release: kernel.release.clone(), answer, keyrings }
    }
}

impl Answer {
    /// The word for it in text and JSON.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::NotChecked => "not checked",
            Self::Good { .. } => "yes",
            Self::Bad(_) => "no",
            Self::Unknown(_) => "unknown",
        }
    }

    /// `true` if another key in a keyring would make it good.
    pub(super) fn wants_key(&self) -> bool {
        matches!(self, Self::Bad(Errno::ENOKEY) | Self::Unknown(_))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotChecked => f.write_str("the kernel has no CONFIG_MODULE_SIG"),
            Self::Good { subject, keyring } => write!(f, "by {subject}, of {keyring}"),
            Self::Bad(errno) => {
                let what = match *errno {
                    Errno::ENODATA => "it is not signed",
                    Errno::ENOKEY => "no keyring that was read has its key",
                    Errno::ENOPKG => "the kernel does not know its kind or digest",
                    Errno::EKEYREJECTED => "the signature does not fit the file",
                    _ => "the signature is damaged",
                };
                write!(f, "{what} ({errno})")
            }
            Self::Unknown(reason) => f.write_str(reason),
        }
    }
}
