//! A kernel that loads files one after the other: what each exports is there for the next.

use crate::{
    kernel_facts::KernelFacts,
    kernel_state::KernelState,
    load_info::{COMPRESSED_FILE, LoadRequest},
    load_module::load_module,
    verdict::Verdict,
};
use ko::compression::{Compression, UNPACKED_BYTES_MAX, unpack};

/// A kernel and what has been loaded so far.
#[derive(Clone, Debug)]
pub struct KernelModel<'k> {
    kernel: &'k KernelFacts,
    /// What is loaded, and what has been logged.
    pub state: KernelState,
}

impl<'k> KernelModel<'k> {
    /// A kernel with nothing loaded.
    pub fn new(kernel: &'k KernelFacts) -> Self {
        Self { kernel, state: KernelState::default() }
    }

    /// Loads a file as `finit_module()` would: with [`COMPRESSED_FILE`] the kernel unpacks it, if
    /// it can.
    pub fn finit_module(&mut self, request: LoadRequest<'_>) -> Verdict {
        let compression = Compression::detect(request.file);
        let mut plain = Vec::new();
        let unpacked = request.flags & COMPRESSED_FILE != 0
            && self.kernel.options.unpacks == Some(compression)
            && unpack(compression, request.file, &mut plain, UNPACKED_BYTES_MAX).is_ok();
        let request = if unpacked {
            // The flags that are left decide over the signature, where this one does not count.
            LoadRequest { file: &plain, flags: request.flags & !COMPRESSED_FILE, ..request }
        } else {
            request
        };
        load_module(request, self.kernel, &mut self.state)
    }
}
