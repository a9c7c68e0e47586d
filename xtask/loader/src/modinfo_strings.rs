//! `.modinfo` as the kernel walks it.

use crate::raw_elf::{RawElf, Shdr};
use ko::text::Text;

/// Every string of the section, in the kernel's order (`module_next_tag_pair()`,
/// `kernel/module/main.c`): the first one even when the section is empty, and the last one to its
/// NUL even when that stands beyond the section.
pub(super) fn strings<'a>(bytes: &RawElf<'a>, section: &Shdr) -> Vec<Text<'a>> {
    let (mut at, mut left) = (section.offset, section.size);
    let mut strings = Vec::new();
    // Each step takes one byte of the size, as the kernel's own `(*secsize)-- <= 1`.
    let mut step = |at: &mut u64| {
        *at += 1;
        let ends = left <= 1;
        left = left.wrapping_sub(1);
        !ends
    };
    loop {
        strings.push(bytes.string(at));
        while bytes.u8(at) != 0 {
            if bytes.read_beyond() || !step(&mut at) {
                return strings;
            }
        }
        while bytes.u8(at) == 0 {
            if bytes.read_beyond() || !step(&mut at) {
                return strings;
            }
        }
    }
}

/// The values of a key (`get_next_modinfo()`, `kernel/module/main.c`).
pub(super) fn values<'s, 'a>(
    strings: &'s [Text<'a>],
    key: &'s str,
) -> impl Iterator<Item = Text<'a>> + 's {
    strings.iter().filter_map(move |line| line.strip_prefix(key)?.strip_prefix("="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], size: u64) -> Vec<String> {
        let section = Shdr { size, ..Shdr::default() };
        strings(&RawElf::new(bytes), &section).iter().map(|text| text.lossy().into()).collect()
    }

    #[test]
    fn strings_are_walked_as_the_kernel_does() {
        assert_eq!(read(b"a=1\0\0b=2\0", 9), ["a=1", "b=2"]);
        assert_eq!(read(b"a=1\0b=2\0c=3\0", 6), ["a=1", "b=2"], "the last one to its NUL");
        assert_eq!(read(b"a=1\0b=2\0", 0), ["a=1"], "the first one always");
    }
}
