//! Signatures: each form that the kernel tells apart, off, enforced and under lockdown.

use loader::errno::Errno;

use super::{
    cases::{EBADMSG, EINVAL, ENOEXEC, EPERM, Load, Maker, OK, Shows, load},
    sign::{self, Form},
};

impl Maker<'_> {
    /// `plain.ko` with something that ends as a signature does.
    fn signed(&mut self, id: &str, shows: Shows, message: &[u8], info: [u8; 8], length: u32) {
        let mut module = self.built.plain.clone();
        module.bytes.extend_from_slice(message);
        module.bytes.extend_from_slice(&info);
        module.bytes.extend_from_slice(&length.to_be_bytes());
        module.bytes.extend_from_slice(b"~Module signature appended~\n");
        let shows = match self.target.options.signatures {
            true => shows,
            false => Shows(OK, ""),
        };
        self.add(id, shows, vec![load(&module)]);
    }

    pub(super) fn signatures(&mut self) {
        const PKCS7: [u8; 8] = [0, 0, 2, 0, 0, 0, 0, 0];
        self.signed("signature-too-long", Shows(EBADMSG, ""), b"", PKCS7, u32::MAX);
        let says = "module: not signed with expected PKCS#7 message";
        self.signed("signature-kind", Shows(OK, says), b"x", [0; 8], 1);
        let says = "module: PKCS#7 signature info has unexpected non-zero params";
        self.signed("signature-params", Shows(EBADMSG, says), b"x", [1, 0, 2, 0, 0, 0, 0, 0], 1);
        self.signed("signature-garbage", Shows(EBADMSG, ""), b"garbage!", PKCS7, 8);
        self.signed("signature-nothing", Shows(EBADMSG, ""), b"", PKCS7, 0);
        if self.target.options.signatures {
            let mut bare = self.built.plain.clone();
            bare.bytes = b"~Module signature appended~\n".to_vec();
            self.add(
                "signature-alone",
                Shows(ENOEXEC, "Invalid ELF header len 28"),
                vec![load(&bare)],
            );
            let plain = load(&self.built.plain);
            let says = "Loading of unsigned module is rejected";
            let rejected = Some(Errno::EKEYREJECTED);
            self.add("unsigned-enforced", Shows(rejected, says), vec![plain.clone()]).boot =
                "module.sig_enforce=1";
            let says = "Loading of module with unsupported crypto is rejected";
            let mut kind =
                self.cases.iter().find(|case| case.id == "signature-kind").unwrap().clone();
            kind.id = "signature-kind-enforced".into();
            (kind.shows, kind.boot) = (Shows(rejected, says), "module.sig_enforce=1");
            self.cases.push(kind);
            let says = "Lockdown: finit: unsigned module loading is restricted";
            self.add("unsigned-lockdown", Shows(EPERM, says), vec![plain]).boot =
                "lockdown=integrity";
            self.unknown_keys();
            self.shipped();
        }
    }

    /// The same file into a kernel that enforces signatures and into one that does not.
    fn enforced_and_not(&mut self, id: &str, file: &[u8], off: Shows, on: Shows) {
        for (end, shows, boot) in [("", off, ""), ("-enforced", on, "module.sig_enforce=1")] {
            let load = Load { file: file.to_vec(), args: "", flags: 0 };
            self.add(&format!("{id}{end}"), shows, vec![load]).boot = boot;
        }
    }

    /// `plain.ko`, signed by a key that no kernel knows.
    /// It is long because it is a list of forms.
    fn unknown_keys(&mut self) {
        let plain = self.built.plain.bytes.clone();
        let rejected = Some(Errno::EKEYREJECTED);
        let form = Form::default();
        let no_key = Shows(rejected, "Loading of module with unavailable key is rejected");
        let no_digest = Shows(rejected, "Loading of module with unsupported crypto is rejected");
        let attributes = Shows(rejected, "PKCS7: Invalid module sig (has authattrs)");
        let capabilities = Shows(rejected, "PKCS7: S/MIME Caps only allowed with Authenticode");
        let attached = Shows(EBADMSG, "PKCS#7 signature with non-detached data");
        let loads = Shows(OK, "");
        let bad = Shows(EBADMSG, "");
        let pkey = Shows(OK, "Unsupported pkey algo: ");
        let requires = Shows(EBADMSG, "PKCS7: Authenticode requires AuthAttrs");
        let data_type = Shows(EINVAL, "PKCS7: Unsupported data type ");
        let unknown_type = Shows(EINVAL, "PKCS7: Unknown OID: [");
        let mismatch = Shows(EBADMSG, "PKCS7: SignedData-SignerInfo version mismatch");
        let version = Shows(EINVAL, "PKCS7: Unsupported SignedData version");
        let signer_version = Shows(EINVAL, "PKCS7: Unsupported SignerInfo version");
        let no_search = Shows(EINVAL, "");
        let digest = |digest| Form { digest: Some(digest), ..form };
        let content = |content| Form { content: Some(content), ..form };
        let versions = |versions| Form { versions: Some(versions), ..form };
        let with_attributes = Form { attributes: true, ..form };
        let has = |option| self.target.trust.algorithms.iter().any(|(name, _)| *name == option);
        let of_digest = |option| if has(option) { no_key } else { no_digest };
        let unknown_digest = (Shows(OK, "Unsupported digest"), no_digest);
        let (md5, sha3) = if self.target.rules.sha3_instead_of_md5 {
            (unknown_digest, (loads, of_digest("SHA3")))
        } else {
            ((loads, of_digest("MD5")), unknown_digest)
        };
        // A kernel without ECDSA cannot read a certificate of such a key.
        let has_ecdsa = has("ECDSA");
        let with_certificate = if has_ecdsa {
            (loads, no_key)
        } else {
            (Shows(Some(Errno::ENOENT), ""), Shows(Some(Errno::ENOENT), ""))
        };
        for (id, form, off, on) in [
            ("unknown-key", form, loads, no_key),
            ("unknown-key-by-id", Form { by_key_id: true, ..form }, loads, no_key),
            (
                "unknown-key-with-certificate",
                Form { certificate: true, ..form },
                with_certificate.0,
                with_certificate.1,
            ),
            ("digest-md5", digest(sign::MD5), md5.0, md5.1),
            ("digest-unknown", digest(sign::UNKNOWN), Shows(OK, "Unknown OID"), no_digest),
            ("digest-sha1", digest(sign::SHA1), loads, no_key),
            ("digest-sha224", digest(sign::SHA224), loads, no_key),
            ("digest-sha384", digest(sign::SHA384), loads, of_digest("SHA512")),
            ("digest-sha512", digest(sign::SHA512), loads, of_digest("SHA512")),
            ("digest-sha3", digest(sign::SHA3_256), sha3.0, sha3.1),
            ("key-rsa", Form { key: Some(sign::RSA), ..form }, loads, no_key),
            (
                "key-unknown",
                Form { key: Some(sign::UNKNOWN), ..form },
                Shows(OK, "Unsupported pkey algo"),
                no_digest,
            ),
            ("key-of-digest", Form { key: Some(sign::SHA512), ..form }, pkey, no_digest),
            ("content-authenticode", content(sign::AUTHENTICODE), requires, requires),
            ("content-digest", content(sign::SHA1), data_type, data_type),
            ("content-unknown", content(sign::UNKNOWN), unknown_type, unknown_type),
            ("sequences", Form { sequences: true, ..form }, loads, no_key),
            ("unsigned-attributes", Form { unsigned_attributes: true, ..form }, loads, no_key),
            ("odd-name", Form { odd_name: true, ..form }, Shows(OK, "Unknown OID: ["), no_key),
            ("signers-2", Form { more_signers: 1, ..form }, loads, no_key),
            ("signers-0", Form { no_signer: true, ..form }, bad, bad),
            ("version-3", versions([3, 3]), no_search, no_search),
            ("version-3-1", versions([3, 1]), mismatch, mismatch),
            ("version-1-3", versions([1, 3]), mismatch, mismatch),
            ("version-2", versions([2, 1]), version, version),
            ("version-1-2", versions([1, 2]), signer_version, signer_version),
            (
                "key-id-of-version-1",
                Form { by_key_id: true, versions: Some([1, 1]), ..form },
                no_search,
                no_search,
            ),
            ("signed-attributes", with_attributes, attributes, attributes),
            (
                "signed-capabilities",
                Form { capabilities: true, ..with_attributes },
                capabilities,
                capabilities,
            ),
            ("signature-attached", Form { attached: true, ..form }, attached, attached),
        ] {
            self.enforced_and_not(id, &sign::signed(&plain, form), off, on);
        }
        let certificate = Form { certificate: true, ..form };
        let mut tampered = sign::signed(&plain, certificate);
        let at = plain.len() / 2;
        tampered[at] ^= 1;
        let refused = if has_ecdsa { Shows(rejected, "") } else { with_certificate.0 };
        self.enforced_and_not("own-certificate-tampered", &tampered, refused, refused);
        // The certificate's own signature, which is its last part.
        let own = sign::certificate();
        let mut damaged = sign::message(&plain, certificate);
        let at = damaged.windows(own.len()).position(|bytes| bytes == own).unwrap();
        damaged[at + own.len() - 1] ^= 1;
        let damaged = sign::append(&plain, &damaged);
        self.enforced_and_not("own-certificate-damaged", &damaged, refused, refused);
        let message = sign::message(&plain, form);
        let mut garbled = message.clone();
        garbled[1] = 0x7f;
        self.enforced_and_not("signature-garbled", &sign::append(&plain, &garbled), bad, bad);
        let cut = sign::append(&plain, &message[..message.len() - 20]);
        self.enforced_and_not("signature-cut", &cut, bad, bad);
        self.damaged_messages(&plain, &message);
        let mut forced = load(&self.built.plain);
        (forced.file, forced.flags) = (sign::signed(&plain, form), 2);
        let says = "Loading of unsigned module is rejected";
        self.add("signed-and-forced-enforced", Shows(rejected, says), vec![forced]).boot =
            "module.sig_enforce=1";
    }

    /// A message with a byte more or less, or another at its beginning.
    fn damaged_messages(&mut self, plain: &[u8], message: &[u8]) {
        let (bad, loads) = (Shows(EBADMSG, ""), Shows(OK, ""));
        let rejected = Some(Errno::EKEYREJECTED);
        let no_key = Shows(rejected, "Loading of module with unavailable key is rejected");
        let followed = [message, b"more"].concat();
        self.enforced_and_not("message-followed", &sign::append(plain, &followed), loads, no_key);
        let preceded = [b"\0", message].concat();
        self.enforced_and_not("message-preceded", &sign::append(plain, &preceded), bad, bad);
        // The length of the outermost sequence, in two bytes.
        for (id, change) in [("longer", 1i8), ("shorter", -1)] {
            let mut changed = message.to_vec();
            changed[3] = changed[3].wrapping_add_signed(change);
            let file = sign::append(plain, &changed);
            self.enforced_and_not(&format!("message-{id}"), &file, bad, bad);
        }
        let indefinite = [&[0x30, 0x80], &message[4..], &[0, 0]].concat();
        let file = sign::append(plain, &indefinite);
        self.enforced_and_not("message-indefinite", &file, bad, bad);
        let open = [&[0x30, 0x80], &message[4..]].concat();
        self.enforced_and_not("message-unended", &sign::append(plain, &open), bad, bad);
        let primitive = [&[0x10], &message[1..]].concat();
        let file = sign::append(plain, &primitive);
        self.enforced_and_not("message-primitive", &file, loads, no_key);
        let twice = sign::append(&sign::append(plain, message), message);
        self.enforced_and_not("signed-twice", &twice, loads, no_key);
        // The rest of the information that follows the message: each of its bytes must be zero.
        for at in [0, 1, 3, 4, 5, 6, 7] {
            let mut file = sign::append(plain, message);
            let place = file.len() - b"~Module signature appended~\n".len() - 12 + at;
            file[place] = 1;
            let says = "module: PKCS#7 signature info has unexpected non-zero params";
            let load = Load { file, args: "", flags: 0 };
            self.add(&format!("information-{at}"), Shows(EBADMSG, says), vec![load]);
        }
        for kind in [0, 1, 3] {
            let mut file = sign::append(plain, message);
            let place = file.len() - b"~Module signature appended~\n".len() - 12 + 2;
            file[place] = kind;
            let says = "module: not signed with expected PKCS#7 message";
            let on = Shows(rejected, "Loading of module with unsupported crypto is rejected");
            self.enforced_and_not(&format!("kind-{kind}"), &file, Shows(OK, says), on);
        }
        let locked = Load { file: sign::append(plain, message), args: "", flags: 0 };
        let says = "Lockdown: finit: unsigned module loading is restricted";
        self.add("unknown-key-lockdown", Shows(EPERM, says), vec![locked]).boot =
            "lockdown=integrity";
    }

    /// A module that the kernel's own key signed.
    fn shipped(&mut self) {
        let Some(shipped) = self.built.shipped.clone() else { return };
        let (loads, rejected) = (Shows(OK, ""), Some(Errno::EKEYREJECTED));
        self.enforced_and_not("shipped", &shipped, loads, loads);
        let mut tampered = shipped.clone();
        let at = shipped.len() / 3;
        tampered[at] ^= 0x10;
        let refused = Shows(rejected, "");
        self.enforced_and_not("shipped-tampered", &tampered, refused, refused);
        let end = shipped.len() - b"~Module signature appended~\n".len();
        let change = |at: usize, byte: u8| {
            let mut file = shipped.clone();
            file[at] = byte;
            file
        };
        let bad = Shows(EBADMSG, "");
        self.enforced_and_not("shipped-length", &change(end - 4, 0xff), bad, bad);
        let kind = change(end - 10, 1);
        let says = "module: not signed with expected PKCS#7 message";
        let on = Shows(rejected, "Loading of module with unsupported crypto is rejected");
        self.enforced_and_not("shipped-kind", &kind, Shows(OK, says), on);
        let unsigned: Vec<u8> = shipped[..end].to_vec();
        let on = Shows(rejected, "Loading of unsigned module is rejected");
        self.enforced_and_not("shipped-unsigned", &unsigned, loads, on);
        let twice = sign::signed(&shipped, Form::default());
        let on = Shows(rejected, "Loading of module with unavailable key is rejected");
        self.enforced_and_not("shipped-signed-again", &twice, loads, on);
        for (id, file, shows) in [
            ("shipped-lockdown", &shipped, loads),
            ("shipped-tampered-lockdown", &tampered, refused),
            (
                "shipped-unsigned-lockdown",
                &unsigned,
                Shows(EPERM, "Lockdown: finit: unsigned module loading is restricted"),
            ),
            (
                "shipped-kind-lockdown",
                &kind,
                Shows(EPERM, "Lockdown: finit: unsigned module loading is restricted"),
            ),
        ] {
            let load = Load { file: file.clone(), args: "", flags: 0 };
            self.add(id, shows, vec![load]).boot = "lockdown=integrity";
        }
        for (id, flags) in [("versions", 1), ("vermagic", 2)] {
            let forced = Load { file: shipped.clone(), args: "", flags };
            let says = "Loading of unsigned module is rejected";
            self.add(&format!("shipped-forced-{id}"), Shows(rejected, says), vec![forced]).boot =
                "module.sig_enforce=1";
        }
        self.hardware();
    }

    /// A parameter that moves hardware, of signed modules.
    fn hardware(&mut self) {
        let files = self.built.hardware.clone();
        if files.is_empty() {
            return;
        }
        let args = |index: usize| if index + 1 == files.len() { "io=0x378" } else { "" };
        let loads = |(index, file): (usize, &Vec<u8>)| Load {
            file: file.clone(),
            args: args(index),
            flags: 0,
        };
        let loads: Vec<Load> = files.iter().enumerate().map(loads).collect();
        let says = "Lockdown: finit: unsafe module parameters is restricted";
        self.add("hardware-parameter-lockdown", Shows(EPERM, says), loads).boot =
            "lockdown=integrity";
    }
}
