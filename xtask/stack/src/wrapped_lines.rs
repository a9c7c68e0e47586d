//! The lines of kmod's configuration files.

/// The lines of a file with their numbers, as kmod reads them: a backslash continues a line at its
/// end, and before any other character it is dropped (`freadline_wrapped()`, kmod's
/// `shared/util.c`). A line ends at a NUL, as C's texts do; its number is that of its last part.
pub(crate) fn wrapped_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let (mut rest, mut number) = (text.chars(), 0);
    std::iter::from_fn(move || {
        let mut line = String::new();
        loop {
            match rest.next() {
                Some('\\') => match rest.next() {
                    Some('\n') => number += 1,
                    escaped => line.extend(escaped),
                },
                None if line.is_empty() => return None,
                None | Some('\n') => break,
                Some(plain) => line.push(plain),
            }
        }
        number += 1;
        line.truncate(line.find('\0').unwrap_or(line.len()));
        Some((number, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_goes_with_the_end_of_its_line_and_alone() {
        let lines = |text: &str| wrapped_lines(text).collect::<Vec<_>>();
        let expected = [(2, "a b".to_owned()), (3, "^7.3 \\".to_owned()), (4, String::new())];
        assert_eq!(lines("a \\\nb\n^7\\.3 \\\\\n\n"), expected);
        assert_eq!(lines("last\\"), [(1, "last".to_owned())]);
        assert_eq!(lines("\\\n\\"), []);
        assert_eq!(lines("cut\0off\n"), [(1, "cut".to_owned())]);
    }
}
