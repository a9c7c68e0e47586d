//! The system calls that the standard library does not have: all that is unsafe.

use std::{
    ffi::{CString, c_char, c_int, c_long, c_ulong, c_void},
    fs::File,
    io,
    os::fd::AsRawFd,
    ptr::null,
};

/// `_IOW('R', 0x03, int[2])` of linux/random.h.
const RNDADDENTROPY: c_ulong = 0x4008_5203;
/// `_IO('R', 0x07)` of linux/random.h.
const RNDRESEEDCRNG: c_ulong = 0x5207;
const CLOCK_REALTIME: c_int = 0;
/// Of linux/sched.h, linux/mount.h and linux/reboot.h.
const CLONE_NEWNS: c_int = 0x0002_0000;
const MS_REC_PRIVATE: c_ulong = 0x4000 | 1 << 18;
const POWER_OFF: c_int = 0x4321_fedc;
/// Bytes of the longest seed.
const SEED_MAX: usize = 64;

/// `struct rand_pool_info` of linux/random.h.
#[repr(C)]
struct PoolInfo {
    entropy_count: c_int,
    buf_size: c_int,
    buf: [u8; SEED_MAX],
}

#[repr(C)]
struct TimeSpec {
    seconds: c_long,
    nanos: c_long,
}

unsafe extern "C" {
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn clock_settime(clock: c_int, time: *const TimeSpec) -> c_int;
    fn unshare(flags: c_int) -> c_int;
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
    fn reboot(command: c_int) -> c_int;
}

/// Mixes a seed into the kernel's random numbers, and lets every generator take it up at once.
///
/// Both calls are needed: a pool that is ready is drawn from once a minute
/// (drivers/char/random.c:crng_reseed, 7.3).
pub(crate) fn reseed(seed: &[u8]) -> io::Result<()> {
    let device = File::open("/dev/urandom")?;
    let mut pool = PoolInfo { entropy_count: 0, buf_size: 0, buf: [0; SEED_MAX] };
    for (to, from) in pool.buf.iter_mut().zip(seed) {
        *to = *from;
        pool.buf_size += 1;
        pool.entropy_count += 8;
    }
    // SAFETY: The descriptor is open, and the structure, which the kernel only reads, is larger
    // than its `buf_size` says.
    check(unsafe { ioctl(device.as_raw_fd(), RNDADDENTROPY, &raw const pool) })?;
    // SAFETY: The descriptor is open; the request has no argument.
    check(unsafe { ioctl(device.as_raw_fd(), RNDRESEEDCRNG) })
}

/// Sets the clock of the day.
pub(crate) fn set_clock(seconds: u64, nanos: u32) -> io::Result<()> {
    let seconds = c_long::try_from(seconds).map_err(io::Error::other)?;
    let time = TimeSpec { seconds, nanos: nanos.into() };
    // SAFETY: The kernel reads the structure during the call only.
    check(unsafe { clock_settime(CLOCK_REALTIME, &raw const time) })
}

/// Gives this thread mounts of its own, and those that it starts. What is mounted elsewhere from
/// now on is not seen here, nor the other way round.
pub(crate) fn own_mounts() -> io::Result<()> {
    // SAFETY: It takes a number, and touches no memory.
    check(unsafe { unshare(CLONE_NEWNS) })?;
    // SAFETY: The strings live and end with a zero; what is null is not read with these flags.
    check(unsafe { mount(null(), c"/".as_ptr(), null(), MS_REC_PRIVATE, null()) })
}

/// Mounts an empty file system that lies in memory.
pub(crate) fn mount_ramfs(target: &str) -> io::Result<()> {
    let target = CString::new(target)?;
    let kind = c"ramfs".as_ptr();
    // SAFETY: The strings live and end with a zero, and there is no data.
    check(unsafe { mount(kind, target.as_ptr(), kind, 0, null()) })
}

/// Switches the machine off.
pub(crate) fn power_off() -> io::Result<()> {
    // SAFETY: It takes a number, and touches no memory.
    check(unsafe { reboot(POWER_OFF) })
}

fn check(outcome: c_int) -> io::Result<()> {
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
