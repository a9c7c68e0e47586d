//! QEMU's command line: a small machine that cannot disturb the host, nor be disturbed by it.

use crate::guest::{device::Device, protocol, saved_state};

/// The machine's memory.
const MEMORY: &str = "512M";
/// QEMU in the private root.
pub(super) const PROGRAM: &str = "/usr/bin/qemu-system-x86_64";
/// Where QEMU sees the folder of its run.
pub(super) const FOLDER: &str = "/vm";
/// Where QEMU sees the kernel.
pub(super) const KERNEL: &str = "/kernel";
/// In the folder: the initramfs, the console's log, the socket of the agent's port.
pub(super) const INITRD: &str = "initrd";
/// The console's log.
pub(super) const CONSOLE: &str = "console";
/// The socket on which the host listens for the agent.
pub(super) const AGENT: &str = "agent";
/// The socket on which the host listens for QEMU itself.
pub(super) const CONTROL: &str = "control";
/// The two named pipes of the guest's terminal begin so.
const TERMINAL: &str = "terminal";
/// The terminal of the guest: its input and its output.
pub(super) const TERMINAL_IN: &str = "terminal.in";
pub(super) const TERMINAL_OUT: &str = "terminal.out";
/// Where QEMU sees the folder of a saved state.
pub(super) const STATE: &str = "/state";
/// Characters that the kernel takes as its command line on x86.
pub(super) const CMDLINE_MAX: usize = 2047;

/// The kernel's command line, as far as it is the same everywhere.
const WORDS: &[&str] = &[
    "console=ttyS0",
    // With QEMU's -no-reboot a panic ends the machine at once.
    "panic=-1",
    // A kernel that has oopsed proves nothing any more.
    "oops=panic",
    // The serial console prints from a thread of the kernel, which a processor that spins never
    // runs: without a panic, which prints by itself, the console would not tell of the lockup.
    "softlockup_panic=1",
    // The console gets warnings and worse: it is slow, and the agent reports the rest.
    "loglevel=5",
    // No module here uses the ciphers; their self-tests take a quarter of an emulated boot.
    "cryptomgr.notests",
    // The watchdog reads two clocks one after the other. On a busy host the machine may rest in
    // between, and the kernel then says that its clock is unstable.
    "tsc=nowatchdog",
    // A burst of messages fits in between two looks of the agent.
    "log_buf_len=1M",
];

/// QEMU's own filter of system calls: none of old ones, and none that start a program, change the
/// user or the priorities. A child of QEMU has all that QEMU has.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// Where a machine's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// The machine boots with memory of its own, which is forgotten at its end.
    Fresh,
    /// The machine boots, and its memory is a file in [`STATE`].
    Saved,
    /// The memory is that file; each page is copied when it is written.
    Restored,
}

/// A machine to be started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine<'a> {
    /// By the processor's own virtualization instead of by emulation.
    pub(super) kvm: bool,
    pub(super) memory: Memory,
    /// Its terminal is two pipes; otherwise it leads nowhere.
    pub(super) terminal: bool,
    /// Its processors.
    pub(super) cpus: u8,
    /// The caller's words for the kernel's command line.
    pub(super) cmdline: &'a [String],
    /// The devices beside those that every machine has.
    pub(super) devices: &'a [Device],
}

impl Machine<'_> {
    /// The kernel's command line.
    pub(super) fn cmdline(&self) -> String {
        let mut cmdline: Vec<&str> = WORDS.to_vec();
        if !self.kvm {
            // The check waits for ticks in a loop that emulation may be too slow for; the kernel
            // then panics with "IO-APIC + timer doesn't work".
            cmdline.push("no_timer_check");
        }
        cmdline.extend(self.cmdline.iter().map(String::as_str));
        cmdline.join(" ")
    }

    /// QEMU's arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        // qemu64 starts fastest of the emulated processors: the kernel finds fewer features to set
        // up and to test.
        let (accel, cpu) = if self.kvm { ("kvm", "host") } else { ("tcg", "qemu64") };
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |option: &str, value: String| arguments.extend([option.into(), value]);
        let machine = "q35,hpet=off,vmport=off,smbus=off,sata=off,usb=off";
        let how = match self.memory {
            Memory::Fresh => None,
            Memory::Saved => Some("share=on"),
            Memory::Restored => Some("share=off,readonly=on,rom=off"),
        };
        match how {
            None => add("-machine", machine.into()),
            Some(how) => {
                let file = format!("{STATE}/{}", saved_state::MEMORY);
                add("-machine", format!("{machine},memory-backend=memory"));
                let file = format!("memory-backend-file,id=memory,size={MEMORY},mem-path={file}");
                add("-object", format!("{file},{how}"));
                add("-chardev", format!("socket,id=control,path={FOLDER}/{CONTROL}"));
                add("-mon", "chardev=control,mode=control".into());
            }
        }
        if self.memory == Memory::Restored {
            add("-incoming", "defer".into());
        } else {
            add("-initrd", format!("{FOLDER}/{INITRD}"));
        }
        add("-sandbox", SANDBOX.into());
        add("-accel", accel.into());
        add("-cpu", cpu.into());
        add("-smp", self.cpus.to_string());
        add("-m", MEMORY.into());
        add("-display", "none".into());
        add("-kernel", KERNEL.into());
        add("-append", self.cmdline());
        add("-chardev", format!("file,id=console,path={FOLDER}/{CONSOLE}"));
        add("-serial", "chardev:console".into());
        add("-device", "virtio-serial-pci".into());
        if self.terminal {
            add("-chardev", format!("pipe,id=terminal,path={FOLDER}/{TERMINAL}"));
        } else {
            add("-chardev", "null,id=terminal".into());
        }
        add("-device", "virtconsole,chardev=terminal".into());
        add("-chardev", format!("socket,id=agent,path={FOLDER}/{AGENT}"));
        add("-device", format!("virtserialport,chardev=agent,name={}", protocol::PORT));
        let port = protocol::EXIT_PORT;
        add("-device", format!("isa-debug-exit,iobase={port:#x},iosize=4"));
        self.devices.iter().for_each(|device| add("-device", device.model().into()));
        arguments.extend(["-nodefaults".into(), "-no-user-config".into(), "-no-reboot".into()]);
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_words_come_last_so_that_they_win() {
        let cmdline = ["loglevel=7".to_owned()];
        let machine = Machine {
            kvm: false,
            memory: Memory::Fresh,
            terminal: false,
            cpus: 1,
            cmdline: &cmdline,
            devices: &[],
        };
        assert!(machine.cmdline().ends_with(" no_timer_check loglevel=7"));
    }

    #[test]
    fn only_a_shell_has_a_terminal_and_none_has_the_callers() {
        let (memory, terminal) = (Memory::Restored, false);
        let machine = Machine { kvm: true, memory, terminal, cpus: 1, cmdline: &[], devices: &[] };
        let batch = machine.arguments().join(" ");
        assert!(batch.contains("null,id=terminal"));
        assert!(!machine.cmdline().contains("no_timer_check"));
        let shell = Machine { terminal: true, ..machine }.arguments().join(" ");
        assert!(shell.contains("pipe,id=terminal,"));
        assert!(![batch, shell].concat().contains("stdio"));
    }

    #[test]
    fn a_device_is_named_without_options() {
        let devices: Vec<Device> =
            ["edu", "e1000"].into_iter().filter_map(Device::of_model).collect();
        let (kvm, memory, terminal) = (false, Memory::Fresh, false);
        let machine = Machine { kvm, memory, terminal, cpus: 1, cmdline: &[], devices: &devices };
        let arguments = machine.arguments().join(" ");
        assert!(arguments.contains(" -device edu -device e1000 "), "{arguments}");
    }
}
