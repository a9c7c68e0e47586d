//! Facts of a kernel out of its image, or out of a module that was built for it.

use std::collections::HashSet;

use object::{
    LittleEndian,
    elf::{FileHeader64, R_X86_64_64, SHT_RELA, SectionHeader64},
    read::elf::{FileHeader as _, Rela as _, SectionHeader as _, SectionTable, Sym as _},
};

use crate::raw_elf::NAME_BYTES_MAX;

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

/// `sizeof(struct kernel_param)`, and the offset of its member `perm`
/// (`include/linux/moduleparam.h`).
const PARAM: (usize, usize) = (40, 24);
/// `sizeof(struct module_version_attribute)`, and the offset of its member `module_name`
/// (`include/linux/module.h`).
const VERSION: (usize, usize) = (72, 56);

/// The names that a kernel's built-in parameters and versions have in `/sys/module`
/// (`param_sysfs_builtin()` and `version_sysfs_builtin()`, `kernel/params.c`), out of its unpacked
/// image; none of an image without these tables. Drivers may add more (`module_add_driver()`,
/// `drivers/base/module.c`), which no table lists.
pub fn sysfs_names_of_image(file: &[u8]) -> Option<HashSet<String>> {
    let image = Image::parse(file)?;
    let mut names = HashSet::new();
    for param in image.section(b"__param")?.chunks_exact(PARAM.0) {
        let name = image.string(image.pointer(param, 0)?)?;
        if param[PARAM.1..PARAM.1 + 2] != [0, 0] {
            // A parameter of the kernel's core has no name before it.
            names.insert(name.split_once('.').map_or("kernel", |(module, _)| module).to_owned());
        }
    }
    // A kernel with another size of it has a name in another place.
    let versions = image.section(b"__modver").unwrap_or_default().chunks_exact(VERSION.0);
    let name = |version: &[u8]| image.string(image.pointer(version, VERSION.1)?);
    names.extend(versions.filter_map(name).map(str::to_owned));
    Some(names)
}

/// A kernel as it lies in memory.
struct Image<'a> {
    file: &'a [u8],
    sections: SectionTable<'a, Header>,
}

impl<'a> Image<'a> {
    fn parse(file: &'a [u8]) -> Option<Self> {
        let sections = Header::parse(file).ok()?.sections(LittleEndian, file).ok()?;
        Some(Self { file, sections })
    }

    fn section(&self, name: &[u8]) -> Option<&'a [u8]> {
        let (_, section) = self.sections.section_by_name(LittleEndian, name)?;
        section.data(LittleEndian, self.file).ok()
    }

    /// The address at an offset of an entry.
    fn pointer(&self, entry: &[u8], at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(entry.get(at..at + 8)?.try_into().ok()?))
    }

    /// The C string at an address.
    fn string(&self, address: u64) -> Option<&'a str> {
        let e = LittleEndian;
        let has = |section: &&SectionHeader64<LittleEndian>| {
            let offset = address.checked_sub(section.sh_addr(e));
            section.sh_addr(e) != 0 && offset.is_some_and(|offset| offset < section.sh_size(e))
        };
        let section = self.sections.iter().find(has)?;
        let offset = usize::try_from(address - section.sh_addr(e)).ok()?;
        let rest = section.data(e, self.file).ok()?.get(offset..)?;
        let end = rest.iter().take(NAME_BYTES_MAX).position(|&byte| byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }
}
