//! The system calls that no command in a private root may make.
//!
//! bubblewrap takes them as a program for the kernel, whose instructions and data are those of
//! `include/uapi/linux/filter.h` and `seccomp.h`.

use libc::{EAFNOSUPPORT, ENOSYS, EPERM};

/// A system call, the errno that it ends with, and the arguments with which it does: all of them.
type Refusal = (libc::c_long, i32, &'static [(u8, Test)]);

/// A test of the lower half of an argument.
#[derive(Clone, Copy, Debug)]
enum Test {
    /// One of these bits is set.
    Any(u32),
    Is(u32),
    AtLeast(u32),
}
use Test::{Any, AtLeast, Is};

/// The bits that give a file's owner or group to whoever runs it.
const SET_ID: Test = Any(libc::S_ISUID | libc::S_ISGID);
/// The flag without which the mode of an `open` is not looked at. That of `O_TMPFILE` holds
/// `O_DIRECTORY`, with which a file that is there may be opened.
const CREATE: Test = Any(libc::O_CREAT as u32 | (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32);
/// A namespace in which the caller has all capabilities.
const NEW_USER: Test = Any(libc::CLONE_NEWUSER as u32);

/// All refusals. Where a C library does without a call that a kernel lacks, the call is said to
/// be absent: its arguments are in memory, where a filter cannot read them.
const REFUSED: &[Refusal] = &[
    // A terminal's input, pushed as if it were typed; its text, selected and pasted.
    (libc::SYS_ioctl, EPERM, &[(1, Is(libc::TIOCSTI as u32))]),
    (libc::SYS_ioctl, EPERM, &[(1, Is(libc::TIOCLINUX as u32))]),
    (libc::SYS_ioctl, EPERM, &[(1, Is(libc::TIOCCONS as u32))]),
    (libc::SYS_ioctl, EPERM, &[(1, Is(libc::TIOCSETD as u32))]),
    // A file that runs as its owner.
    (libc::SYS_chmod, EPERM, &[(1, SET_ID)]),
    (libc::SYS_fchmod, EPERM, &[(1, SET_ID)]),
    (libc::SYS_fchmodat, EPERM, &[(2, SET_ID)]),
    (libc::SYS_fchmodat2, ENOSYS, &[]),
    (libc::SYS_creat, EPERM, &[(1, SET_ID)]),
    (libc::SYS_open, EPERM, &[(1, CREATE), (2, SET_ID)]),
    (libc::SYS_openat, EPERM, &[(2, CREATE), (3, SET_ID)]),
    (libc::SYS_openat2, ENOSYS, &[]),
    (libc::SYS_mknod, EPERM, &[(1, SET_ID)]),
    (libc::SYS_mknodat, EPERM, &[(2, SET_ID)]),
    // It makes all other calls, and no filter sees them.
    (libc::SYS_io_uring_setup, ENOSYS, &[]),
    // Namespaces and mounts.
    (libc::SYS_clone, EPERM, &[(0, NEW_USER)]),
    (libc::SYS_clone3, ENOSYS, &[]),
    (libc::SYS_unshare, EPERM, &[(0, NEW_USER)]),
    (libc::SYS_setns, EPERM, &[]),
    (libc::SYS_mount, EPERM, &[]),
    (libc::SYS_umount2, EPERM, &[]),
    (libc::SYS_pivot_root, EPERM, &[]),
    (libc::SYS_fsopen, EPERM, &[]),
    (libc::SYS_fspick, EPERM, &[]),
    (libc::SYS_fsconfig, EPERM, &[]),
    (libc::SYS_fsmount, EPERM, &[]),
    (libc::SYS_move_mount, EPERM, &[]),
    (libc::SYS_open_tree, EPERM, &[]),
    (libc::SYS_mount_setattr, EPERM, &[]),
    (libc::SYS_open_by_handle_at, EPERM, &[]),
    // Keys are of a user, not of a namespace.
    (libc::SYS_keyctl, EPERM, &[]),
    (libc::SYS_add_key, EPERM, &[]),
    (libc::SYS_request_key, EPERM, &[]),
    // The kernel itself: its log, its programs, its counters, its modules.
    (libc::SYS_syslog, EPERM, &[]),
    (libc::SYS_bpf, EPERM, &[]),
    (libc::SYS_perf_event_open, EPERM, &[]),
    (libc::SYS_userfaultfd, EPERM, &[]),
    (libc::SYS_init_module, EPERM, &[]),
    (libc::SYS_finit_module, EPERM, &[]),
    (libc::SYS_delete_module, EPERM, &[]),
    (libc::SYS_kexec_load, EPERM, &[]),
    (libc::SYS_kexec_file_load, EPERM, &[]),
    // Other processes.
    (libc::SYS_ptrace, EPERM, &[]),
    (libc::SYS_process_vm_readv, EPERM, &[]),
    (libc::SYS_process_vm_writev, EPERM, &[]),
    (libc::SYS_pidfd_getfd, EPERM, &[]),
    // Memory that no process has mapped, which no limit counts.
    (libc::SYS_memfd_create, ENOSYS, &[]),
    (libc::SYS_memfd_secret, ENOSYS, &[]),
    (libc::SYS_shmget, ENOSYS, &[]),
    // AF_PACKET and later: AF_VSOCK reaches the machine's own host, whatever the namespace.
    (libc::SYS_socket, EAFNOSUPPORT, &[(0, AtLeast(libc::AF_PACKET as u32))]),
];

/// `AUDIT_ARCH_X86_64`.
const X86_64: u32 = 0xc000_003e;
/// The bit of the calls of x32.
const X32: u32 = 0x4000_0000;
/// Where `struct seccomp_data` has the number of the call, the architecture, and the arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// An instruction as the kernel reads it: `struct sock_filter`.
fn instruction(code: u32, when_true: u8, when_false: u8, k: u32) -> [u8; 8] {
    let [code_low, code_high, ..] = code.to_le_bytes();
    let [a, b, c, d] = k.to_le_bytes();
    [code_low, code_high, when_true, when_false, a, b, c, d]
}

fn load(offset: u32) -> [u8; 8] {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

/// Goes on if the test holds, and otherwise skips `else_skip` instructions.
fn require(test: Test, else_skip: u8) -> [u8; 8] {
    let (operation, k) = match test {
        Any(bits) => (libc::BPF_JSET, bits),
        Is(value) => (libc::BPF_JEQ, value),
        AtLeast(value) => (libc::BPF_JGE, value),
    };
    instruction(libc::BPF_JMP | operation | libc::BPF_K, 0, else_skip, k)
}

fn end(action: u32) -> [u8; 8] {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, action)
}

fn end_with(errno: i32) -> [u8; 8] {
    end(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs())
}

/// The program, as `bwrap --seccomp` reads it.
pub(super) fn program() -> Vec<u8> {
    let mut program = vec![load(ARCHITECTURE), require(Is(X86_64), 1)];
    // Over the end of foreign calls.
    program.push(instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, 1));
    program.extend([end_with(ENOSYS), load(NUMBER), require(AtLeast(X32), 1), end_with(ENOSYS)]);
    for (number, errno, tests) in REFUSED {
        // Two for each test, the end, and the number again for what follows.
        let mut left = 2 * tests.len() as u8 + 1;
        program.push(require(Is(*number as u32), left + 1));
        for (argument, test) in *tests {
            left -= 2;
            program.push(load(ARGUMENTS + 8 * u32::from(*argument)));
            program.push(require(*test, left));
        }
        program.extend([end_with(*errno), load(NUMBER)]);
    }
    program.push(end(libc::SECCOMP_RET_ALLOW));
    program.concat()
}
