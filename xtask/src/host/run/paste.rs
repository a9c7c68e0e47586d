//! A command as a shell takes it, so that it can be pasted.

use std::{ffi::OsStr, fmt};

use super::Run;

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cwd) = &self.cwd {
            write!(f, "cd {} && ", quoted(cwd.as_os_str()))?;
        }
        for (name, value) in &self.envs {
            write!(f, "{}={} ", name.to_string_lossy(), quoted(value))?;
        }
        write!(f, "{}", quoted(&self.program))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// A word for a shell, the caller's home as `~`, which a shell takes at the beginning of a word.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let home = std::env::var("HOME").unwrap_or_default();
    let rest = word.strip_prefix(&home).and_then(|rest| rest.strip_prefix('/'));
    match rest {
        Some(rest) if !home.is_empty() => format!("~/{}", quoted_plainly(rest)),
        _ => quoted_plainly(&word),
    }
}

/// `shell_words` also quotes `=`, of which make's command lines are full.
fn quoted_plainly(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    shell_words::quote(word).into_owned()
}
