//! A build of kmod: its release, and the libraries with which it unpacks modules.

use std::fmt;

use super::compression::Compression;

/// The facts that `kmod --version` tells of a kmod. Its rules follow from the release, the files
/// that it lists and unpacks from the libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KmodFacts {
    /// The release: `(34, 2)` for 34.2.
    pub release: (u32, u32),
    /// `true` if it was built with libzstd.
    pub zstd: bool,
    /// `true` if it was built with liblzma.
    pub xz: bool,
    /// `true` if it was built with zlib.
    pub zlib: bool,
}

impl KmodFacts {
    /// The kmod of Debian 13, which the private root has.
    pub const TRIXIE: Self = Self { release: (34, 2), zstd: true, xz: true, zlib: false };

    /// Reads what `kmod --version` prints; `None` if it has no release.
    pub fn parse(text: &str) -> Option<Self> {
        let release = text.strip_prefix("kmod version ")?.split_whitespace().next()?;
        let (major, minor) = release.split_once('.').unwrap_or((release, "0"));
        let has = |feature: &str| text.split_whitespace().any(|word| word == feature);
        Some(Self {
            release: (major.parse().ok()?, minor.parse().ok()?),
            zstd: has("+ZSTD"),
            xz: has("+XZ"),
            zlib: has("+ZLIB"),
        })
    }

    /// Returns `true` if it can unpack this form. A file of another form it does not list, and
    /// refuses with ENOSYS.
    pub fn unpacks(&self, compression: Compression) -> bool {
        match compression {
            Compression::None => true,
            Compression::Xz => self.xz,
            Compression::Zstd => self.zstd,
            Compression::Gzip => self.zlib,
        }
    }
}

impl Default for KmodFacts {
    fn default() -> Self {
        Self::TRIXIE
    }
}

/// The release and the libraries, as a reader may know them from `kmod --version`.
impl fmt::Display for KmodFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |has: bool| if has { '+' } else { '-' };
        let Self { release: (major, minor), zstd, xz, zlib } = *self;
        write!(f, "kmod {major}.{minor} ({}ZSTD {}XZ {}ZLIB)", sign(zstd), sign(xz), sign(zlib))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        let text = "kmod version 34.2\n+ZSTD +XZ -ZLIB +OPENSSL\n";
        let kmod = KmodFacts::parse(text).unwrap();
        assert_eq!(kmod, KmodFacts::TRIXIE);
        assert!(kmod.unpacks(Compression::Xz) && !kmod.unpacks(Compression::Gzip));
        assert_eq!(kmod.to_string(), "kmod 34.2 (+ZSTD +XZ -ZLIB)");
        assert_eq!(KmodFacts::parse("kmod version 33\n-ZSTD").unwrap().release, (33, 0));
        assert_eq!(KmodFacts::parse("busybox"), None);
    }
}
