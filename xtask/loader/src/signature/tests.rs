//! Signatures that `openssl` made (see `tests/fixtures/README`), and what damages them.

use super::{Lookup, Rejection, Trust, certificate::Certificate};
use crate::{
    errno::Errno,
    version_rules::{Version, VersionRules},
};
use ko::kconfig::Kconfig;

const DATA: &[u8] = b"a module, as far as its signature goes\n";

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/", $name)).as_slice()
    };
}

/// The certificates of the fixtures: RSA, P-256, P-384.
const CERTIFICATES: [&[u8]; 3] = [fixture!("rsa.der"), fixture!("p256.der"), fixture!("p384.der")];

/// A signature by each key, without attributes and without its certificate.
const SIGNATURES: [&[u8]; 6] = [
    fixture!("rsa-sha256.p7s"),
    fixture!("rsa-sha512.p7s"),
    fixture!("p256-sha256.p7s"),
    fixture!("p256-sha512.p7s"),
    fixture!("p384-sha256.p7s"),
    fixture!("p384-sha384.p7s"),
];

fn trust(certificates: &[&[u8]]) -> Trust {
    trust_of("7.3.4", &["SHA1", "SHA256", "SHA512", "SHA3", "ECDSA"], certificates)
}

fn trust_of(release: &str, options: &[&str], certificates: &[&[u8]]) -> Trust {
    let config: String = options.iter().map(|name| format!("CONFIG_CRYPTO_{name}=y\n")).collect();
    let rules = VersionRules::for_version(Version::parse(release).unwrap());
    let parse = |der: &&[u8]| Certificate::parse(der).unwrap();
    Trust::new(&Kconfig::parse(&config), rules, certificates.iter().map(parse).collect())
}

fn verify(data: &[u8], message: &[u8], trust: &Trust) -> Result<String, Rejection> {
    super::verify(data, message, trust, Lookup::Secondary).map(|vouched| vouched.subject)
}

fn errno(data: &[u8], message: &[u8], trust: &Trust) -> Option<Errno> {
    match verify(data, message, trust) {
        Ok(_) => None,
        Err(Rejection::Errno(errno, _)) => Some(errno),
        Err(Rejection::Unknown(reason)) => panic!("{reason}"),
    }
}

#[test]
fn good_signatures_verify_and_a_flipped_bit_of_the_data_is_noticed() {
    let all = trust(&CERTIFICATES);
    for (index, message) in SIGNATURES.iter().enumerate() {
        assert!(verify(DATA, message, &all).is_ok(), "{index}: {:?}", verify(DATA, message, &all));
        assert_eq!(errno(DATA, message, &trust(&[])), Some(Errno::ENOKEY));
        let mut changed = DATA.to_vec();
        for at in (0..DATA.len()).step_by(13) {
            changed[at] ^= 1;
            assert_eq!(errno(&changed, message, &all), Some(Errno::EKEYREJECTED), "{index}");
            changed[at] ^= 1;
        }
    }
}

#[test]
fn a_cut_signature_is_a_bad_message() {
    let all = trust(&CERTIFICATES);
    for message in SIGNATURES {
        for end in (0..message.len()).step_by(3) {
            assert_eq!(errno(DATA, &message[..end], &all), Some(Errno::EBADMSG), "{end}");
        }
    }
}

#[test]
fn signed_attributes_and_certificates_are_judged_first() {
    let attributes = fixture!("p256-attributes.p7s");
    assert_eq!(errno(DATA, attributes, &trust(&CERTIFICATES)), Some(Errno::EKEYREJECTED));
    let own = fixture!("p256-certificate.p7s");
    assert_eq!(errno(DATA, own, &trust(&[])), Some(Errno::ENOKEY));
    assert_eq!(errno(DATA, own, &trust(&CERTIFICATES)), None);
    assert_eq!(errno(b"other", own, &trust(&[])), Some(Errno::EKEYREJECTED));
    let by_key_id = fixture!("p256-key-id.p7s");
    assert_eq!(errno(DATA, by_key_id, &trust(&CERTIFICATES)), None);
    assert_eq!(errno(DATA, by_key_id, &trust(&CERTIFICATES[..1])), Some(Errno::ENOKEY));
}

#[test]
fn a_digest_that_the_kernel_lacks_is_no_package() {
    let without = trust_of("7.3.4", &["SHA512"], &CERTIFICATES);
    assert_eq!(errno(DATA, SIGNATURES[0], &without), Some(Errno::ENOPKG));
    assert_eq!(errno(DATA, SIGNATURES[1], &without), None);
}

#[test]
fn a_digest_that_is_a_module_is_decided_once_it_is_loaded() {
    let rules = VersionRules::for_version(Version(7, 2, 6));
    let certificates = CERTIFICATES.iter().map(|der| Certificate::parse(der).unwrap());
    let config = Kconfig::parse("CONFIG_CRYPTO_SHA512=m\nCONFIG_CRYPTO_SHA256=y\n");
    let mut modular = Trust::new(&config, rules, certificates.collect());
    let verified = verify(DATA, SIGNATURES[1], &modular);
    assert!(matches!(verified, Err(Rejection::Unknown(why)) if why.ends_with("with --live")));
    modular.take_loaded("name         : sha256\ndriver       : sha512-lib\n");
    assert!(verify(DATA, SIGNATURES[1], &modular).is_err());
    modular
        .take_loaded("name         : sha512\ndriver       : sha512-lib\nmodule       : sha512\n");
    assert!(verify(DATA, SIGNATURES[1], &modular).is_ok());
}

#[test]
fn a_kind_of_key_that_the_kernel_lacks_is_no_entry_in_a_message_and_no_trust_in_a_keyring() {
    let own = fixture!("p256-certificate.p7s");
    let without = |certificates| trust_of("6.1.176", &["SHA256", "SHA384", "SHA512"], certificates);
    assert_eq!(errno(DATA, own, &without(&[])), Some(Errno::ENOENT));
    assert_eq!(errno(DATA, SIGNATURES[2], &without(&CERTIFICATES)), Some(Errno::EKEYREJECTED));
    assert_eq!(errno(DATA, SIGNATURES[2], &without(&[])), Some(Errno::ENOKEY));
    assert_eq!(errno(DATA, SIGNATURES[0], &without(&CERTIFICATES)), None);
}

#[test]
fn a_certificate_that_signed_itself_is_verified_when_it_is_read() {
    let own = fixture!("p256-certificate.p7s").to_vec();
    let certificate = CERTIFICATES.iter().find(|der| own.windows(der.len()).any(|at| at == **der));
    let certificate = certificate.unwrap();
    let begin = own.windows(certificate.len()).position(|at| at == *certificate).unwrap();
    let mut changed = own;
    changed[begin + certificate.len() - 1] ^= 1;
    assert_eq!(errno(DATA, &changed, &trust(&[])), Some(Errno::EKEYREJECTED));
}

#[test]
fn an_identifier_is_known_from_a_version_on_or_up_to_one() {
    let known = |oid: &[u8], release| {
        let rules = VersionRules::for_version(Version::parse(release).unwrap());
        super::oid::look_up(oid, rules).is_some()
    };
    let md5 = b"\x2a\x86\x48\x86\xf7\x0d\x02\x05";
    let sha3 = b"\x60\x86\x48\x01\x65\x03\x04\x02\x08";
    let sha256 = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
    let sha1 = b"\x2b\x0e\x03\x02\x1a";
    assert!(known(sha1, "6.1.176") && !known(sha1, "6.7.11") && known(sha1, "6.7.12"));
    assert!(!known(sha1, "6.8.2") && known(sha1, "6.8.3") && known(sha1, "6.12.117"));
    assert!(known(md5, "6.1.176") && !known(md5, "6.12.117"));
    assert!(!known(sha3, "6.1.176") && known(sha3, "6.12.117"));
    assert!(known(sha256, "6.1.176") && known(sha256, "7.3.4"));
    let ml_dsa = b"\x60\x86\x48\x01\x65\x03\x04\x03\x11";
    assert!(!known(ml_dsa, "6.12.117") && known(ml_dsa, "7.2.6"));
}

#[test]
fn certificates_are_found_among_other_bytes() {
    let image =
        [b"\x30\x82\x01\x00\x30\x82noise", CERTIFICATES[0], b"more", CERTIFICATES[2]].concat();
    let found = super::certificate::find_certificates(&image);
    let subjects: Vec<_> = found.iter().map(|certificate| certificate.subject.as_str()).collect();
    assert_eq!(subjects, ["rsa of the fixtures", "p384 of the fixtures"]);
}

#[test]
fn a_short_time_and_a_long_one_are_read_as_by_the_kernel() {
    let is_time = super::pkcs7::is_time;
    for good in ["250101000000Z", "991231235960Z", "240229240000Z"] {
        assert!(is_time(0x17, good.as_bytes()), "{good}");
    }
    for bad in ["250229000000Z", "251301000000Z", "2501010000Z", "250101000000+", "500101000000Z"] {
        assert!(!is_time(0x17, bad.as_bytes()), "{bad}");
    }
    assert!(is_time(0x18, b"20500101000000Z"));
    assert!(!is_time(0x18, b"20490101000000Z") && !is_time(0x18, b"250101000000Z"));
    assert!(!is_time(0x04, b"250101000000Z"));
}
