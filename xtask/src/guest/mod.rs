//! The VM: image, QEMU, the agent inside, the record it returns, the judge of its console.
