//! The version field of depmod.d's `override` and `external`: a POSIX extended regular expression
//! that occurs somewhere in the release (`cfg_kernel_matches()`, kmod's `tools/depmod.c`).
//!
//! [`regex_lite`] has another syntax, so the expression is rewritten: in brackets `\` and `[` are
//! ordinary, `)` can stand without its `(`, and repetitions can follow each other. Expressions that
//! POSIX leaves undefined, or that need a locale, are not decided.

use regex_lite::Regex;

/// A version field that cannot be decided here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the version pattern \"{pattern}\" cannot be decided: {reason}")]
pub struct VersionPatternError {
    /// The field.
    pub pattern: String,
    /// Why, without a subject.
    pub reason: &'static str,
}

/// Rewriting takes time that grows with the square of the length.
const PATTERN_BYTES_MAX: usize = 1000;

/// Returns `true` if a version field is for this release. A `*` alone is for every kernel; an
/// expression that `regcomp()` refuses is for none.
///
/// # Errors
/// An expression that cannot be decided.
pub fn version_matches(pattern: &str, release: &str) -> Result<bool, VersionPatternError> {
    if pattern == "*" {
        return Ok(true);
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        let reason = "it is longer than any that a person writes";
        return Err(VersionPatternError { pattern: pattern.to_owned(), reason });
    }
    match Translation::regex(pattern) {
        Ok(regex) => Ok(regex.is_match(release)),
        Err(NoRegex::Refused) => Ok(false),
        Err(NoRegex::Open(reason)) => {
            Err(VersionPatternError { pattern: pattern.to_owned(), reason })
        }
    }
}

/// Why there is no expression to match with.
enum NoRegex {
    /// `regcomp()` refuses it.
    Refused,
    /// It cannot be decided; the reason.
    Open(&'static str),
}

/// The expression as it is rewritten.
#[derive(Default)]
struct Translation {
    regex: String,
    /// Where the last thing begins that a repetition would repeat.
    atom: Option<usize>,
    /// `true` if that thing is a repetition already.
    repeated: bool,
    /// Where each open group begins.
    groups: Vec<usize>,
}

impl Translation {
    fn regex(pattern: &str) -> Result<Regex, NoRegex> {
        let mut translation = Self::default();
        let mut rest = pattern;
        while let Some((c, after)) = first_char(rest) {
            rest = translation.take(c, after)?;
        }
        if !translation.groups.is_empty() {
            return Err(NoRegex::Refused);
        }
        let unknown = |_| NoRegex::Open("it is of no form that is known here");
        Regex::new(&translation.regex).map_err(unknown)
    }

    /// Rewrites one piece that begins with `c`; what is left after it.
    fn take<'p>(&mut self, c: char, rest: &'p str) -> Result<&'p str, NoRegex> {
        match c {
            '(' => {
                self.groups.push(self.regex.len());
                self.regex.push_str("(?:");
                self.atom = None;
            }
            // glibc: ordinary without its `(` (RE_UNMATCHED_RIGHT_PAREN_ORD).
            ')' => match self.groups.pop() {
                Some(begin) => {
                    self.regex.push(')');
                    (self.atom, self.repeated) = (Some(begin), false);
                }
                None => self.literal(c),
            },
            '|' | '^' | '$' => {
                self.regex.push(c);
                self.atom = None;
            }
            '*' | '+' | '?' => self.repeat(&c.to_string())?,
            '{' => {
                let (bounds, after) = rest.split_once('}').ok_or(NoRegex::Refused)?;
                self.repeat(&interval(bounds).ok_or(NoRegex::Refused)?)?;
                return Ok(after);
            }
            '.' => self.atom_text("(?s:.)"),
            '[' => return self.bracket(rest),
            '\\' => {
                let (escaped, after) = first_char(rest).ok_or(NoRegex::Refused)?;
                if escaped.is_alphanumeric() || "<>`'".contains(escaped) {
                    let reason = "POSIX leaves open what \\ means before this character";
                    return Err(NoRegex::Open(reason));
                }
                self.literal(escaped);
                return Ok(after);
            }
            other => self.literal(other),
        }
        Ok(rest)
    }

    fn literal(&mut self, c: char) {
        self.atom_text(&regex_lite::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn atom_text(&mut self, text: &str) {
        (self.atom, self.repeated) = (Some(self.regex.len()), false);
        self.regex.push_str(text);
    }

    fn repeat(&mut self, operator: &str) -> Result<(), NoRegex> {
        let reason = "POSIX leaves open what a repetition of nothing means";
        let begin = self.atom.ok_or(NoRegex::Open(reason))?;
        // `a+?` repeats a repetition; in `regex_lite` it would be a lazy one.
        if self.repeated {
            self.regex.insert_str(begin, "(?:");
            self.regex.push(')');
        }
        self.regex.push_str(operator);
        self.repeated = true;
        Ok(())
    }

    /// A bracket expression, after its `[`.
    fn bracket<'p>(&mut self, rest: &'p str) -> Result<&'p str, NoRegex> {
        let (negated, inside) = rest.strip_prefix('^').map_or((false, rest), |rest| (true, rest));
        let mut class = String::from(if negated { "[^" } else { "[" });
        let mut left = inside;
        let mut is_first = true;
        loop {
            let (c, after) = first_char(left).ok_or(NoRegex::Refused)?;
            left = after;
            match c {
                ']' if !is_first => break,
                '[' if left.starts_with(['.', '=']) => {
                    return Err(NoRegex::Open("it depends on a locale"));
                }
                '[' if left.starts_with(':') => {
                    let (name, after) = left[1..].split_once(":]").ok_or(NoRegex::Refused)?;
                    class.push_str(&format!("[:{name}:]"));
                    left = after;
                }
                // A range has its `-` between two characters, as in `regex`.
                '-' if !is_first && !left.starts_with(']') => class.push('-'),
                other => class.push_str(&regex_lite::escape(other.encode_utf8(&mut [0; 4]))),
            }
            is_first = false;
        }
        class.push(']');
        self.atom_text(&class);
        Ok(left)
    }
}

/// The first character of a text, and what follows it.
fn first_char(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    chars.next().map(|first| (first, chars.as_str()))
}

/// The bounds of a repetition as [`regex_lite`] takes them; `None` for what is none.
fn interval(bounds: &str) -> Option<String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match bounds.split_once(',') {
        None => is_number(bounds).then(|| format!("{{{bounds}}}")),
        Some((from, "")) => is_number(from).then(|| format!("{{{from},}}")),
        Some(("", to)) => is_number(to).then(|| format!("{{0,{to}}}")),
        Some((from, to)) => (is_number(from) && is_number(to)).then(|| format!("{{{from},{to}}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "7.3.4+deb13-amd64";

    #[test]
    fn matches_of_regexec_are_found() {
        for (pattern, expected) in [
            ("*", true),
            ("7.3.4", true),
            ("7x3", false),
            ("^7\\.3", true),
            ("^3", false),
            ("amd64$", true),
            ("deb1[0-9]", true),
            ("[^0-9.]deb", true),
            ("deb[[:digit:]]+", true),
            ("(deb|ubuntu)13", true),
            ("7(\\.[0-9]+){2}", true),
            ("7(\\.[0-9]+){3}", false),
            ("deb{,1}13", true),
            ("d+?eb", true),
            ("x?+deb", true),
            ("[]+]deb", true),
            ("[\\+]deb", true),
            ("[[]", false),
            ("deb13-)", false),
            ("7.3.4+deb", false),
            ("7.3.4[+]deb", true),
        ] {
            assert_eq!(version_matches(pattern, RELEASE), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_regcomp_refuses_match_nothing() {
        for pattern in ["(7", "[7", "7{1", "7{x}", "7\\"] {
            assert_eq!(version_matches(pattern, RELEASE), Ok(false), "{pattern}");
        }
    }

    #[test]
    fn open_patterns_are_not_decided() {
        for pattern in ["(7)\\1", "[[=a=]]", "*7", "\\w"] {
            assert!(version_matches(pattern, RELEASE).is_err(), "{pattern}");
        }
    }
}
