//! A kernel's configuration: `.config`, `auto.conf`, or `/boot/config-RELEASE`.

use std::collections::HashMap;

/// The options of a kernel, by their names without `CONFIG_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kconfig {
    options: HashMap<String, String>,
}

impl Kconfig {
    /// Takes the `CONFIG_X=value` lines; an option that is not set is a comment there.
    pub fn parse(text: &str) -> Self {
        let option = |line: &str| {
            let (name, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        };
        Self { options: text.lines().filter_map(option).collect() }
    }

    /// The names of all options that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.options.keys().map(String::as_str)
    }

    /// `true` if an option is built in (`=y`).
    pub fn has(&self, option: &str) -> bool {
        self.get(option) == Some("y")
    }

    /// The compiler that the kernel was configured with, as `make` takes it: modules are built
    /// with the same one.
    pub fn compiler(&self) -> String {
        if self.has("CC_IS_CLANG") {
            return "LLVM=1".into();
        }
        let text = self.get("CC_VERSION_TEXT").unwrap_or_default();
        format!("CC={}", text.split_whitespace().next().unwrap_or("gcc"))
    }

    /// The value of an option, without its quotes.
    pub fn get(&self, option: &str) -> Option<&str> {
        self.options.get(option).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::Kconfig;

    #[test]
    fn options_have_their_values() {
        let config = Kconfig::parse("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x 1\"\n");
        assert!(config.has("A") && !config.has("B") && !config.has("C"));
        assert_eq!(config.get("C"), Some("x 1"));
    }

    #[test]
    fn the_compiler_is_the_one_that_is_named() {
        let text = "CONFIG_CC_VERSION_TEXT=\"x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0\"";
        assert_eq!(Kconfig::parse(text).compiler(), "CC=x86_64-linux-gnu-gcc-14");
        assert_eq!(Kconfig::parse("CONFIG_CC_IS_CLANG=y").compiler(), "LLVM=1");
    }
}
