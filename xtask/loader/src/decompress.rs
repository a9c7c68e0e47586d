//! The kernel's own decompressor (`kernel/module/decompress.c` of 7.3.4), for a file given with
//! `MODULE_INIT_COMPRESSED_FILE`. kmod does so when the kernel's compression is the file's own, and
//! unpacks the file itself otherwise.

use crate::{
    errno::Errno,
    hint::Cause,
    kernel_facts::ConfigOptions,
    xz_dec::{self, Refused},
};
use ko::compression::{Compression, UNPACKED_BYTES_MAX, unpack_as_kernel};

/// Why the kernel does not unpack a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The kernel's error, the line that it logs, what was found, and the hint's cause.
    Errno { errno: Errno, line: Option<String>, have: String, cause: Option<Cause> },
    /// It cannot be decided offline; the reason.
    Unknown(String),
}

/// `module_decompress()`: the unpacked module.
pub(super) fn module_decompress(file: &[u8], options: &ConfigOptions) -> Result<Vec<u8>, Refusal> {
    let Some(wanted) = options.unpacks else {
        return Err(Refusal::Errno {
            errno: Errno::EOPNOTSUPP,
            line: None,
            have: "a kernel that does not unpack modules (no CONFIG_MODULE_DECOMPRESS)".into(),
            cause: Some(Cause::Compressed),
        });
    };
    let found = Compression::detect(file);
    if found != wanted {
        let name = match wanted {
            Compression::Xz => "an xz",
            Compression::Zstd => "a zstd",
            Compression::Gzip | Compression::None => "a gzip",
        };
        return Err(Refusal::Errno {
            errno: Errno::EINVAL,
            line: Some(format!("not {name} compressed module")),
            have: format!("{found:?}"),
            cause: (found != Compression::None).then_some(Cause::Compressed),
        });
    }
    if wanted == Compression::Xz {
        return xz_dec::unpack(file, &options.xz_filters, UNPACKED_BYTES_MAX).map_err(xz_refusal);
    }
    let mut plain = Vec::new();
    match unpack_as_kernel(wanted, file, &mut plain, UNPACKED_BYTES_MAX) {
        Some(()) => Ok(plain),
        None => Err(Refusal::Unknown(
            "the compressed file is damaged, and how the kernel's decoder of its kind tells that \
             is not modeled: compress it again"
                .into(),
        )),
    }
}

fn xz_refusal(refused: Refused) -> Refusal {
    let Refused::Status(status, have, is_check) = refused else {
        return Refusal::Unknown(
            "unpacking the file takes so much memory that the kernel may not have it: compress it \
             again with xz --check=crc32"
                .into(),
        );
    };
    Refusal::Errno {
        errno: Errno::EINVAL,
        line: Some(format!("decompression failed with status {}", status as u32)),
        have,
        cause: Some(if is_check { Cause::XzCheck } else { Cause::CompressedForm }),
    }
}

/// The bytes that [`refuses_form`] looks at.
pub const FORM_BYTES: usize = xz_dec::FORM_BYTES;

/// `true` if kmod gives the kernel this compressed file, and its decoder lacks the file's form:
/// the first [`FORM_BYTES`] of the file tell.
pub fn refuses_form(head: &[u8], options: &ConfigOptions) -> bool {
    options.unpacks == Some(Compression::Xz)
        && Compression::detect(head) == Compression::Xz
        && xz_dec::refuses_form(head, &options.xz_filters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ko::kconfig::Kconfig;
    use liblzma::stream::{Action, Check, Filters, LzmaOptions, Stream};

    fn options() -> ConfigOptions {
        ConfigOptions::from_config(&Kconfig::parse(
            "CONFIG_MODULE_DECOMPRESS=y\nCONFIG_MODULE_COMPRESS_XZ=y\nCONFIG_XZ_DEC_X86=y\n",
        ))
    }

    fn xz(check: Check, filters: impl FnOnce(&mut Filters)) -> Vec<u8> {
        let mut chain = Filters::new();
        filters(&mut chain);
        chain.lzma2(&LzmaOptions::new_preset(1).unwrap());
        let mut stream = Stream::new_stream_encoder(&chain, check).unwrap();
        let mut packed = Vec::with_capacity(4096);
        stream.process_vec(&[7; 5000], &mut packed, Action::Finish).unwrap();
        packed
    }

    fn line(file: &[u8]) -> Option<String> {
        match module_decompress(file, &options()) {
            Ok(plain) => {
                assert_eq!(plain, [7; 5000]);
                None
            }
            Err(Refusal::Errno { line, .. }) => line,
            Err(Refusal::Unknown(reason)) => panic!("{reason}"),
        }
    }

    #[test]
    fn only_what_the_kernels_decoder_reads_is_unpacked() {
        let status = |status: u32| Some(format!("decompression failed with status {status}"));
        for check in [Check::None, Check::Crc32] {
            assert_eq!(line(&xz(check, |_| {})), None);
        }
        for check in [Check::Crc64, Check::Sha256] {
            assert_eq!(line(&xz(check, |_| {})), status(6), "{check:?}");
        }
        assert_eq!(line(&xz(Check::Crc32, |f| _ = f.x86())), None);
        assert_eq!(line(&xz(Check::Crc32, |f| _ = f.arm())), status(6));
        let good = xz(Check::Crc32, |_| {});
        assert_eq!(line(&good[..good.len() / 2]), status(0));
        let mut damaged = good.clone();
        // Nothing reads the first byte of the data.
        const FIRST: usize = 30;
        damaged[FIRST] ^= 0x40;
        assert_eq!(line(&damaged), None);
        damaged[FIRST + 1] ^= 0x40;
        assert_eq!(line(&damaged), status(7));
        let followed = [good.as_slice(), b"whatever follows"].concat();
        assert_eq!(line(&followed), None);
        assert_eq!(line(b"\x1f\x8b\x08"), Some("not an xz compressed module".into()));
        // A header is judged by its CRC before what it says.
        let mut header = good.clone();
        header[7] ^= 4;
        assert_eq!(line(&header), status(7));
        for at in (6..good.len()).filter(|&at| at != FIRST) {
            let mut damaged = good.clone();
            damaged[at] ^= 0x20;
            assert_ne!(line(&damaged), None, "{at}");
        }
    }
}
