//! The two system calls, which the standard library does not have: all that is unsafe.

use std::{
    ffi::{CString, c_char, c_int, c_long},
    fs::File,
    io,
    os::fd::AsRawFd,
};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

const DELETE_MODULE: c_long = 176;
const FINIT_MODULE: c_long = 313;
/// `O_NONBLOCK`: not to wait for users of a module.
const NONBLOCK: c_int = 0o4000;

/// Loads a file; the number of the error, 0 for none.
pub fn finit_module(file: &str, params: &str, flags: c_int) -> i32 {
    let (Ok(file), Ok(params)) = (File::open(file), CString::new(params)) else { return 255 };
    let params: *const c_char = params.as_ptr();
    // SAFETY: The descriptor is open and the string ends in NUL; both outlive the call.
    number(unsafe { syscall(FINIT_MODULE, file.as_raw_fd(), params, flags) })
}

/// Removes a module; the number of the error, 0 for none.
pub fn delete_module(name: &str) -> i32 {
    let Ok(name) = CString::new(name) else { return 255 };
    let name: *const c_char = name.as_ptr();
    // SAFETY: The string ends in NUL and outlives the call.
    number(unsafe { syscall(DELETE_MODULE, name, NONBLOCK) })
}

fn number(outcome: c_long) -> i32 {
    if outcome == 0 {
        return 0;
    }
    io::Error::last_os_error().raw_os_error().unwrap_or(255)
}
