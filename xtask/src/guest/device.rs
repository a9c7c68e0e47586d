//! The devices that a guest may have beside its own.

/// The models of QEMU's that have nothing behind them: no file, disk, network, screen, sound or
/// device of the host's. Each is named without options, as an option may name a backend; and no
/// model that needs one is here, nor any that passes a device of the host on (`vfio-`, `vhost-`,
/// `usb-host`, `virtio-input-host`). The random numbers of `virtio-rng-pci` are QEMU's own.
pub const MODELS: &[&str] = &[
    "edu",
    "pci-testdev",
    "virtio-rng-pci",
    "virtio-balloon-pci",
    // Network cards whose cable leads nowhere.
    "virtio-net-pci",
    "e1000",
    "e1000e",
    "igb",
    "rtl8139",
    // Controllers without a disk or a card.
    "virtio-scsi-pci",
    "ich9-ahci",
    "sdhci-pci",
    // A watchdog, which ends the guest at most.
    "i6300esb",
    // Nobody types, and nobody points.
    "virtio-keyboard-pci",
    "virtio-mouse-pci",
    "virtio-tablet-pci",
    // The controller comes before what hangs on it.
    "qemu-xhci",
    "usb-kbd",
    "usb-mouse",
    "usb-tablet",
];

/// A device of one of these models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device(&'static str);

impl Device {
    /// A device of this model, if there may be one.
    pub fn of_model(model: &str) -> Option<Self> {
        MODELS.iter().find(|known| **known == model).map(|known| Self(known))
    }

    /// Its model.
    pub(super) fn model(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_model_has_an_option_or_a_backend() {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        for model in MODELS {
            assert!(model.chars().all(plain) && !model.starts_with('-'), "{model}");
        }
        for foreign in [
            "",
            "edu,addr=5",
            "edu -netdev user",
            "-edu",
            "EDU",
            "usb-host",
            "vfio-pci",
            "vhost-vsock-pci",
            "virtio-9p-pci",
            "virtio-input-host-pci",
            "virtio-net-pci,netdev=n",
            "isa-debug-exit",
        ] {
            assert_eq!(Device::of_model(foreign), None, "{foreign}");
        }
        assert_eq!(Device::of_model("edu"), Some(Device("edu")));
    }
}
