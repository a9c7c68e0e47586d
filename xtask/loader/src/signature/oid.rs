//! The object identifiers that the kernel knows (`include/linux/oid_registry.h` of 7.3.4):
//! a message with any other has a line in the log.

use crate::version_rules::VersionRules;
use std::{collections::HashMap, sync::LazyLock};

/// The registry, in its own form.
const KNOWN: &str = "
    1.2.840.10030.4.3 1.2.840.10040.4.1 1.2.840.10045.2.1 1.2.840.10045.3.1.1
    1.2.840.10045.3.1.7 1.2.840.10045.4.1 1.2.840.10045.4.3.1 1.2.840.10045.4.3.2
    1.2.840.10045.4.3.3 1.2.840.10045.4.3.4 1.2.840.113549.1.1.1 1.2.840.113549.1.1.5
    1.2.840.113549.1.1.11 1.2.840.113549.1.1.12 1.2.840.113549.1.1.13 1.2.840.113549.1.1.14
    1.2.840.113549.1.7.1 1.2.840.113549.1.7.2 1.2.840.113549.1.9.1 1.2.840.113549.1.9.3
    1.2.840.113549.1.9.4 1.2.840.113549.1.9.5 1.2.840.113549.1.9.15 1.2.840.113549.1.9.16.2.11
    1.2.840.48018.1.2.2 1.2.840.113554.1.2.2 1.2.840.113554.1.2.2.3 1.3.6.1.4.1.311.2.1.4
    1.3.6.1.4.1.311.2.1.11 1.3.6.1.4.1.311.2.1.12 1.3.6.1.4.1.311.2.1.15 1.3.6.1.4.1.311.2.1.21
    1.3.6.1.4.1.311.16.4 1.3.6.1.4.1.311.2.2.10 1.3.6.1.4.1.311.2.2.30 1.3.6.1.5.5.2
    1.3.6.1.5.2.5 1.3.5.1.5.2.7 1.3.6.1.5.5.14 1.3.6.1.5.5.7.1.1 1.3.14.3.2.26 1.3.132.0.34
    1.3.132.0.35 2.16.840.1.101.3.4.2.1 2.16.840.1.101.3.4.2.2 2.16.840.1.101.3.4.2.3
    2.16.840.1.101.3.4.2.4 2.5.4.3 2.5.4.4 2.5.4.6 2.5.4.7 2.5.4.8 2.5.4.10 2.5.4.11 2.5.4.12
    2.5.4.13 2.5.4.41 2.5.4.42 2.5.4.43 2.5.4.44 2.5.29.14 2.5.29.15 2.5.29.17 2.5.29.18
    2.5.29.19 2.5.29.31 2.5.29.32 2.5.29.35 2.5.29.37 1.2.752.43.14.2 1.2.752.43.14.3
    1.2.643.2.2.35.1 1.2.643.2.2.35.2 1.2.643.2.2.35.3 1.2.643.7.1.1.1.1 1.2.643.7.1.1.1.2
    1.2.643.7.1.1.2.2 1.2.643.7.1.1.2.3 1.2.643.7.1.1.3.2 1.2.643.7.1.1.3.3 1.2.643.7.1.2.1.1.1
    1.2.643.7.1.2.1.1.2 1.2.643.7.1.2.1.1.3 1.2.643.7.1.2.1.1.4 1.2.643.7.1.2.1.2.1
    1.2.643.7.1.2.1.2.2 1.2.643.7.1.2.1.2.3 1.2.156.10197.1.301 1.2.156.10197.1.401
    1.2.156.10197.1.501 1.2.156.10197.1.504 2.23.133.10.1.3 2.23.133.10.1.4 2.23.133.10.1.5
    2.16.840.1.101.3.4.2.8 2.16.840.1.101.3.4.2.9 2.16.840.1.101.3.4.2.10
    2.16.840.1.101.3.4.3.10 2.16.840.1.101.3.4.3.11 2.16.840.1.101.3.4.3.12
    2.16.840.1.101.3.4.3.14 2.16.840.1.101.3.4.3.15 2.16.840.1.101.3.4.3.16
    2.16.840.1.101.3.4.3.17 2.16.840.1.101.3.4.3.18 2.16.840.1.101.3.4.3.19
";

/// Identifiers of kernels before 6.7 only: MD2, MD3 and MD4 with RSA, MD2, MD4, MD5.
const BEFORE_6_7: [&str; 6] = [
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.3",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.2.2",
    MD4,
    MD5,
];
pub(super) const MD4: &str = "1.2.840.113549.2.4";
pub(super) const MD5: &str = "1.2.840.113549.2.5";

/// Those of SHA-1: itself, and with DSA, ECDSA and RSA.
const OF_SHA1: [&str; 4] =
    ["1.3.14.3.2.26", "1.2.840.10030.4.3", "1.2.840.10045.4.1", "1.2.840.113549.1.1.5"];

/// Returns `true` for an identifier that came with 6.7: P-521, SHA-3 and its signatures.
fn came_with_6_7(text: &str) -> bool {
    let digest = text.strip_prefix("2.16.840.1.101.3.4.2.");
    text == "1.3.132.0.35"
        || text.starts_with("2.16.840.1.101.3.4.3.")
        || digest.is_some_and(|arc| matches!(arc, "8" | "9" | "10"))
}

/// Those of ML-DSA.
pub(super) const ML_DSA: [&str; 3] =
    ["2.16.840.1.101.3.4.3.17", "2.16.840.1.101.3.4.3.18", "2.16.840.1.101.3.4.3.19"];

static BY_BYTES: LazyLock<HashMap<Vec<u8>, &str>> = LazyLock::new(|| {
    KNOWN.split_whitespace().chain(BEFORE_6_7).map(|text| (encoded(text), text)).collect()
});

/// The bytes of an identifier.
fn encoded(text: &str) -> Vec<u8> {
    let mut arcs = text.split('.').map(|arc| arc.parse::<u64>().unwrap_or(0));
    let first = arcs.next().unwrap_or(0) * 40 + arcs.next().unwrap_or(0);
    let mut bytes = Vec::new();
    for arc in std::iter::once(first).chain(arcs) {
        let septets = (0..10).rev().map(|place| (arc >> (7 * place) & 0x7f) as u8);
        let septets: Vec<u8> = septets.skip_while(|&septet| septet == 0).collect();
        let (last, more) = septets.split_last().unwrap_or((&0, &[]));
        bytes.extend(more.iter().map(|septet| septet | 0x80));
        bytes.push(*last);
    }
    bytes
}

/// `look_up_OID()`: an identifier that the kernel knows, by its exact bytes.
pub(super) fn look_up(value: &[u8], rules: VersionRules) -> Option<&'static str> {
    let unknown = |text: &&str| {
        if rules.sha3_instead_of_md5 {
            BEFORE_6_7.contains(text)
                || rules.forgets_sha1() && OF_SHA1.contains(text)
                || !rules.ml_dsa && ML_DSA.contains(text)
        } else {
            came_with_6_7(text)
        }
    };
    BY_BYTES.get(value).copied().filter(|text| !unknown(text))
}

/// `sprint_oid()` into a buffer of 50 bytes, as the log shows it.
pub(super) fn sprint(value: &[u8]) -> String {
    const TEXT_MAX: usize = 49;
    let mut text = match value.first() {
        Some(first) => format!("{}.{}", first / 40, first % 40),
        None => String::new(),
    };
    let mut is_bad = value.is_empty();
    let mut rest = value.get(1..).unwrap_or_default().iter();
    while let Some(&byte) = rest.next().filter(|_| text.len() < TEXT_MAX) {
        let (mut byte, mut number) = (byte, u64::from(byte & 0x7f));
        while byte & 0x80 != 0 {
            let Some(&next) = rest.next() else {
                is_bad = true;
                break;
            };
            byte = next;
            number = number << 7 | u64::from(byte & 0x7f);
        }
        if is_bad {
            break;
        }
        text.push_str(&format!(".{number}"));
    }
    if is_bad {
        text.push_str("(bad)");
    }
    text.truncate(TEXT_MAX);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version_rules::Version;

    #[test]
    fn an_identifier_is_known_by_its_exact_bytes() {
        let rules = VersionRules::for_version(Version(7, 3, 4));
        let data = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
        assert_eq!(look_up(data, rules), Some("1.2.840.113549.1.7.1"));
        assert_eq!(look_up(b"\x2a\x86\x48\x80\x86\xf7\x0d\x01\x07\x01", rules), None);
        assert_eq!(look_up(b"", rules), None);
        let is_itself = |text| ko::der::oid_text(&encoded(text)).as_deref() == Some(text);
        assert_eq!(KNOWN.split_whitespace().count(), 106);
        assert!(KNOWN.split_whitespace().all(is_itself));
    }

    #[test]
    fn an_unknown_one_is_printed_as_by_the_kernel() {
        assert_eq!(sprint(b"\x2a\x03"), "1.2.3");
        assert_eq!(sprint(b""), "(bad)");
        assert_eq!(sprint(b"\x2a\x03\x86"), "1.2.3(bad)");
        assert_eq!(sprint(b"\xff\x01"), "6.15.1");
        assert_eq!(sprint(&[0x2a; 40]).len(), 49);
    }
}
