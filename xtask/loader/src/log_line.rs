//! A line of the kernel's log as it is predicted, beside the one that was logged.

/// What `%p` prints while the kernel has no random numbers to hash addresses with.
const HIDDEN: &str = "(____ptrval____)";

/// Stands in a message for an address, which no file tells.
pub const ADDRESS: &str = "<address>";
/// Stands in a message for a decimal number that only the kernel's own source tells.
pub const NUMBER: &str = "<number>";

/// Whether a line of the kernel's log is the message predicted, whatever stands in the place of
/// [`ADDRESS`] and [`NUMBER`].
pub fn is_message(predicted: &str, logged: &str) -> bool {
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
    fn an_address_may_be_any() {
        let predicted = format!("loc {ADDRESS}, val {ADDRESS}");
        assert!(is_message(&predicted, "loc ffffffffc0000000, val 0"));
        assert!(is_message(&predicted, "loc (____ptrval____), val 0"));
        assert!(!is_message(&predicted, "loc , val 0"));
        assert!(!is_message(&predicted, "loc 1, val 0 more"));
        assert!(is_message("a", "a") && !is_message("a", "ab") && !is_message("ab", "a"));
    }
}
