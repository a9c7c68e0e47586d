//! `fnmatch()` of the C library, without flags: how kmod compares a pattern with a name.

/// Returns `true` if the whole name matches: `*`, `?`, `[a-c]`, `[!a]`, `[[:digit:]]`, `\` before a
/// character that stands for itself (`internal_fnmatch()`, glibc's `posix/fnmatch_loop.c`).
///
/// It takes at most the product of both lengths: where a part after a `*` fails, only the last `*`
/// takes one character more.
pub(crate) fn fnmatch(pattern: &[u8], name: &[u8]) -> bool {
    let (mut rest, mut n) = (pattern, 0);
    let mut star: Option<(&[u8], usize)> = None;
    while n < name.len() {
        if let [b'*', after @ ..] = rest {
            star = Some((after, n));
            rest = after;
            continue;
        }
        match one(rest, name[n]) {
            Some(after) => (rest, n) = (after, n + 1),
            None => {
                let Some((after, at)) = star else { return false };
                star = Some((after, at + 1));
                (rest, n) = (after, at + 1);
            }
        }
    }
    rest.iter().all(|&byte| byte == b'*')
}

/// Returns the pattern after its first element, if that matches a byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', after @ ..] => Some(after),
        [b'\\', escaped, after @ ..] => (*escaped == byte).then_some(after),
        [b'\\'] => None,
        [b'[', set @ ..] => match bracket(set, byte) {
            Bracket::Open => (byte == b'[').then_some(set),
            Bracket::Refuses => None,
            Bracket::Set { has, after } => has.then_some(after),
        },
        [first, after @ ..] => (*first == byte).then_some(after),
        [] => None,
    }
}

/// The contents of brackets.
enum Bracket<'p> {
    /// Nothing closes them, so the first is an ordinary character.
    Open,
    /// No character matches: an unknown class, a `\` or a range without an end.
    Refuses,
    Set {
        has: bool,
        after: &'p [u8],
    },
}

fn bracket(set: &[u8], byte: u8) -> Bracket<'_> {
    let (is_inverted, mut rest) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let (mut has, mut is_first) = (false, true);
    loop {
        let (low, after) = match rest {
            [] => return Bracket::Open,
            [b']', after @ ..] if !is_first => {
                return Bracket::Set { has: has != is_inverted, after };
            }
            [b'\\'] => return Bracket::Refuses,
            [b'\\', escaped, after @ ..] => (*escaped, after),
            [b'[', b':', named @ ..] => match class(named) {
                Some((name, after)) => {
                    // A set that has the byte already is only searched for its end.
                    match is_of_class(byte, name) {
                        Some(is) => has |= is,
                        None if !has => return Bracket::Refuses,
                        None => {}
                    }
                    (rest, is_first) = (after, false);
                    continue;
                }
                None => (b'[', &rest[1..]),
            },
            [plain, after @ ..] => (*plain, after),
        };
        is_first = false;
        rest = after;
        let high = match after {
            [b'-', b']', ..] | [b'-'] => low,
            [b'-', b'\\', high, after @ ..] | [b'-', high, after @ ..] => {
                rest = after;
                *high
            }
            _ => low,
        };
        has |= (low..=high).contains(&byte);
    }
}

/// The name of a class, `[:digit:]`, and what follows it.
fn class(named: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = named.iter().position(|byte| !byte.is_ascii_lowercase())?;
    let after = named[end..].strip_prefix(b":]")?;
    Some((&named[..end], after))
}

fn is_of_class(byte: u8, name: &[u8]) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => [b' ', b'\t'].contains(&byte),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0xb,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_as_the_c_library_does() {
        for (pattern, name, matches) in [
            ("crypto_sha*", "crypto_sha256", true),
            ("*a?c*", "xxabc", true),
            ("a", "ab", false),
            ("a?", "a", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "-x", false),
            ("[!a-c]x", "dx", true),
            ("[^a]", "a", false),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            ("[!]", "[!]", true),
            ("[[:digit:]]*", "7up", true),
            ("[[:nothing:]]", "n", false),
            ("[[:a]", ":", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("a\\", "a", false),
            ("a\\", "a\\", false),
            ("[\\]]", "]", true),
            ("[a-\\c]", "b", true),
            ("*", "", true),
            ("", "", true),
            ("a/*", "a/b/c", true),
        ] {
            assert_eq!(fnmatch(pattern.as_bytes(), name.as_bytes()), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product_of_both() {
        let (pattern, name) = ("*a".repeat(2000), "a".repeat(3999) + "b");
        assert!(!fnmatch(pattern.as_bytes(), name.as_bytes()));
    }
}
