//! modprobe.d(5), as far as it decides which modules are loaded, and how: `alias`, `softdep`,
//! `install` and `options` (`kmod_config_parse()`, kmod's `libkmod/libkmod-config.c`).

use ko::{module::SoftDep, text::Text};

use crate::{alias_pattern::matches, graph::Graph, module_name::ModuleName};

/// The lines of modprobe.d files. Each begins with a name, or a pattern of names with `*` and `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModprobeConfig {
    lines: Vec<Line>,
}

/// The lines that decide something here.
const KEYS: [&str; 4] = ["alias", "softdep", "install", "options"];

/// What one line says about the modules that its name matches.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    key: &'static str,
    name: ModuleName,
    value: String,
}

impl ModprobeConfig {
    /// Adds the lines of a file. Lines that decide nothing here, such as `blacklist`, are skipped:
    /// a blacklisted module loads when it is asked for by its own name.
    #[must_use]
    pub fn with_file(mut self, text: &str) -> Self {
        let text = text.replace("\\\n", "");
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let mut words = line.splitn(3, [' ', '\t']);
            let (Some(key), Some(name), Some(value)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Some(key) = KEYS.into_iter().find(|known| *known == key) else { continue };
            let value = value.trim().to_owned();
            self.lines.push(Line { key, name: ModuleName::new(name), value });
        }
        self
    }

    /// Adds the parameters of modules that a kernel's command line has, `MODULE.NAME=VALUE`, after
    /// those of the files (`kmod_config_parse_kcmdline()`).
    #[must_use]
    pub fn with_command_line(mut self, words: &str) -> Self {
        self.lines.extend(split_outside_quotes(words).filter_map(parameter));
        self
    }

    /// What the lines of one kind say about a module.
    fn values(&self, key: &str, name: &ModuleName) -> impl Iterator<Item = &str> {
        let is_for =
            move |line: &&Line| line.key == key && matches(line.name.as_bytes(), name.as_bytes());
        self.lines.iter().filter(is_for).map(|line| line.value.as_str())
    }

    /// The modules that modprobe loads for a name. An `alias` line comes first, and one to `off`
    /// stands for no module; then come the module of this name and the aliases of the modules.
    pub fn lookup(&self, graph: &Graph, name: &str) -> Vec<usize> {
        let wanted = ModuleName::new(name);
        let mut targets = self.values("alias", &wanted).peekable();
        if targets.peek().is_some() {
            return targets.filter_map(|name| graph.index_of(&ModuleName::new(name))).collect();
        }
        match graph.index_of(&wanted) {
            Some(index) => vec![index],
            None => graph.with_alias(&wanted),
        }
    }

    /// Whether an `alias` line says that a name stands for no module.
    pub fn is_off(&self, name: &str) -> bool {
        self.values("alias", &ModuleName::new(name)).any(|target| target == "off")
    }

    /// The soft dependencies of a module: the first line for it, or else all of its own.
    pub fn softdeps<'a>(&'a self, graph: &'a Graph, index: usize) -> Vec<SoftDep<'a>> {
        let module = &graph.modules()[index];
        match self.values("softdep", &module.file.name).next() {
            Some(value) => vec![SoftDep::parse(Text::from(value))],
            None => module.info.soft().collect(),
        }
    }

    /// The first of them; modprobe ignores the others.
    pub fn softdep<'a>(&'a self, graph: &'a Graph, index: usize) -> Option<SoftDep<'a>> {
        self.softdeps(graph, index).into_iter().next()
    }

    /// The command that `install` puts in the place of loading a module.
    pub fn install_command(&self, name: &ModuleName) -> Option<&str> {
        self.values("install", name).next()
    }

    /// The parameters that `options` gives a module, with blanks between.
    pub fn options(&self, name: &ModuleName) -> String {
        self.values("options", name).collect::<Vec<_>>().join(" ")
    }
}

/// The words of a command line: a blank within quotes does not end one. What follows a quote that
/// nothing closes is no word.
fn split_outside_quotes(line: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let is_end = move |c: char| {
        is_quoted ^= c == '"';
        !is_quoted && (c.is_ascii_whitespace() || c == '\u{b}')
    };
    line.split(is_end).filter(|word| word.matches('"').count() % 2 == 0)
}

/// A module's parameter. Quotes around the whole word, as some boot loaders put them, go around the
/// value; elsewhere they stay where they are, and only a value has them.
fn parameter(word: &str) -> Option<Line> {
    let (word, is_quoted) = match word.strip_prefix('"') {
        Some(word) => (word, true),
        None => (word, false),
    };
    let (name, rest) = word.split_once('.')?;
    let (param, value) = match rest.split_once('=') {
        Some((param, value)) => (param, Some(value)),
        None => (rest, None),
    };
    let is_odd = |c: char| c.is_ascii_whitespace() || ['"', '=', '.'].contains(&c);
    let is_for_modprobe = name == "modprobe" && param == "blacklist";
    if name.contains(is_odd) || param.contains(is_odd) || is_for_modprobe {
        return None;
    }
    let value = match value {
        Some(value) if is_quoted => format!("{param}=\"{value}"),
        Some(value) => format!("{param}={value}"),
        None => param.to_owned(),
    };
    Some(Line { key: "options", name: ModuleName::new(name), value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::module;

    #[test]
    fn the_command_line_has_parameters_of_modules() {
        let options = |words: &str, name: &str| {
            let config = ModprobeConfig::default().with_file("options a-b z=0\n");
            config.with_command_line(words).options(&ModuleName::new(name))
        };
        assert_eq!(options("quiet a_b.x=1 a-b.y root=/dev/vda1.x=2", "a-b"), "z=0 x=1 y");
        assert_eq!(options("c.text=\"a b\" c.d", "c"), "text=\"a b\" d");
        assert_eq!(options("\"c.text=a b\" c.d", "c"), "text=\"a b\" d");
        assert_eq!(options("c.a.b=1 c\"x.y=1 \"c d.e=1\"", "c"), "");
        assert_eq!(options("c.x=1 c.y=\"open c.z=2", "c"), "x=1");
        assert_eq!(options("modprobe.blacklist=c,d", "modprobe"), "");
    }

    #[test]
    fn each_kind_of_line_is_for_the_modules_that_it_names() {
        let config = ModprobeConfig::default().with_file(
            "# alias a off\nalias zz a-b\nalias gone off\ninstall a_* \\\n/bin/true x\n\
             options a-b p=1\noptions * q=2\nsoftdep a-b pre: c\nblacklist a-b\n",
        );
        let mut with_own = module("a_b", &[], &[]);
        with_own.info.softdeps.push(b"post: c");
        let graph = Graph::new(vec![with_own, module("c", &[], &[])]);
        assert_eq!(config.lookup(&graph, "zz"), [0]);
        assert_eq!(config.lookup(&graph, "gone"), [0; 0]);
        assert_eq!(config.lookup(&graph, "a-b"), [0]);
        let name = ModuleName::new("a-b");
        assert_eq!(config.install_command(&name), Some("/bin/true x"));
        assert_eq!(config.options(&name), "p=1 q=2");
        assert_eq!(config.softdep(&graph, 0).unwrap().pre, [Text(b"c")]);
        assert_eq!(ModprobeConfig::default().softdep(&graph, 0).unwrap().post, [Text(b"c")]);
    }
}
