//! Before the ELF: what is asked for, and the file as it is read.

use crate::{
    decompress::{Refusal, module_decompress},
    errno::Errno,
    load_info::{COMPRESSED_FILE, IGNORE_MODVERSIONS, IGNORE_VERMAGIC, LoadInfo},
    verdict::Finding,
};
use ko::compression::Compression;

/// `may_init_module()`: whether anything may load.
pub(super) fn allowed(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.disabled {
        return if load.kernel.ima_appraises {
            Finding::unknown(
                "IMA appraises modules (ima_policy=), by a signature that is not in the file: boot \
                 without the word",
            )
        } else {
            Finding::pass()
        };
    }
    Finding::fail(Errno::EPERM)
        .want("a kernel that loads modules")
        .have("nomodule on its command line, or kernel.modules_disabled")
}

/// `finit_module()`: only known flags.
pub(super) fn flags(load: &mut LoadInfo<'_>) -> Finding {
    let unknown = load.request.flags & !(IGNORE_MODVERSIONS | IGNORE_VERMAGIC | COMPRESSED_FILE);
    if unknown == 0 {
        return Finding::pass();
    }
    Finding::fail(Errno::EINVAL)
        .want("flags 1, 2 and 4 of finit_module()")
        .have(format!("{unknown:#x} as well"))
}

/// `kernel_read_file()` (`fs/kernel_read_file.c`) refuses an empty file. One that is empty when it
/// is unpacked is refused by IMA alone (`ima_post_read_file()`), which is asked about it since 7.2.
pub(super) fn empty(load: &mut LoadInfo<'_>) -> Finding {
    if load.elf.len() > 0 {
        return Finding::pass();
    }
    let is_measured = load.kernel.options.ima_appraise && load.kernel.rules.unpacked_is_measured;
    match (load.is_unpacked, is_measured) {
        (false, _) => Finding::fail(Errno::EINVAL).want("a file").have("no bytes"),
        (true, true) => Finding::fail(Errno::EACCES).want("a module").have("no bytes"),
        (true, false) => Finding::pass(),
    }
}

/// `module_decompress()` (`kernel/module/decompress.c`). A file given with [`COMPRESSED_FILE`]
/// comes here with its compressed bytes only when they could not be unpacked: see
/// [`crate::kernel_model`].
pub(super) fn unpack(load: &mut LoadInfo<'_>) -> Finding {
    if load.request.flags & COMPRESSED_FILE == 0 {
        return Finding::skip("the file is not given as a compressed one");
    }
    match module_decompress(load.elf.bytes(), &load.kernel.options) {
        Ok(_) => Finding::pass(),
        Err(Refusal::Unknown(reason)) => Finding::unknown(reason),
        Err(Refusal::Errno { errno, line, have, cause }) => {
            line.into_iter().for_each(|line| load.say(line));
            let want = match load.kernel.options.unpacks {
                None => "CONFIG_MODULE_DECOMPRESS".into(),
                Some(Compression::Xz) => "xz with CRC32 or no check, LZMA2 and one filter".into(),
                Some(wanted) => format!("{wanted:?}"),
            };
            Finding::fail(errno).want(want).have(have).because(cause)
        }
    }
}
