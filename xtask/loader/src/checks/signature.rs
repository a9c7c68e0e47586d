//! The signature, which is checked before anything of the ELF is read.

use crate::{
    errno::Errno,
    hint::Cause,
    kernel_facts::KernelFacts,
    kernel_state::KernelState,
    load_info::{COMPRESSED_FILE, LoadInfo, LoadRequest},
    signature::{Keyring, Lookup, Rejection, Vouched, verify},
    verdict::Finding,
};
use ko::signature::MAGIC;

/// `sizeof(struct module_signature)` (`include/uapi/linux/module_signature.h`).
const INFO_BYTES: u64 = 12;
/// `MODULE_SIGNATURE_TYPE_PKCS7`.
const PKCS7: u8 = 2;

/// `module_sig_check()` (`kernel/module/signing.c`). Only a missing signature, an unknown key and
/// unknown algorithms are for the kernel's policy to judge; everything else is fatal, also where
/// signatures are not enforced.
pub(super) fn signature(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.signatures {
        load.sig_ok = Some(true);
        return Finding::skip("the kernel does not check signatures (no CONFIG_MODULE_SIG)");
    }
    let (errno, lines) = match mod_verify_sig(load) {
        Ok(Vouched { subject, keyring, lines }) => {
            lines.into_iter().for_each(|line| load.say(line));
            load.sig_ok = Some(true);
            return Finding::pass().have(format!("signed by {subject}, of {keyring}"));
        }
        Err(Rejection::Unknown(reason)) => return undecided(load, reason),
        Err(Rejection::Errno(errno, lines)) => (errno, lines),
    };
    let has_attributes = lines.iter().any(|line| line.contains("has authattrs"))
        || lines.iter().any(|line| line.contains("S/MIME Caps"));
    lines.into_iter().for_each(|line| load.say(line));
    let reason = match errno {
        Errno::ENODATA => "unsigned module",
        Errno::ENOPKG => "module with unsupported crypto",
        Errno::ENOKEY => "module with unavailable key",
        _ => return fatal(errno, has_attributes),
    };
    let finding = if load.kernel.signatures_enforced {
        load.refuse(Errno::EKEYREJECTED, format!("Loading of {reason} is rejected"))
    } else if load.kernel.is_locked_down() {
        log_lockdown(load, "unsigned module loading");
        Finding::fail(Errno::EPERM)
    } else {
        return Finding::pass().have(reason);
    };
    finding.want("a signature by a key that the kernel trusts").have(reason)
}

/// Verifies the signature of a file for a kernel, whatever that does with the answer.
pub(crate) fn verify_file(file: &[u8], kernel: &KernelFacts) -> Result<Vouched, Rejection> {
    let mut state = KernelState::default();
    let request = LoadRequest { file, ..LoadRequest::default() };
    mod_verify_sig(&mut LoadInfo::new(request, kernel, &mut state))
}

/// A signature that the kernel refuses whether it enforces signatures or not.
fn fatal(errno: Errno, has_attributes: bool) -> Finding {
    let (have, cause) = match errno {
        Errno::EKEYREJECTED if has_attributes => ("signed attributes", Cause::SignedAttributes),
        Errno::EKEYREJECTED => ("a signature that does not fit the file", Cause::SignatureDiffers),
        Errno::ENOENT => ("a certificate of a kind of key that this kernel lacks", Cause::KeyKind),
        _ => ("a damaged signature", Cause::SignatureDamaged),
    };
    Finding::fail(errno)
        .want("a signature that fits, or no signature at all")
        .have(have)
        .because(cause)
}

/// A signature that cannot be decided offline. Where the kernel enforces signatures, neither can
/// the load.
fn undecided(load: &mut LoadInfo<'_>, reason: String) -> Finding {
    load.sig_ok = None;
    Finding::unknown(reason)
}

/// `lockdown_is_locked_down()` (`security/lockdown/lockdown.c`): the line that it logs.
pub(super) fn log_lockdown(load: &mut LoadInfo<'_>, what: &str) {
    let program = if load.request.program.is_empty() { "modprobe" } else { load.request.program };
    let line = format!("Lockdown: {program}: {what} is restricted; see man kernel_lockdown.7");
    load.say(line);
}

/// `mod_verify_sig()` with `mod_check_sig()` (`kernel/module_signature.c`). The signature is taken
/// off the length of the file.
fn mod_verify_sig(load: &mut LoadInfo<'_>) -> Result<Vouched, Rejection> {
    let silent = |errno| Err(Rejection::Errno(errno, Vec::new()));
    let marker = MAGIC.len() as u64;
    // A module loaded by force is no longer the one that was signed.
    let is_mangled = load.request.flags & !COMPRESSED_FILE != 0;
    if is_mangled || load.len <= marker || !load.elf.bytes().ends_with(MAGIC) {
        return silent(Errno::ENODATA);
    }
    load.len -= marker;
    if load.len <= INFO_BYTES {
        return silent(Errno::EBADMSG);
    }
    let info = load.elf.slice(load.len - INFO_BYTES, INFO_BYTES);
    let &[algo, hash, kind, signer, key, pad0, pad1, pad2, l0, l1, l2, l3] = info else {
        return silent(Errno::EBADMSG);
    };
    let bytes = u64::from(u32::from_be_bytes([l0, l1, l2, l3]));
    if bytes >= load.len - INFO_BYTES {
        return silent(Errno::EBADMSG);
    }
    if kind != PKCS7 {
        let line = "module: not signed with expected PKCS#7 message".into();
        return Err(Rejection::Errno(Errno::ENOPKG, vec![line]));
    }
    if [algo, hash, signer, key, pad0, pad1, pad2] != [0; 7] {
        let line = "module: PKCS#7 signature info has unexpected non-zero params".into();
        return Err(Rejection::Errno(Errno::EBADMSG, vec![line]));
    }
    load.len -= bytes + INFO_BYTES;
    let message = load.elf.slice(load.len, bytes);
    let data = load.elf.slice(0, load.len);
    let secondary = verify(data, message, &load.kernel.trust, Lookup::Secondary);
    let Err(Rejection::Errno(Errno::ENOKEY, lines)) = secondary else { return secondary };
    look_in_platform_keyring(load, data, message, lines)
}

/// Debian's kernels look an unknown key up in the firmware's keyring as well, with all checks done
/// and logged once more; mainline's do not.
fn look_in_platform_keyring(
    load: &LoadInfo<'_>,
    data: &[u8],
    message: &[u8],
    lines: Vec<String>,
) -> Result<Vouched, Rejection> {
    let trust = &load.kernel.trust;
    let no_key = |lines| Err(Rejection::Errno(Errno::ENOKEY, lines));
    let found = if trust.keyrings.contains(&Keyring::Platform) {
        match load.kernel.patches.platform_keyring_asked {
            Some(true) => verify(data, message, trust, Lookup::Platform),
            Some(false) => no_key(Vec::new()),
            None if lines.is_empty() && load.kernel.keys_unread.is_none() => no_key(Vec::new()),
            None => Err(Rejection::Unknown(
                "whether this kernel looks a module's key up in .platform is not known, as \
                 Debian's do and mainline's do not: name a tree with its source \
                 (kernel/module/signing.c)"
                    .into(),
            )),
        }
    } else {
        no_key(Vec::new())
    };
    let found = match found {
        Ok(vouched) => {
            return Ok(Vouched { lines: [lines, vouched.lines].concat(), ..vouched });
        }
        Err(Rejection::Errno(errno, more)) => Err(Rejection::Errno(errno, [lines, more].concat())),
        unknown => return unknown,
    };
    let is_no_key = matches!(found, Err(Rejection::Errno(Errno::ENOKEY, _)));
    let reason = match &load.kernel.keys_unread {
        _ if !is_no_key => return found,
        _ if !load.kernel.certificates_known => {
            "the kernel's certificates are unknown: name its image (--image) or the certificate \
             (--certificate)"
                .into()
        }
        Some(unread) => format!(
            "none of the certificates that were read made its signature, and {unread}: name the \
             certificate (--certificate)"
        ),
        None => return found,
    };
    Err(Rejection::Unknown(reason))
}
