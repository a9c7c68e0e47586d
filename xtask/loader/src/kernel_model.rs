//! Several modules, one after the other: what each exports is there for the next.

use super::{
    kernel_facts::KernelFacts,
    kernel_state::KernelState,
    load_info::{COMPRESSED_FILE, LoadRequest, load},
    verdict::Verdict,
};
use ko::compression::{Compression, UNPACKED_BYTES_MAX, unpack};

/// A kernel with what has been loaded so far.
#[derive(Clone, Debug)]
pub struct KernelModel<'t> {
    kernel: &'t KernelFacts,
    /// What is loaded.
    pub state: KernelState,
}

impl<'t> KernelModel<'t> {
    /// A kernel with nothing loaded.
    pub fn new(kernel: &'t KernelFacts) -> Self {
        Self { kernel, state: KernelState::default() }
    }

    /// Loads a file as `finit_module()` would: with the flag for a packed file the kernel unpacks
    /// it, if it can.
    pub fn finit_module(&mut self, request: LoadRequest<'_>) -> Verdict {
        let compression = Compression::detect(request.file);
        let unpacks = self.kernel.options.unpacks == Some(compression);
        let mut plain = Vec::new();
        let unpacked = request.flags & COMPRESSED_FILE != 0
            && unpacks
            && unpack(compression, request.file, &mut plain, UNPACKED_BYTES_MAX).is_ok();
        let request = match unpacked {
            // Which flags are left decides over the signature: this one does not count there.
            true => {
                LoadRequest { file: &plain, flags: request.flags & !COMPRESSED_FILE, ..request }
            }
            false => request,
        };
        load(request, self.kernel, &mut self.state)
    }
}
