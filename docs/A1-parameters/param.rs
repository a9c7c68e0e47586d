// SPDX-License-Identifier: GPL-2.0

//! Parameters of every kind that `module_param` has in C, seen in sysfs.
//!
//! `module!` of 7.3 knows integers and `bool`, and hides them from sysfs. [`params!`] makes the
//! same entries that C makes (`include/linux/moduleparam.h`), and the kernel's own functions
//! parse, check and print them.
//!
//! The kernel may write a value at any time, since sysfs is open to users. It does so under the
//! lock of the module's parameters, and under that lock everything here reads.

use core::cell::UnsafeCell;
use kernel::{
    bindings,
    prelude::*,
    str::CString, //
};

/// Holds the lock of this module's parameters, a mutex, until it is dropped.
struct Lock;

impl Lock {
    fn take() -> Self {
        // SAFETY: The module's own structure lives as long as its code runs.
        unsafe { bindings::kernel_param_lock((&raw const bindings::__this_module).cast_mut()) };
        Self
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // SAFETY: As above; and there is no other way to a `Lock` than through `take`.
        unsafe { bindings::kernel_param_unlock((&raw const bindings::__this_module).cast_mut()) };
    }
}

// ANCHOR: value
/// A parameter's value: the kernel writes it, the module reads it.
///
/// # Invariants
///
/// Whoever writes it holds the lock of this module's parameters.
#[repr(transparent)]
pub(crate) struct Value<T>(UnsafeCell<T>);

// SAFETY: By the type invariants, it is written under the lock, and `read` takes the lock.
unsafe impl<T: Send> Sync for Value<T> {}

impl<T> Value<T> {
    pub(crate) const fn new(value: T) -> Self {
        // INVARIANT: Only the kernel's parameter code is given the address.
        Self(UnsafeCell::new(value))
    }

    /// Calls `read` with the value, while nobody can change it. May sleep. `read` must not read
    /// another parameter: there is one lock for all.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        let _lock = Lock::take();
        // SAFETY: By the type invariants, nobody writes while the lock is held.
        read(unsafe { &*self.0.get() })
    }

    /// Where the kernel is to write it.
    pub(crate) const fn address(&self) -> *mut T {
        self.0.get()
    }
}
// ANCHOR_END: value

impl<T: Copy> Value<T> {
    /// Returns a copy. May sleep.
    pub(crate) fn get(&self) -> T {
        self.read(|value| *value)
    }
}

/// A string of the kernel's: `charp`.
///
/// # Invariants
///
/// It points to a C string that lives until another pointer is written here.
#[repr(transparent)]
pub(crate) struct Text(*mut c_char);

// SAFETY: What it points to is never changed, only replaced.
unsafe impl Send for Text {}

impl Text {
    pub(crate) const fn new(default: &'static CStr) -> Self {
        // INVARIANT: It lives for ever. `param_set_charp` frees only what it has allocated.
        Self(default.as_ptr().cast_mut().cast())
    }
}

impl Value<Text> {
    /// Returns a copy. May sleep.
    pub(crate) fn to_cstring(&self) -> Result<CString> {
        self.read(|text| {
            // SAFETY: By the type invariants of `Text`; it is not replaced while the lock is held.
            let text = unsafe { CStr::from_ptr(text.0.cast_const().cast()) };
            Ok(CString::try_from(text)?)
        })
    }
}

impl<const LENGTH: usize> Value<[u8; LENGTH]> {
    /// Returns a copy of a `string`, up to its NUL. May sleep.
    pub(crate) fn to_cstring(&self) -> Result<CString> {
        self.read(|bytes| {
            let text = CStr::from_bytes_until_nul(bytes).map_err(|_| EINVAL)?;
            Ok(CString::try_from(text)?)
        })
    }
}

/// Something of C that is never written, and points to what outlives it.
#[repr(transparent)]
pub(crate) struct Fixed<T>(pub(crate) T);

// SAFETY: `params!` makes them, of statics of its own, and nobody changes them.
unsafe impl<T> Sync for Fixed<T> {}

/// The bytes of a text as an array, which can be put into a section.
pub(crate) const fn bytes<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        bytes[at] = text.as_bytes()[at];
        at += 1;
    }
    bytes
}

/// A string's default, which the kernel prints up to its NUL, wherever that is.
pub(crate) const fn terminated<const LENGTH: usize>(text: [u8; LENGTH]) -> [u8; LENGTH] {
    assert!(text[LENGTH - 1] == 0, "a string has a NUL at its end");
    text
}

/// A file's mode, with the checks of `VERIFY_OCTAL_PERMISSIONS` (`include/linux/sysfs.h`).
pub(crate) const fn checked(mode: u16) -> u16 {
    assert!(mode <= 0o777, "it is no file's mode");
    assert!(
        (mode >> 6) & 4 >= (mode >> 3) & 4,
        "the owner may read less"
    );
    assert!((mode >> 3) & 4 >= mode & 4, "the group may read less");
    assert!(
        (mode >> 6) & 2 >= (mode >> 3) & 2,
        "the owner may write less"
    );
    assert!(mode & 2 == 0, "everybody may write");
    mode
}

/// Declares parameters. Each is a static [`Value`], named as the parameter.
macro_rules! params {
    ($($kind:ident $(<$($part:tt),*>)? $name:ident = $default:expr, $perm:literal, $text:literal;)*) => {
        $(param!($kind $(<$($part),*>)? $name = $default, $perm, $text);)*
    };
}

/// Declares one parameter.
macro_rules! param {
    (charp $name:ident = $default:expr, $perm:literal, $text:literal) => {
        #[allow(non_upper_case_globals, reason = "it is called as the parameter is")]
        static $name: Value<Text> = Value::new(Text::new($default));
        param!(@entry $name, "charp", $perm, $text, param_ops_charp, arg: $name.address().cast());
    };
    (string<$length:literal> $name:ident = $default:expr, $perm:literal, $text:literal) => {
        #[allow(non_upper_case_globals, reason = "it is called as the parameter is")]
        static $name: Value<[u8; $length]> = Value::new($crate::param::terminated($default));
        const _: () = {
            static STRING: Fixed<bindings::kparam_string> = Fixed(bindings::kparam_string {
                maxlen: $length,
                string: $name.address().cast(),
            });
            param!(@entry $name, "string", $perm, $text, param_ops_string, str_: &raw const STRING.0);
        };
    };
    (array<$kind:ident, $length:literal> $name:ident = $default:expr, $perm:literal, $text:literal) => {
        #[allow(non_upper_case_globals, reason = "it is called as the parameter is")]
        static $name: Value<[param!(@type $kind); $length]> = Value::new($default);
        const _: () = {
            static NUMBER: Value<c_uint> = Value::new(0);
            static ARRAY: Fixed<bindings::kparam_array> = Fixed(bindings::kparam_array {
                max: $length,
                // CAST: No kind is longer than eight bytes.
                elemsize: size_of::<param!(@type $kind)>() as c_uint,
                num: NUMBER.address(),
                ops: &raw const param!(@ops $kind),
                elem: $name.address().cast(),
            });
            param!(@entry $name, concat!("array of ", stringify!($kind)), $perm, $text,
                param_array_ops, arr: &raw const ARRAY.0);
        };
    };
    ($kind:ident $name:ident = $default:expr, $perm:literal, $text:literal) => {
        #[allow(non_upper_case_globals, reason = "it is called as the parameter is")]
        static $name: Value<param!(@type $kind)> = Value::new($default);
        param!(@of $kind $name, $perm, $text);
    };

    (@of $kind:ident $name:ident, $perm:literal, $text:literal) => {
        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static ENTRY: Fixed<bindings::kernel_param> = param!(@param $name, $perm,
                &raw const param!(@ops $kind), arg: $name.address().cast());
            param!(@modinfo $name, stringify!($kind), $text);
        };
    };
    (@entry $name:ident, $type:expr, $perm:literal, $text:literal, $ops:ident, $field:ident: $to:expr) => {
        const _: () = {
            #[link_section = "__param"]
            #[used(compiler)]
            static ENTRY: Fixed<bindings::kernel_param> =
                param!(@param $name, $perm, &raw const bindings::$ops, $field: $to);
            param!(@modinfo $name, $type, $text);
        };
    };

    // ANCHOR: entry
    (@param $name:ident, $perm:literal, $ops:expr, $field:ident: $to:expr) => {
        Fixed(bindings::kernel_param {
            name: concat!(stringify!($name), "\0").as_ptr().cast(),
            mod_: (&raw const bindings::__this_module).cast_mut(),
            ops: $ops,
            perm: $crate::param::checked($perm),
            level: -1,
            flags: 0,
            __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 { $field: $to },
        })
    };
    // ANCHOR_END: entry
    (@modinfo $name:ident, $type:expr, $text:literal) => {
        const TYPE: &str = concat!("parmtype=", stringify!($name), ":", $type, "\0");
        const TEXT: &str = concat!("parm=", stringify!($name), ":", $text, "\0");
        #[link_section = ".modinfo"]
        #[used(compiler)]
        static TYPE_INFO: [u8; TYPE.len()] = $crate::param::bytes(TYPE);
        #[link_section = ".modinfo"]
        #[used(compiler)]
        static TEXT_INFO: [u8; TEXT.len()] = $crate::param::bytes(TEXT);
    };

    (@type bool) => { bool };
    (@type invbool) => { bool };
    (@type short) => { c_short };
    (@type ushort) => { c_ushort };
    (@type int) => { c_int };
    (@type uint) => { c_uint };
    (@type long) => { c_long };
    (@type ulong) => { c_ulong };
    (@ops bool) => { bindings::param_ops_bool };
    (@ops invbool) => { bindings::param_ops_invbool };
    (@ops short) => { bindings::param_ops_short };
    (@ops ushort) => { bindings::param_ops_ushort };
    (@ops int) => { bindings::param_ops_int };
    (@ops uint) => { bindings::param_ops_uint };
    (@ops long) => { bindings::param_ops_long };
    (@ops ulong) => { bindings::param_ops_ulong };
}
