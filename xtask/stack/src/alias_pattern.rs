//! The patterns of aliases, and of the names in modprobe.d.

/// `fnmatch()` with `*` and `?`. Aliases without a bus use nothing else.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star_p, star_n)) = star else { return false };
                star = Some((star_p, star_n + 1));
                (p, n) = (star_p + 1, star_n + 1);
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_matched_like_a_file_name() {
        assert!(matches(b"crypto_sha*", b"crypto_sha256"));
        assert!(matches(b"*a?c*", b"xxabc"));
        assert!(!matches(b"a", b"ab"));
        assert!(!matches(b"a?", b"a"));
    }
}
