//! The errors that a load can end with.

use std::fmt;

/// An error number of Linux, as x86 and most others have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Errno {
    /// Operation not permitted.
    EPERM = 1,
    /// No such file or directory: a module imports a symbol that nothing exports to it.
    ENOENT = 2,
    /// Argument list too long: types with a longer header than the kernel knows.
    E2BIG = 7,
    /// Exec format error.
    ENOEXEC = 8,
    /// Cannot allocate memory.
    ENOMEM = 12,
    /// Permission denied.
    EACCES = 13,
    /// Device or resource busy.
    EBUSY = 16,
    /// File exists: the module is loaded already.
    EEXIST = 17,
    /// Invalid argument.
    EINVAL = 22,
    /// No space left on device: a parameter's value is too long.
    ENOSPC = 28,
    /// Numerical result out of range.
    ERANGE = 34,
    /// Too many levels: types that lead to each other without end.
    ELOOP = 40,
    /// No data available: no signature.
    ENODATA = 61,
    /// Package not installed: a digest or key of a kind that the kernel lacks.
    ENOPKG = 65,
    /// Bad message: the signature does not have the form of one.
    EBADMSG = 74,
    /// Operation not supported.
    EOPNOTSUPP = 95,
    /// The kernel's own "not supported": user space has no name for it.
    ENOTSUPP = 524,
    /// Required key not available.
    ENOKEY = 126,
    /// Key was rejected by service.
    EKEYREJECTED = 129,
}

impl Errno {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::EPERM,
        Self::ENOENT,
        Self::E2BIG,
        Self::ENOEXEC,
        Self::ENOMEM,
        Self::EACCES,
        Self::EBUSY,
        Self::EEXIST,
        Self::EINVAL,
        Self::ENOSPC,
        Self::ERANGE,
        Self::ELOOP,
        Self::ENODATA,
        Self::ENOPKG,
        Self::EBADMSG,
        Self::EOPNOTSUPP,
        Self::ENOKEY,
        Self::EKEYREJECTED,
        Self::ENOTSUPP,
    ];

    /// The number, positive.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// What `strerror()` says, which is all that kmod's tools show.
    pub fn text(self) -> &'static str {
        match self {
            Self::EPERM => "Operation not permitted",
            Self::ENOENT => "No such file or directory",
            Self::ENOEXEC => "Exec format error",
            Self::ENOMEM => "Cannot allocate memory",
            Self::EACCES => "Permission denied",
            Self::EBUSY => "Device or resource busy",
            Self::EEXIST => "File exists",
            Self::EINVAL => "Invalid argument",
            Self::ENOSPC => "No space left on device",
            Self::ERANGE => "Numerical result out of range",
            Self::ELOOP => "Too many levels of symbolic links",
            Self::ENODATA => "No data available",
            Self::ENOPKG => "Package not installed",
            Self::E2BIG => "Argument list too long",
            Self::EBADMSG => "Bad message",
            Self::EOPNOTSUPP => "Operation not supported",
            Self::ENOKEY => "Required key not available",
            Self::EKEYREJECTED => "Key was rejected by service",
            Self::ENOTSUPP => "Unknown error 524",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::EPERM => "EPERM",
            Self::ENOENT => "ENOENT",
            Self::ENOEXEC => "ENOEXEC",
            Self::ENOMEM => "ENOMEM",
            Self::EACCES => "EACCES",
            Self::EBUSY => "EBUSY",
            Self::EEXIST => "EEXIST",
            Self::EINVAL => "EINVAL",
            Self::ENOSPC => "ENOSPC",
            Self::ERANGE => "ERANGE",
            Self::ELOOP => "ELOOP",
            Self::ENODATA => "ENODATA",
            Self::ENOPKG => "ENOPKG",
            Self::E2BIG => "E2BIG",
            Self::EBADMSG => "EBADMSG",
            Self::EOPNOTSUPP => "EOPNOTSUPP",
            Self::ENOKEY => "ENOKEY",
            Self::EKEYREJECTED => "EKEYREJECTED",
            Self::ENOTSUPP => "ENOTSUPP",
        })
    }
}
