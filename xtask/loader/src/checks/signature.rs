//! The signature, which comes before anything of the ELF is read.

use crate::{
    errno::Errno,
    hint::Cause,
    load_info::{COMPRESSED_FILE, LoadInfo},
    verdict::Finding,
};
use ko::signature::MAGIC;

/// `sizeof(struct module_signature)` (`include/uapi/linux/module_signature.h`).
const INFO_BYTES: u64 = 12;
/// `MODULE_SIGNATURE_TYPE_PKCS7`.
const PKCS7: u8 = 2;

/// What `mod_verify_sig()` can say without its keys.
enum Signature {
    None,
    /// The kernel's own keys decide.
    Keys,
    /// `-ENOPKG`: of a kind that it does not know.
    Unsupported,
    Bad,
}

/// `module_sig_check()` (`kernel/module/signing.c`) and `mod_check_sig()`
/// (`kernel/module_signature.c`).
pub(super) fn signature(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.signatures {
        load.sig_ok = Some(true);
        return Finding::skip("the kernel does not check signatures (no CONFIG_MODULE_SIG)");
    }
    let reason = match read(load) {
        Signature::None => "unsigned module",
        Signature::Unsupported => "module with unsupported crypto",
        Signature::Keys => return unknown_key(load),
        Signature::Bad => {
            return Finding::fail(Errno::EBADMSG)
                .want("a signature, since the file ends in the words that announce one")
                .have("something else")
                .because(Cause::SignatureDamaged);
        }
    };
    if load.kernel.signatures_enforced {
        return load
            .refuse(Errno::EKEYREJECTED, format!("Loading of {reason} is rejected"))
            .want("a signature by a key that the kernel trusts")
            .have(reason);
    }
    if load.kernel.locked_down {
        return locked_down(load, reason);
    }
    Finding::pass().have(reason)
}

fn locked_down(load: &mut LoadInfo<'_>, reason: &str) -> Finding {
    log_lockdown(load, "unsigned module loading");
    Finding::fail(Errno::EPERM).want("a signature by a key that the kernel trusts").have(reason)
}

/// `lockdown_is_locked_down()` (`security/lockdown/lockdown.c`): the line that it logs.
pub(super) fn log_lockdown(load: &mut LoadInfo<'_>, what: &str) {
    let program = if load.request.program.is_empty() { "modprobe" } else { load.request.program };
    let line = format!("Lockdown: {program}: {what} is restricted; see man kernel_lockdown.7");
    load.say(line);
}

/// A well-formed signature: good when its key is one of the kernel's, which the files do not tell.
fn unknown_key(load: &mut LoadInfo<'_>) -> Finding {
    load.sig_ok = None;
    let have = "whether the kernel has the key of its signature, and the signature fits";
    match load.kernel.signatures_enforced || load.kernel.locked_down {
        true => Finding::unknown(have),
        false => Finding::open(have),
    }
}

fn read(load: &mut LoadInfo<'_>) -> Signature {
    let marker = MAGIC.len() as u64;
    // A module loaded by force is no longer the one that was signed.
    let forced = load.request.flags & !COMPRESSED_FILE != 0;
    if forced || load.len <= marker || !load.elf.bytes().ends_with(MAGIC) {
        return Signature::None;
    }
    load.len -= marker;
    if load.len <= INFO_BYTES {
        return Signature::Bad;
    }
    let info = load.elf.slice(load.len - INFO_BYTES, INFO_BYTES);
    let &[algo, hash, kind, signer, key, pad0, pad1, pad2, l0, l1, l2, l3] = info else {
        return Signature::Bad;
    };
    let bytes = u64::from(u32::from_be_bytes([l0, l1, l2, l3]));
    if bytes >= load.len - INFO_BYTES {
        return Signature::Bad;
    }
    if kind != PKCS7 {
        load.say("module: not signed with expected PKCS#7 message".into());
        return Signature::Unsupported;
    }
    if [algo, hash, signer, key, pad0, pad1, pad2] != [0; 7] {
        load.say("module: PKCS#7 signature info has unexpected non-zero params".into());
        return Signature::Bad;
    }
    load.len -= bytes + INFO_BYTES;
    let message = load.elf.slice(load.len, bytes);
    match message.first() {
        // What is no ASN.1 sequence is refused by the parser (`pkcs7_parse_message()`).
        Some(0x30) => Signature::Keys,
        _ => Signature::Bad,
    }
}
