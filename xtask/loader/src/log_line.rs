//! A line of the kernel's log as it is predicted, beside the one that was logged.

/// The text of `%p` while the kernel has no random numbers to hash addresses with.
const HIDDEN: &str = "(____ptrval____)";

/// Stands in a message for an address, which no file tells.
pub const ADDRESS: &str = "<address>";
/// Stands in a message for a decimal number that only the kernel's own source tells.
pub const NUMBER: &str = "<number>";

/// Stands at the end of a message for any number of lines that begin as it does: what the verifier
/// of BTF says of the type that it refuses.
pub const LINES: &str = "<lines>";

/// Returns the kernel's lines after those that were predicted, in their order; none where
/// one of them differs.
pub fn after_messages<'l>(predicted: &[String], logged: &'l [String]) -> Option<&'l [String]> {
    let mut rest = logged;
    for line in predicted {
        rest = match line.ends_with(LINES) {
            true => {
                let is_other = |logged: &String| !is_message(line, logged);
                &rest[rest.iter().position(is_other).unwrap_or(rest.len())..]
            }
            false => rest.split_first().filter(|(logged, _)| is_message(line, logged))?.1,
        };
    }
    Some(rest)
}

/// `true` if a line of the kernel's log is the message predicted, whatever stands in the place of
/// [`ADDRESS`] and [`NUMBER`].
pub fn is_message(predicted: &str, logged: &str) -> bool {
    if let Some(begin) = predicted.strip_suffix(LINES) {
        return logged.starts_with(begin.trim_end());
    }
    let predicted = predicted.replace(NUMBER, ADDRESS);
    let mut pieces = predicted.split(ADDRESS);
    let Some(mut rest) = pieces.next().and_then(|first| logged.strip_prefix(first)) else {
        return false;
    };
    for piece in pieces {
        let hidden = rest.starts_with(HIDDEN).then_some(HIDDEN.len());
        let digits = || rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let digits = hidden.unwrap_or_else(digits);
        let after = &rest[digits..];
        match after.strip_prefix(piece) {
            Some(after) if digits > 0 => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_be_any_that_begin_so() {
        let lines = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
        let predicted = lines("a|BPF: <lines>|b");
        let rest = |logged: &str| after_messages(&predicted, &lines(logged)).map(<[String]>::len);
        assert_eq!(rest("a|BPF:[1] INT|BPF: |b"), Some(0));
        assert_eq!((rest("a|b"), rest("a|b|c")), (Some(0), Some(1)));
        assert_eq!((rest("a|BPF: x|c"), rest("BPF: x|a|b"), rest("a")), (None, None, None));
    }

    #[test]
    fn an_address_may_be_any() {
        let predicted = format!("loc {ADDRESS}, val {ADDRESS}");
        assert!(is_message(&predicted, "loc ffffffffc0000000, val 0"));
        assert!(is_message(&predicted, "loc (____ptrval____), val 0"));
        assert!(!is_message(&predicted, "loc , val 0"));
        assert!(!is_message(&predicted, "loc 1, val 0 more"));
        assert!(is_message("a", "a") && !is_message("a", "ab") && !is_message("ab", "a"));
    }
}
