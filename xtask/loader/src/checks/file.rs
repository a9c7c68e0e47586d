//! Before the ELF: what is asked for, and the file as it is read.

use crate::{
    errno::Errno,
    hint::Cause,
    load_info::{COMPRESSED_FILE, IGNORE_MODVERSIONS, IGNORE_VERMAGIC, LoadInfo},
    verdict::Finding,
};
use ko::compression::Compression;

/// `may_init_module()`: whether anything may load.
pub(super) fn allowed(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.disabled {
        return Finding::pass();
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

/// `kernel_read_file()` (`fs/kernel_read_file.c`) refuses an empty file.
pub(super) fn empty(load: &mut LoadInfo<'_>) -> Finding {
    if load.elf.is_empty() {
        return Finding::fail(Errno::EINVAL).want("a file").have("no bytes");
    }
    Finding::pass()
}

/// `module_decompress()` (`kernel/module/decompress.c`). A file given with [`COMPRESSED_FILE`]
/// comes here with its compressed bytes only when they could not be unpacked: see
/// [`crate::kernel_model`].
pub(super) fn unpack(load: &mut LoadInfo<'_>) -> Finding {
    if load.request.flags & COMPRESSED_FILE == 0 {
        return Finding::skip("the file is not given as a compressed one");
    }
    let Some(wanted) = load.kernel.options.unpacks else {
        return Finding::fail(Errno::EOPNOTSUPP)
            .want("CONFIG_MODULE_DECOMPRESS")
            .have("a kernel that does not unpack modules")
            .because(Cause::Compressed);
    };
    let found = Compression::detect(load.elf.bytes());
    if found == wanted {
        return Finding::unknown(
            "the compressed file is damaged, and the decoder's status not modelled",
        );
    }
    let name = match wanted {
        Compression::Xz => "an xz",
        Compression::Zstd => "a zstd",
        Compression::Gzip | Compression::None => "a gzip",
    };
    load.refuse(Errno::EINVAL, format!("not {name} compressed module"))
        .want(format!("{wanted:?}"))
        .have(format!("{found:?}"))
        .because((found != Compression::None).then_some(Cause::Compressed))
}
