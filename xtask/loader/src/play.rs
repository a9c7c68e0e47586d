//! Several modules, one after the other: what each exports is there for the next.

use super::{
    kernel_facts::Target,
    kernel_state::World,
    load_info::{COMPRESSED_FILE, Request, load},
    verdict::Verdict,
};
use ko::compression::{Packing, UNPACKED_BYTES_MAX, unpack};

/// A kernel with what has been loaded so far.
#[derive(Clone, Debug)]
pub struct Play<'t> {
    target: &'t Target,
    /// What is loaded.
    pub world: World,
}

impl<'t> Play<'t> {
    /// A kernel with nothing loaded.
    pub fn new(target: &'t Target) -> Self {
        Self { target, world: World::default() }
    }

    /// Loads a file as `finit_module()` would: with the flag for a packed file the kernel unpacks
    /// it, if it can.
    pub fn finit(&mut self, request: Request<'_>) -> Verdict {
        let packing = Packing::of(request.file);
        let unpacks = self.target.options.unpacks == Some(packing);
        let mut plain = Vec::new();
        let unpacked = request.flags & COMPRESSED_FILE != 0
            && unpacks
            && unpack(packing, request.file, &mut plain, UNPACKED_BYTES_MAX).is_ok();
        let request = match unpacked {
            // Which flags are left decides over the signature: this one does not count there.
            true => Request { file: &plain, flags: request.flags & !COMPRESSED_FILE, ..request },
            false => request,
        };
        load(request, self.target, &mut self.world)
    }
}
