//! `dyndbg=`: what the kernel says of a query that it does not understand
//! (`ddebug_exec_queries()`, `lib/dynamic_debug.c`). It refuses no module.

use crate::kernel_params::{is_space, skip_spaces};

/// `MAXWORDS` of `ddebug_exec_query()`.
const WORDS_MAX: usize = 9;
/// The flags of `opt_array[]`.
const FLAGS: &[u8] = b"pmfsltd_";

/// The lines that the kernel logs about the queries of a value, where it does not tell all that it
/// does (`dynamic_debug.verbose`); none where they depend on an escape in a `format`.
pub(super) fn complaints(value: &[u8]) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    for query in value.split(|byte| b";\n".contains(byte)) {
        let query = skip_spaces(query);
        if query.is_empty() || query[0] == b'#' {
            continue;
        }
        if let Err(said) = exec_query(query) {
            lines.extend(said?.into_iter().map(|line| format!("dyndbg: {line}")));
        }
    }
    Some(lines)
}

/// The lines of a query that fails; none where they are not known.
type Said = Option<Vec<String>>;

fn said<T>(line: String, last: &str) -> Result<T, Said> {
    Err(Some(vec![line, last.into()]))
}

/// `ddebug_exec_query()`.
fn exec_query(query: &[u8]) -> Result<(), Said> {
    const TOKENIZE: &str = "tokenize failed";
    let words = tokenize(query).or_else(|line| said(line, TOKENIZE))?;
    let Some((flags, pairs)) = words.split_last() else {
        return Err(Some(vec![TOKENIZE.into()]));
    };
    parse_flags(flags).or_else(|line| said(line, "flags parse failed"))?;
    match parse_query(pairs) {
        Ok(()) => Ok(()),
        Err(Some(line)) => said(line, "query parse failed"),
        Err(None) => Err(None),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `ddebug_tokenize()`: words between blanks or within quotes, up to a comment.
fn tokenize(query: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut words = Vec::new();
    let mut rest = skip_spaces(query);
    while let Some(&first) = rest.first().filter(|&&first| first != b'#') {
        let is_quoted = matches!(first, b'"' | b'\'');
        let text = &rest[usize::from(is_quoted)..];
        let end = text.iter().position(|&b| if is_quoted { b == first } else { is_space(b) });
        if is_quoted && end.is_none() {
            return Err(format!("unclosed quote: {}", lossy(text)));
        }
        if words.len() == WORDS_MAX {
            return Err(format!("too many words, legal max <={WORDS_MAX}"));
        }
        let (word, after) = text.split_at(end.unwrap_or(text.len()));
        words.push(word);
        rest = skip_spaces(after.get(1..).unwrap_or_default());
    }
    Ok(words)
}

/// `ddebug_parse_flags()`.
fn parse_flags(flags: &[u8]) -> Result<(), String> {
    if !flags.first().is_some_and(|operator| b"+-=".contains(operator)) {
        // `%c` of a string's end is its NUL.
        let operator = lossy(&[flags.first().copied().unwrap_or(0)]);
        return Err(format!("bad flag-op {operator}, at start of {}", lossy(flags)));
    }
    match flags[1..].iter().find(|flag| !FLAGS.contains(flag)) {
        None => Ok(()),
        Some(&flag) => Err(format!("unknown flag '{}'", lossy(&[flag]))),
    }
}

/// `struct ddebug_query`, as far as it is read again.
#[derive(Default)]
struct Query<'a> {
    set: Vec<(&'static str, &'a [u8])>,
    first_line: u32,
    last_line: u32,
}

/// `ddebug_parse_query()`: pairs of a keyword and a value; none where the line is not known.
fn parse_query(words: &[&[u8]]) -> Result<(), Option<String>> {
    if words.len() % 2 != 0 {
        return Err(Some("expecting pairs of match-spec <value>".into()));
    }
    let mut query = Query::default();
    for pair in words.chunks_exact(2) {
        let (keyword, value) = (pair[0], pair[1]);
        match keyword {
            b"func" => query.set("func", value)?,
            b"module" => query.set("module", value)?,
            b"class" => query.set("class", value)?,
            b"format" => query.set("format", value)?,
            b"line" => query.set_lines(value)?,
            b"file" => query.set_file(value)?,
            _ => return Err(Some(format!("unknown keyword \"{}\"", lossy(keyword)))),
        }
    }
    Ok(())
}

impl<'a> Query<'a> {
    /// `check_set()`.
    fn set(&mut self, name: &'static str, value: &'a [u8]) -> Result<(), Option<String>> {
        let Some((_, before)) = self.set.iter().find(|(known, _)| *known == name) else {
            self.set.push((name, value));
            return Ok(());
        };
        // A format is told without its escapes (`string_unescape_inplace()`).
        if name == "format" && [*before, value].concat().contains(&b'\\') {
            return Err(None);
        }
        let (before, value) = (lossy(before), lossy(value));
        Err(Some(format!("match-spec:{name} val:{before} overridden by {value}")))
    }

    /// A file; behind its colon a function, or lines.
    fn set_file(&mut self, value: &'a [u8]) -> Result<(), Option<String>> {
        let colon = value.iter().position(|&byte| byte == b':');
        // A name that stands there already is told whole.
        let is_first = self.set.iter().all(|(name, _)| *name != "file");
        let file = colon.filter(|_| is_first).map_or(value, |colon| &value[..colon]);
        self.set("file", file)?;
        let Some(rest) = colon.map(|colon| &value[colon + 1..]) else { return Ok(()) };
        let is_letter =
            |byte: u8| byte.is_ascii_alphabetic() || byte >= 0xc0 && ![0xd7, 0xf7].contains(&byte);
        match rest.first() {
            Some(&first) if is_letter(first) || b"*?".contains(&first) => self.set("func", rest),
            _ => self.set_lines(rest),
        }
    }

    /// `parse_linerange()`.
    fn set_lines(&mut self, value: &[u8]) -> Result<(), Option<String>> {
        if self.first_line != 0 || self.last_line != 0 {
            return Err(Some("match-spec: line used 2x".into()));
        }
        let mut ends = value.splitn(2, |&byte| byte == b'-');
        self.first_line = line_number(ends.next().unwrap_or_default())?;
        let Some(last) = ends.next() else {
            self.last_line = self.first_line;
            return Ok(());
        };
        self.last_line = match line_number(last)? {
            0 => u32::MAX,
            last => last,
        };
        if self.last_line < self.first_line {
            // The kernel prints both with a sign.
            let (first, last) = (self.first_line as i32, self.last_line as i32);
            return Err(Some(format!("last-line:{last} < 1st-line:{first}")));
        }
        Ok(())
    }
}

/// `parse_lineno()`: decimal; nothing is any line.
fn line_number(text: &[u8]) -> Result<u32, Option<String>> {
    if text.is_empty() {
        return Ok(0);
    }
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Some(format!("bad line-number: {}", lossy(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &str) -> Vec<String> {
        complaints(value.as_bytes()).unwrap()
    }

    #[test]
    fn a_query_that_is_understood_is_silent() {
        for good in [
            "+p",
            "=_",
            "-pmfsltd",
            "",
            " ; # all of it",
            "func f +p; file a.c line 1-9 +p",
            "file a.c:f* +p",
            "file a.c:-10 =p",
            "line 5- +p",
            "format \"two words\" +p",
            "module m class c +p # why",
        ] {
            assert_eq!(said(good), [""; 0], "{good}");
        }
    }

    #[test]
    fn faults_are_told_in_the_kernels_words() {
        let flags = "dyndbg: flags parse failed";
        let query = "dyndbg: query parse failed";
        let tokens = "dyndbg: tokenize failed";
        for (value, line, last) in [
            ("p", "bad flag-op p, at start of p", flags),
            ("\"\"", "bad flag-op \0, at start of ", flags),
            ("+x", "unknown flag 'x'", flags),
            ("func +p", "expecting pairs of match-spec <value>", query),
            ("colour red +p", "unknown keyword \"colour\"", query),
            ("func a func b +p", "match-spec:func val:a overridden by b", query),
            ("file a:g func b +p", "match-spec:func val:g overridden by b", query),
            ("line 1 line 2 +p", "match-spec: line used 2x", query),
            ("line 9-1 +p", "last-line:1 < 1st-line:9", query),
            ("line x +p", "bad line-number: x", query),
            ("func 'a +p", "unclosed quote: a +p", tokens),
            ("a b c d e f g h i j", "too many words, legal max <=9", tokens),
        ] {
            assert_eq!(said(value), [format!("dyndbg: {line}"), last.into()], "{value}");
        }
        assert_eq!(said("p; +p; x").len(), 4);
        assert_eq!(complaints(b"format a\\n format b +p"), None);
    }
}
