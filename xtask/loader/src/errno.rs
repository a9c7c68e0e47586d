//! The errors that a load can end with.

use std::fmt;

/// Declares the errors: number, what `strerror()` says, and what it stands for where that does not
/// say it.
macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal $(, $why:literal)?;)+) => {
        /// An error number of Linux, as x86 and most others have them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum Errno {
            $(#[doc = concat!($text $(, ": ", $why)?, ".")] $name = $number,)+
        }

        impl Errno {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The words of `strerror()`, which are all that kmod's tools show.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

errnos! {
    EPERM = 1, "Operation not permitted";
    ENOENT = 2, "No such file or directory", "a module imports a symbol that nothing exports to it";
    E2BIG = 7, "Argument list too long", "types with a longer header than the kernel knows";
    ENOEXEC = 8, "Exec format error";
    ENOMEM = 12, "Cannot allocate memory";
    EACCES = 13, "Permission denied";
    EBUSY = 16, "Device or resource busy";
    EEXIST = 17, "File exists", "the module is loaded already";
    EINVAL = 22, "Invalid argument";
    ENOSPC = 28, "No space left on device", "a parameter's value is too long";
    ERANGE = 34, "Numerical result out of range";
    ENOSYS = 38, "Function not implemented", "kmod lacks a library";
    ELOOP = 40, "Too many levels of symbolic links", "types that lead to each other without end";
    ENODATA = 61, "No data available", "no signature";
    ENOPKG = 65, "Package not installed", "a digest or key of a kind that the kernel lacks";
    EBADMSG = 74, "Bad message", "the signature does not have the form of one";
    EOPNOTSUPP = 95, "Operation not supported";
    ENOTSUPP = 524, "Unknown error 524", "user space has no name for it";
    ENOKEY = 126, "Required key not available";
    EKEYREJECTED = 129, "Key was rejected by service";
}

impl Errno {
    /// The number, positive.
    pub fn number(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}
