//! The keys of a running kernel: what its keyrings hold by `/proc/keys`, and the certificates that
//! its firmware brought. The kernel shows no certificate of a key, so each is looked for where it
//! came from.

use std::path::Path;

use loader::signature::{Keyring, certificate::Certificate, efi};

use crate::host::open;

/// `EFI_IMAGE_SECURITY_DATABASE_GUID`, of the variable `db`.
const SECURITY: &str = "d719b2cb-3d3a-4596-a3bc-e00e67656f59";
/// `EFI_SHIM_LOCK_GUID`, of the owner's variables.
const SHIM: &str = "605dab50-e046-4300-abb6-3dd810dd8b23";
/// efivarfs puts the attributes of a variable before its data.
const ATTRIBUTE_BYTES: usize = 4;

/// The facts that were found out about a running kernel's keys.
#[derive(Debug, Default)]
pub(super) struct LiveKeys {
    /// The firmware's certificates that the kernel has taken as keys, by their keyring.
    pub(super) trusted: Vec<(Keyring, Certificate)>,
    /// Why the keyrings may hold a key whose certificate was not read, as a phrase.
    pub(super) unread: Option<String>,
}

/// A keyring or a key, as `/proc/keys` shows it.
struct Shown<'a> {
    kind: &'a str,
    text: &'a str,
}

impl<'a> Shown<'a> {
    /// The fields before the type are serial number, flags, uses, timeout, permissions and owner
    /// (`proc_keys_show()`, `security/keys/proc.c`); the type is cut to nine letters.
    fn parse(line: &'a str) -> Option<Self> {
        const FIELDS_BEFORE: usize = 7;
        let mut rest = line;
        for _ in 0..FIELDS_BEFORE {
            rest = rest.trim_start().split_once(' ')?.1;
        }
        let (kind, text) = rest.trim_start().split_once(' ')?;
        Some(Self { kind, text: text.trim_start() })
    }

    /// The id of an X.509 key: `SUBJECT: ID: X509.rsa …`.
    fn key_id(&self) -> Option<&'a str> {
        let (described, _) = self.text.split_once(": X509.")?;
        (self.kind == "asymmetri").then(|| described.rsplit(": ").next())?
    }

    /// Returns the number of keys in a keyring of this name: `NAME: 3`, or `NAME: empty`.
    fn size_of(&self, keyring: &str) -> Option<usize> {
        let size = self.text.strip_prefix(keyring)?.strip_prefix(": ")?;
        (self.kind == "keyring").then(|| size.parse().unwrap_or(0))
    }
}

/// Reads the keys below a root folder, `/` for the running kernel. `builtin` are the certificates
/// of its image, `keyrings` those of its configuration.
pub(super) fn read(root: &Path, builtin: &[Certificate], keyrings: &[Keyring]) -> LiveKeys {
    let text = open::read_text(root.join("proc/keys")).unwrap_or_default();
    let shown: Vec<Shown<'_>> = text.lines().filter_map(Shown::parse).collect();
    let is_shown = |certificate: &Certificate| {
        shown.iter().any(|key| key.key_id() == Some(&*certificate.shown_id()))
    };
    let mut found = LiveKeys::default();
    for (keyring, certificate) in firmware(root, keyrings) {
        let is_new = builtin.iter().all(|known| *known != certificate)
            && found.trusted.iter().all(|(_, known)| *known != certificate);
        if is_new && is_shown(&certificate) {
            found.trusted.push((keyring, certificate));
        }
    }
    let of = |keyring| found.trusted.iter().filter(|(of, _)| *of == keyring).count();
    let has = |keyring| usize::from(keyrings.contains(&keyring));
    for &keyring in keyrings {
        let known = match keyring {
            Keyring::Builtin => builtin.len(),
            // It holds the built-in and the machine keyring.
            Keyring::Secondary => 1 + has(Keyring::Machine),
            Keyring::Machine | Keyring::Platform => of(keyring),
            Keyring::Named => continue,
        };
        let size = shown.iter().find_map(|shown| shown.size_of(&keyring.to_string()));
        let unread = match size {
            // The machine keyring is linked only where it came to be.
            Some(size) if size <= known => continue,
            Some(size) => format!("{keyring} holds {size} keys, {known} of which could be read"),
            None if keyring == Keyring::Machine && !shown.is_empty() => continue,
            None => format!("{keyring} is not shown to this user"),
        };
        found.unread.get_or_insert(unread);
    }
    found
}

/// The certificates that the firmware offers, each with the keyring that takes it
/// (`load_uefi_certs()`, `security/integrity/platform_certs/load_uefi.c`).
fn firmware(root: &Path, keyrings: &[Keyring]) -> Vec<(Keyring, Certificate)> {
    let variable = |name: &str, owner: &str| {
        let path = root.join("sys/firmware/efi/efivars").join(format!("{name}-{owner}"));
        open::read(path).ok().and_then(|data| Some(data.get(ATTRIBUTE_BYTES..)?.to_vec()))
    };
    // shim's own table of variables comes first, and has no attributes.
    let owners = |name: &str| {
        let table = root.join("sys/firmware/efi/mok-variables").join(name);
        open::read(table).ok().or_else(|| variable(name, SHIM))
    };
    let is_trusted = owners("MokListTrustedRT").is_some() && keyrings.contains(&Keyring::Machine);
    let owners_keyring = if is_trusted { Keyring::Machine } else { Keyring::Platform };
    let lists =
        [(Keyring::Platform, variable("db", SECURITY)), (owners_keyring, owners("MokListRT"))];
    let certificates = lists.into_iter().flat_map(|(keyring, list)| {
        let found = efi::certificates(&list.unwrap_or_default());
        found.into_iter().map(move |certificate| (keyring, certificate))
    });
    certificates.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const RSA: &[u8] = include_bytes!("../../loader/tests/fixtures/rsa.der");
    const P256: &[u8] = include_bytes!("../../loader/tests/fixtures/p256.der");
    const P384: &[u8] = include_bytes!("../../loader/tests/fixtures/p384.der");
    const ALL: [Keyring; 4] =
        [Keyring::Builtin, Keyring::Secondary, Keyring::Machine, Keyring::Platform];

    /// A variable's data: one list of one certificate.
    fn list(der: &[u8]) -> Vec<u8> {
        let guid = [
            0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b,
            0xf0, 0x72,
        ];
        let entry = 16 + der.len() as u32;
        let sizes = [28 + entry, 0, entry].map(u32::to_le_bytes).concat();
        [&guid[..], &sizes, &[0; 16], der].concat()
    }

    fn key_line(der: &[u8]) -> String {
        let certificate = Certificate::parse(der).unwrap();
        format!(
            "1fa2b3c4 I------     1 perm 1f030000     0     0 asymmetri {}: {}: X509.rsa 01234567 []\n",
            certificate.subject,
            certificate.shown_id()
        )
    }

    fn ring_line(name: &str, size: &str) -> String {
        format!("0a1b2c3d I------     1 perm 1f0b0000     0     0 keyring   {name}: {size}\n")
    }

    /// A machine with these lines in /proc/keys, and these certificates in db and MokListRT.
    fn machine(keys: &str, db: &[u8], mok: &[u8], is_trusted: bool) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, data: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, data).unwrap();
        };
        put("proc/keys", keys.as_bytes());
        let with_attributes = |data: &[u8]| [&[7, 0, 0, 0], data].concat();
        let variables = "sys/firmware/efi/efivars";
        put(&format!("{variables}/db-{SECURITY}"), &with_attributes(&list(db)));
        put(&format!("{variables}/MokListRT-{SHIM}"), &with_attributes(&list(mok)));
        if is_trusted {
            put("sys/firmware/efi/mok-variables/MokListTrustedRT", &[1]);
        }
        root
    }

    fn rings(builtin: &str, machine: &str, platform: &str) -> String {
        [
            ring_line(".builtin_trusted_keys", builtin),
            ring_line(".secondary_trusted_keys", "2"),
            ring_line(".machine", machine),
            ring_line(".platform", platform),
        ]
        .concat()
    }

    #[test]
    fn the_firmwares_certificates_are_those_that_the_kernel_shows_as_keys() {
        let builtin = [Certificate::parse(RSA).unwrap()];
        let keys = [rings("1", "1", "1"), key_line(RSA), key_line(P256), key_line(P384)].concat();
        let found = |root: tempfile::TempDir| {
            let LiveKeys { trusted, unread } = read(root.path(), &builtin, &ALL);
            let trusted: Vec<(Keyring, String)> =
                trusted.into_iter().map(|(keyring, found)| (keyring, found.subject)).collect();
            (trusted, unread)
        };
        let p256 = || "p256 of the fixtures".to_owned();
        let p384 = || "p384 of the fixtures".to_owned();
        let (trusted, unread) = found(machine(&keys, P256, P384, true));
        assert_eq!(trusted, [(Keyring::Platform, p256()), (Keyring::Machine, p384())]);
        assert_eq!(unread, None);
        // Without MokListTrustedRT the owner's key is in .platform.
        let keys = [rings("1", "empty", "2"), key_line(P256), key_line(P384)].concat();
        let (trusted, unread) = found(machine(&keys, P256, P384, false));
        assert_eq!(trusted, [(Keyring::Platform, p256()), (Keyring::Platform, p384())]);
        assert_eq!(unread, None);
        // The certificate is there and the key is not, without Secure Boot or where dbx names it.
        let keys = [rings("1", "empty", "1"), key_line(P256)].concat();
        let (trusted, unread) = found(machine(&keys, P256, P384, true));
        assert_eq!((trusted, unread), (vec![(Keyring::Platform, p256())], None));
    }

    #[test]
    fn a_keyring_with_more_keys_than_certificates_is_told() {
        let builtin = [Certificate::parse(RSA).unwrap()];
        let unread = |keys: &str| {
            let root = machine(keys, P256, P384, false);
            read(root.path(), &builtin, &ALL).unread.unwrap_or_default()
        };
        let keys = [rings("1", "empty", "2"), key_line(P256)].concat();
        assert_eq!(unread(&keys), ".platform holds 2 keys, 1 of which could be read");
        assert!(unread(&rings("2", "empty", "empty")).starts_with(".builtin_trusted_keys holds 2"));
        assert!(unread("").contains("not shown to this user"));
        let root = tempfile::tempdir().unwrap();
        assert!(read(root.path(), &builtin, &ALL).unread.is_some());
    }
}
