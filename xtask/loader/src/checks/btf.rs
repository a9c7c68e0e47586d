//! BTF: type information for BPF.

use crate::{load_info::LoadInfo, verdict::Finding};

/// `BTF_MAGIC` (`include/uapi/linux/btf.h`).
const BTF_MAGIC: u16 = 0xeb9f;

/// `btf_module_notify()` (`kernel/bpf/btf.c`): the types must fit the kernel's own.
pub(super) fn btf(load: &mut LoadInfo<'_>) -> Finding {
    if !load.kernel.options.btf {
        return Finding::skip("the kernel reads no BTF (no CONFIG_DEBUG_INFO_BTF_MODULES)");
    }
    let section = load.find_any_sec(".BTF").first().map(|&index| load.sections[index]);
    let Some(section) = section.filter(|section| section.size > 0) else {
        return Finding::pass().have("no .BTF");
    };
    let bytes = load.elf.slice(section.offset, section.size);
    if !is_btf(bytes) {
        return Finding::unknown("its .BTF is damaged; the kernel's verifier is not modelled");
    }
    let has_own_base = !load.find_any_sec(".BTF.base").is_empty();
    let magic = load.modinfo_value("vermagic").map(|magic| magic.lossy().into_owned());
    let is_same_release = magic.is_some_and(|magic| {
        magic.split(' ').next().is_some_and(|release| release == load.kernel.release)
    });
    if !is_same_release {
        return Finding::unknown("its .BTF was made for another kernel's types");
    }
    Finding::pass().have(if has_own_base { "with a base of its own" } else { "" })
}

/// Whether the header fits the section: types, then strings, to its end.
fn is_btf(bytes: &[u8]) -> bool {
    let u32_at = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_le_bytes(bytes)))
    };
    let fits = || {
        let magic = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
        let (header, strings_at, strings) = (u32_at(4)?, u32_at(16)?, u32_at(20)?);
        let end = header + strings_at + strings;
        Some(magic == BTF_MAGIC && bytes.get(2) == Some(&1) && end == bytes.len() as u64)
    };
    fits().unwrap_or(false)
}
