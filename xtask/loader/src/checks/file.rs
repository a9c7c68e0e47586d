//! Before the ELF: what is asked for, and the file as it is read.

use super::super::{
    errno::Errno,
    load_info::{COMPRESSED_FILE, IGNORE_MODVERSIONS, IGNORE_VERMAGIC, LoadInfo},
    verdict::Finding,
};
use ko::compression::Compression;

/// `may_init_module()`: whether anything may load.
pub(super) fn allowed(load: &mut LoadInfo<'_>) -> Finding {
    match load.kernel.disabled {
        true => Finding::fail(Errno::EPERM)
            .want("a kernel that loads modules")
            .have("nomodule on its command line, or kernel.modules_disabled"),
        false => Finding::pass(),
    }
}

/// `finit_module()`: only known flags.
pub(super) fn flags(load: &mut LoadInfo<'_>) -> Finding {
    let flags = load.request.flags;
    match flags & !(IGNORE_MODVERSIONS | IGNORE_VERMAGIC | COMPRESSED_FILE) {
        0 => Finding::pass(),
        unknown => Finding::fail(Errno::EINVAL)
            .want("flags 1, 2 and 4 of finit_module()")
            .have(format!("{unknown:#x} as well")),
    }
}

/// `kernel_read_file()` (`fs/kernel_read_file.c`): an empty file is none.
pub(super) fn empty(load: &mut LoadInfo<'_>) -> Finding {
    match load.bytes.is_empty() {
        true => Finding::fail(Errno::EINVAL).want("a file").have("no bytes"),
        false => Finding::pass(),
    }
}

/// `module_decompress()` (`kernel/module/decompress.c`). Whoever asks for a file with
/// `MODULE_INIT_COMPRESSED_FILE` hands its packed bytes to this check only when they cannot be
/// unpacked; see `play`.
pub(super) fn unpack(load: &mut LoadInfo<'_>) -> Finding {
    if load.request.flags & COMPRESSED_FILE == 0 {
        return Finding::skip("the file is not given as a packed one");
    }
    let Some(compression) = load.kernel.options.unpacks else {
        return Finding::fail(Errno::EOPNOTSUPP)
            .want("CONFIG_MODULE_DECOMPRESS")
            .have("a kernel that does not unpack modules");
    };
    let found = Compression::detect(load.bytes.bytes());
    if found == compression {
        return Finding::unknown(
            "the packed file is damaged, and the decoder's status not modelled",
        );
    }
    let name = match compression {
        Compression::Xz => "an xz",
        Compression::Zstd => "a zstd",
        Compression::Gzip | Compression::None => "a gzip",
    };
    load.refuse(Errno::EINVAL, format!("not {name} compressed module"))
        .want(format!("{compression:?}"))
        .have(format!("{found:?}"))
}
