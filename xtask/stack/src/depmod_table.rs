//! depmod's hash tables. Where nothing else orders what is in one, its files have this order.

/// The buckets of the table of modules (`depmod_init()`, kmod's `tools/depmod.c`).
pub const MODULE_BUCKETS: u32 = 512;
/// The buckets of the table of symbols.
pub const SYMBOL_BUCKETS: u32 = 2048;

/// Sorts keys as depmod comes to them: bucket by bucket, and by name within one
/// (`hash_iter_next()`, kmod's `shared/hash.c`).
pub fn sort_by_table<T>(items: &mut [T], buckets: u32, key: impl Fn(&T) -> &[u8]) {
    items.sort_by_cached_key(|item| (hash(key(item)) % buckets, key(item).to_vec()));
}

/// Paul Hsieh's SuperFastHash with the length as its seed, which kmod uses. A single byte counts
/// with its sign, as C's `char` has one on x86.
fn hash(key: &[u8]) -> u32 {
    let half = |pair: &[u8]| u32::from(u16::from_le_bytes([pair[0], pair[1]]));
    let single = |byte: u8| byte as i8 as u32;
    let mut hash = key.len() as u32;
    let mut blocks = key.chunks_exact(4);
    for block in &mut blocks {
        hash = hash.wrapping_add(half(block));
        hash = (hash << 16) ^ (half(&block[2..]) << 11) ^ hash;
        hash = hash.wrapping_add(hash >> 11);
    }
    match blocks.remainder() {
        [pair @ .., last] if pair.len() == 2 => {
            hash = hash.wrapping_add(half(pair));
            hash ^= hash << 16;
            hash ^= single(*last) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        pair @ [_, _] => {
            hash = hash.wrapping_add(half(pair));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [one] => {
            hash = hash.wrapping_add(single(*one));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    for (left, right) in [(3, 5), (4, 17), (25, 6)] {
        hash ^= hash << left;
        hash = hash.wrapping_add(hash >> right);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_the_order_of_depmod() {
        // As depmod of kmod 34.2 lists modules of these names without a modules.order.
        let listed = ["virtio_net", "abcd", "abcde", "ab", "a", "\u{e9}t\u{e9}", "abc"];
        let mut names = listed;
        names.sort_unstable();
        sort_by_table(&mut names, MODULE_BUCKETS, |name| name.as_bytes());
        assert_eq!(names, listed);
    }
}
