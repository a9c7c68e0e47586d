//! The system calls that the standard library does not have: all that is unsafe.

use std::{
    ffi::{c_int, c_long, c_ulong},
    fs::File,
    io,
    os::fd::AsRawFd,
};

/// `_IOW('R', 0x03, int[2])` of linux/random.h.
const RNDADDENTROPY: c_ulong = 0x4008_5203;
/// `_IO('R', 0x07)` of linux/random.h.
const RNDRESEEDCRNG: c_ulong = 0x5207;
const CLOCK_REALTIME: c_int = 0;
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

fn check(outcome: c_int) -> io::Result<()> {
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
