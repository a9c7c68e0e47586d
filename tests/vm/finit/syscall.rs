//! The system calls that the standard library does not have: all that is unsafe.

use std::{
    ffi::{CString, c_char, c_int, c_long},
    fs::File,
    io,
    os::{fd::AsRawFd, unix::process::ExitStatusExt},
    process::ExitStatus,
};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
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

/// Runs something in a copy of this process, and returns how that ended. A program that is started
/// afresh costs more than most loads do.
pub fn in_a_copy(work: impl FnOnce() -> u8) -> io::Result<ExitStatus> {
    // SAFETY: This process has one thread, so no lock is held in the copy.
    match unsafe { fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let status = work();
            // SAFETY: It only ends the copy, which so does not write out what this process has yet
            // to write.
            unsafe { _exit(status.into()) }
        }
        copy => {
            let mut status = 0;
            // SAFETY: The status is there until the call returns.
            match unsafe { waitpid(copy, &raw mut status, 0) } {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(ExitStatus::from_raw(status)),
            }
        }
    }
}

fn number(outcome: c_long) -> i32 {
    if outcome == 0 {
        return 0;
    }
    io::Error::last_os_error().raw_os_error().unwrap_or(255)
}
