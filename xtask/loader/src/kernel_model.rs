//! A kernel that loads files one after the other: what each exports is there for the next.

use crate::{
    decompress::module_decompress,
    kernel_facts::KernelFacts,
    kernel_state::KernelState,
    load_info::{COMPRESSED_FILE, LoadRequest},
    load_module::load_module,
    verdict::Verdict,
};

/// A kernel and what has been loaded so far.
#[derive(Clone, Debug)]
pub struct KernelModel<'k> {
    kernel: &'k KernelFacts,
    /// The loaded modules, and what has been logged.
    pub state: KernelState,
}

impl<'k> KernelModel<'k> {
    /// A kernel with nothing loaded.
    pub fn new(kernel: &'k KernelFacts) -> Self {
        let mut state = KernelState::default();
        state.taints = kernel.boot_taints;
        Self { kernel, state }
    }

    /// Loads a file as `finit_module()` would: with [`COMPRESSED_FILE`] the kernel unpacks it, if
    /// it can.
    pub fn finit_module(&mut self, request: LoadRequest<'_>) -> Verdict {
        if request.flags & COMPRESSED_FILE == 0 {
            return load_module(request, false, self.kernel, &mut self.state);
        }
        // `load_module` refuses what cannot be unpacked: one of its checks says so.
        let plain = module_decompress(request.file, &self.kernel.options);
        let request = match &plain {
            // The remaining flags decide whether the signature is checked; this one does not.
            Ok(plain) => {
                LoadRequest { file: plain, flags: request.flags & !COMPRESSED_FILE, ..request }
            }
            Err(_) => request,
        };
        load_module(request, plain.is_ok(), self.kernel, &mut self.state)
    }
}
