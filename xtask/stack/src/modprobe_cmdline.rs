//! The words of the kernel's command line that are for modprobe: `MODULE.NAME=VALUE` and
//! `modprobe.blacklist=NAME,NAME` (`kmod_config_parse_kcmdline()`, kmod's
//! `libkmod/libkmod-config.c`).

use crate::modprobe_config::{IgnoredLine, ModprobeConfig, underscores};

/// The bytes of /proc/cmdline that kmod reads.
const BYTES_MAX: usize = 4095;

impl ModprobeConfig {
    /// Adds the words of a kernel's command line, after the files.
    #[must_use]
    pub fn with_command_line(mut self, line: &str) -> Self {
        let end = (0..=line.len().min(BYTES_MAX)).rev().find(|&at| line.is_char_boundary(at));
        for word in split_outside_quotes(&line[..end.unwrap_or_default()]) {
            let Some((name, parameter)) = parameter(word) else { continue };
            match parameter.strip_prefix("blacklist=").filter(|_| name == "modprobe") {
                // The names are taken as they stand: one with a `-` hides nothing.
                Some(names) => self.blacklist.extend(names.split(',').map(str::to_owned)),
                None => match underscores(name) {
                    Some(name) => self.options.push((name, parameter.replace('\t', " "))),
                    None => {
                        let (file, word) = ("/proc/cmdline".into(), name.to_owned());
                        self.ignored.push(IgnoredLine { file, line: 1, word });
                    }
                },
            }
        }
        self
    }
}

fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// The words of a command line: a blank within quotes does not end one. What follows a quote that
/// nothing closes is no word.
fn split_outside_quotes(line: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let is_end = move |c: char| {
        is_quoted ^= c == '"';
        !is_quoted && is_blank(c)
    };
    line.split(is_end).filter(|word| word.matches('"').count() % 2 == 0)
}

/// A module's name, and its parameter with the value. Quotes around the whole word, as some boot
/// loaders put them, go around the value; elsewhere they stay where they are, and only a value has
/// them.
fn parameter(word: &str) -> Option<(&str, String)> {
    let (word, is_quoted) = match word.strip_prefix('"') {
        Some(word) => (word, true),
        None => (word, false),
    };
    let (name, rest) = word.split_once('.')?;
    let (param, value) = match rest.split_once('=') {
        Some((param, value)) => (param, Some(value)),
        None => (rest, None),
    };
    let is_odd = |c: char| is_blank(c) || ['"', '=', '.'].contains(&c);
    if name.contains(is_odd) || param.contains(is_odd) {
        return None;
    }
    Some(match value {
        Some(value) if is_quoted => (name, format!("{param}=\"{value}")),
        Some(value) => (name, format!("{param}={value}")),
        None => (name, param.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_parameters_of_modules() {
        let options = |words: &str, name: &str| {
            let config = ModprobeConfig::default().with_file("a.conf", "options a-b z=0\n");
            config.with_command_line(words).options(name, None)
        };
        assert_eq!(options("quiet a_b.x=1 a-b.y root=/dev/vda1.x=2", "a_b"), "z=0 x=1 y");
        assert_eq!(options("c.text=\"a b\" c.d", "c"), "text=\"a b\" d");
        assert_eq!(options("\"c.text=a b\" c.d", "c"), "text=\"a b\" d");
        assert_eq!(options("c.a.b=1 c\"x.y=1 \"c d.e=1\"", "c"), "");
        assert_eq!(options("c.x=1 c.y=\"open c.z=2", "c"), "x=1");
        assert_eq!(options("modprobe.blacklist=c,d", "modprobe"), "");
        assert_eq!(options("c.text=\"a\tb\"", "c"), "text=\"a b\"");
        assert_eq!(options("\"c.y\u{b}x=\"y z\" c.d", "c"), "");
    }

    #[test]
    fn the_command_line_hides_modules() {
        let config = ModprobeConfig::default().with_command_line("modprobe.blacklist=a-b,c x");
        assert_eq!(config.blacklist, ["a-b", "c"]);
    }
}
