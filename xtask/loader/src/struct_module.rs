//! Facts of a kernel out of its image, or out of a module that was built for it.

use object::{
    LittleEndian,
    elf::{FileHeader64, R_X86_64_64, SHT_RELA},
    read::elf::{FileHeader as _, Rela as _, SectionHeader as _, Sym as _},
};

type Header = FileHeader64<LittleEndian>;

/// The kernel's `struct module`, as far as a module's file has to match it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThisModule {
    /// `sizeof(struct module)`.
    pub bytes: u64,
    /// The offset of its member `init`.
    pub init_at: u64,
    /// The offset of its member `exit`, with `CONFIG_MODULE_UNLOAD`.
    pub exit_at: Option<u64>,
}

/// The kernel's `struct module` as a module that was built for it has it: its size, and where the
/// relocations of init and exit stand.
pub fn this_module_of_module(file: &[u8]) -> Option<ThisModule> {
    let e = LittleEndian;
    let header = Header::parse(file).ok()?;
    let sections = header.sections(e, file).ok()?;
    let (index, section) = sections.section_by_name(e, b".gnu.linkonce.this_module")?;
    let symbols = sections.symbols(e, file, object::elf::SHT_SYMTAB).ok()?;
    let mut found = ThisModule { bytes: section.sh_size(e), init_at: u64::MAX, exit_at: None };
    for table in sections.iter().filter(|table| table.sh_type(e) == SHT_RELA) {
        if table.sh_info(e) as usize != index.0 {
            continue;
        }
        let (entries, _) = table.rela(e, file).ok()??;
        for rela in entries.iter().filter(|rela| rela.r_type(e, false) == R_X86_64_64) {
            let symbol = symbols.symbol(rela.symbol(e, false)?).ok()?;
            match symbol.name(e, symbols.strings()).ok()? {
                b"init_module" => found.init_at = rela.r_offset(e),
                b"cleanup_module" => found.exit_at = Some(rela.r_offset(e)),
                _ => {}
            }
        }
    }
    (found.init_at != u64::MAX).then_some(found)
}

/// The BTF of a `vmlinux`.
pub fn btf_of_vmlinux(file: &[u8]) -> Option<&[u8]> {
    let e = LittleEndian;
    let header = Header::parse(file).ok()?;
    let sections = header.sections(e, file).ok()?;
    let (_, section) = sections.section_by_name(e, b".BTF")?;
    section.data(e, file).ok()
}
