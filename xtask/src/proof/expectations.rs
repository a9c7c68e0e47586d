//! A stack's own words about its proof: `symstack.toml`, beside its Kbuild.
//!
//! Whoever wrote it is a stranger. It is small, no link leads to it, and what it asks for ends in
//! the guest: kernels by their names and no folders, words for modprobe and for the guest's shell.

use std::{collections::BTreeMap, path::Path};

use ko::text::{Name, is_command};
use loader::errno::Errno;
use serde::Deserialize;
use stack::module_name::underscored;

use super::point::{Answered, Point, Subject};
use crate::{
    build::Stack,
    guest::{
        console::Allowed,
        device::{Device, MODELS},
    },
    host::beneath::Folder,
    kernel::KernelName,
    printer::Shown as _,
    problem::{OrProblem, Problem, Result},
};

/// The file.
pub const FILE: &str = "symstack.toml";
/// Its largest size: each of its words fits into a frame of the agent's.
const BYTES_MAX: u64 = 16 << 10;
/// The largest number of kernels. Each may have to be fetched and prepared.
const KERNELS_MAX: usize = 8;
/// The largest number of devices, which have a slot each on one bus of 32.
const DEVICES_MAX: usize = 8;
/// The similarity from which on a name is told as the one that was meant, as clap has it.
const SIMILAR: f64 = 0.7;
/// The next step where an error has none of its own.
const HINT: &str = "README.md of symstack, \"What a stack may expect\", shows every key";
/// The begin of an error that has a hint, which a line's end parts from it.
const OURS: char = '\n';

/// All that a stack expects of its proof. None of it is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// `true` if there is a file.
    #[serde(skip)]
    pub stated: bool,
    kernels: Vec<Listed>,
    run: Option<Line>,
    devices: Vec<Added>,
    modules: BTreeMap<String, OfModule>,
    log: Vec<Complaint>,
}

/// Its expectations of one module.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OfModule {
    parameters: Vec<Parameter>,
    errno: Option<OfInit>,
}

/// A complaint of the kernel's that the log may have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Complaint {
    /// A text in its line.
    has: Line,
    reason: Line,
}

/// A kernel of the table. A folder would have its own scripts run.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Listed(KernelName);

/// A device of QEMU's, of a list that reaches nothing of the host.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Added(Device);

/// A line of text.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Line(String);

/// A module's parameter as modprobe takes it: `NAME` or `NAME=VALUE`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Parameter(String);

/// An error that an init may return to a program.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct OfInit(Errno);

impl Expectations {
    /// Reads a stack's expectations; without the file there are none.
    ///
    /// # Errors
    /// It is no small regular file, or something in it is not understood.
    pub fn of(stack: &Stack) -> Result<Self> {
        let path = stack.path(FILE);
        if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        {
            return Ok(Self::default());
        }
        let folder = path.parent().unwrap_or(&path);
        let read = || Folder::open(folder)?.read(Path::new(FILE), BYTES_MAX);
        let hint = "it is a file of at most 16 KiB, and no link";
        let read = read().or_usage(|| format!("{} cannot be read", path.shown()));
        let content = read.map_err(|problem| problem.hint(hint))?;
        let of_file = |problem: Problem| Problem {
            fact: format!("{}{}", path.shown(), problem.fact),
            ..problem
        };
        Ok(Self { stated: true, ..Self::parse(&content.bytes).map_err(of_file)? })
    }

    /// The expectations in a text. What is wrong with it is told as of a file's name before it.
    fn parse(text: &[u8]) -> Result<Self> {
        let wrong = |at: Option<usize>, fact: &str, hint: &str| {
            let line = at.map(|at| text[..at.min(text.len())].split(|b| *b == b'\n').count());
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            Problem::usage(format!("{line}: {fact}")).hint(hint)
        };
        let utf8 = std::str::from_utf8(text);
        let utf8 = utf8.map_err(|error| wrong(Some(error.valid_up_to()), "no UTF-8", HINT))?;
        let expectations: Self = toml::from_str(utf8).map_err(|error| {
            let (fact, hint) = in_our_words(error.message());
            wrong(error.span().map(|span| span.start), &fact, &hint)
        })?;
        if expectations.kernels.len() > KERNELS_MAX {
            let fact = format!("kernels: it names more than {KERNELS_MAX}");
            return Err(wrong(None, &fact, "name others on the command line: --kernel K"));
        }
        if expectations.devices.len() > DEVICES_MAX {
            let fact = format!("devices: it names more than {DEVICES_MAX}");
            return Err(wrong(None, &fact, "name those that the modules drive"));
        }
        let mut names: Vec<String> = expectations.modules.keys().map(|n| underscored(n)).collect();
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            let fact = format!("modules: no module has the name `{}`", shown(name));
            return Err(wrong(None, &fact, "name it as lsmod does"));
        }
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let fact = format!("modules: `{}` is there twice, with - and with _", pair[0]);
            return Err(wrong(None, &fact, "keep one of them"));
        }
        Ok(expectations)
    }

    /// The kernels to prove it on where none is named.
    pub fn kernels(&self) -> Vec<KernelName> {
        self.kernels.iter().map(|Listed(name)| name.clone()).collect()
    }

    /// The line for the guest's shell where none is given.
    pub fn run(&self) -> Option<&str> {
        self.run.as_ref().map(|Line(line)| line.as_str())
    }

    /// The expectations of one module.
    pub(super) fn of_module(&self, name: &str) -> Option<&OfModule> {
        self.modules.iter().find(|(key, _)| underscored(key) == name).map(|(_, module)| module)
    }

    /// The devices to add to the guest.
    pub(super) fn devices(&self) -> impl Iterator<Item = Device> {
        self.devices.iter().map(|Added(device)| *device)
    }

    /// The complaints that do not count.
    pub(super) fn log(&self) -> Vec<Allowed> {
        let allowed = |Complaint { has: Line(has), reason: Line(reason) }: &Complaint| Allowed {
            begins: String::new(),
            has: has.clone(),
            reason: reason.clone(),
        };
        self.log.iter().map(allowed).collect()
    }

    /// A question for each module that it names and that is not built: such a module holds nowhere.
    pub(super) fn not_built(&self, built: &[&str]) -> Vec<Point> {
        let names = self.modules.keys().map(|name| underscored(name));
        let absent = names.filter(|name| !built.contains(&name.as_str()));
        let point = |name: String| {
            let meant = nearest(&name, built.iter().copied());
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            let reason = format!("{FILE} names it, and this build makes no such module{meant}");
            Point::new(Subject::Check(name), Answered::fails("not built", reason))
        };
        absent.map(point).collect()
    }
}

impl OfModule {
    /// The words for modprobe after its name.
    pub(super) fn parameters(&self) -> Vec<String> {
        self.parameters.iter().map(|Parameter(word)| word.clone()).collect()
    }

    /// The same as the kernel is given them: modprobe quotes a value with blanks
    /// (kmod 34, tools/modprobe.c:options_from_array).
    pub(super) fn arguments(&self) -> String {
        let quoted = |Parameter(word): &Parameter| match word.split_once('=') {
            Some((name, value)) if value.contains(' ') => format!("{name}=\"{value}\""),
            _ => word.clone(),
        };
        self.parameters.iter().map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// The error that its init must return.
    pub(super) fn errno(&self) -> Option<Errno> {
        self.errno.map(|OfInit(errno)| errno)
    }
}

/// The words of a TOML error, and what to do about it. Ours have both, and begin as no other does:
/// the rest may hold any text of the file.
fn in_our_words(message: &str) -> (String, String) {
    if let Some((fact, hint)) = message.strip_prefix(OURS).and_then(|ours| ours.split_once('\n')) {
        return (fact.into(), hint.into());
    }
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| {
        // The key is the file's, and may hold anything.
        rest.rsplit_once("`, expected ")
    });
    let Some((key, known)) = unknown else { return (shown(message), HINT.into()) };
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let hint = match nearest(key, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("its keys are {}", known.join(", ")),
    };
    (format!("unknown key `{}`", shown(key)), hint)
}

/// An error of ours: the fact, and what to do about it.
fn refused<T>(fact: String, hint: &str) -> Result<T, String> {
    Err(format!("{OURS}{fact}\n{hint}"))
}

/// The name that was meant, where one is like it.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let measured = known.map(|known| (strsim::jaro(name, known), known));
    let alike = measured.filter(|(similarity, _)| *similarity > SIMILAR);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

/// A text of the file in a sentence: its begin, as one word of a line.
fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let begin: String = text.chars().take(CHARACTERS_MAX).collect();
    let rest = if begin.len() < text.len() { "…" } else { "" };
    format!("{}{rest}", Name(begin.as_bytes()))
}

/// `true` for the name of a module or of a parameter: none is an option of modprobe's.
fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || "-.".contains(c))
}

impl TryFrom<String> for Listed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse() {
            Ok(name @ KernelName::Listed(..)) => Ok(Self(name)),
            _ => refused(
                format!("no kernel of the archive has the name `{}`", shown(&text)),
                "`symstack kernels` lists them; --kernel DIR names a folder, and only there",
            ),
        }
    }
}

impl TryFrom<String> for Added {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(device) = Device::of_model(&text) {
            return Ok(Self(device));
        }
        let hint = match nearest(&text, MODELS.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`? A device is named without options"),
            None => format!("those that reach nothing of this machine are {}", MODELS.join(", ")),
        };
        refused(format!("no guest may have the device `{}`", shown(&text)), &hint)
    }
}

impl TryFrom<String> for Line {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() || text.contains(is_command) {
            let fact = format!("`{}` is no line of text", shown(&text));
            return refused(fact, "write one line, without characters that command a terminal");
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for Parameter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.split('=').next().unwrap_or_default();
        // Beyond ASCII the kernel takes a byte 0xa0 for a blank (lib/ctype.c).
        let is_plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\'');
        if is_name(name) && text.chars().all(is_plain) {
            return Ok(Self(text));
        }
        refused(
            format!("`{}` is no parameter for modprobe", shown(&text)),
            "write NAME or NAME=VALUE, in printable ASCII without quotes: modprobe quotes blanks",
        )
    }
}

impl TryFrom<String> for OfInit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some(errno) = Errno::named(&text) else {
            let names: Vec<String> = Errno::ALL.iter().map(ToString::to_string).collect();
            let hint = match nearest(&text, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name it as errno(3) does, for example ENODEV".into(),
            };
            return refused(format!("no error has the name `{}`", shown(&text)), &hint);
        };
        // Beyond them are those of include/linux/errno.h, which a program should not see.
        if errno > Errno::EHWPOISON {
            let fact = format!("{errno} is the kernel's own, and no error of an init's");
            return refused(fact, "name it as errno(3) does, for example EOPNOTSUPP");
        }
        Ok(Self(errno))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::build::project;

    fn parsed(text: &str) -> Expectations {
        Expectations::parse(text.as_bytes()).unwrap()
    }

    /// The refusal in two lines.
    fn refused(text: &str) -> String {
        Expectations::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn each_key_says_what_it_is_for() {
        let all = parsed(
            "kernels = [\"stock\", \"stable\"]\nrun = \"cat /dev/a\"\n[modules.a-b]\n\
             parameters = [\"start=40\", \"label=two words\", \"quiet\"]\nerrno = \"ENODEV\"\n",
        );
        assert_eq!(all.kernels(), [KernelName::STOCK, KernelName::STABLE]);
        assert_eq!(all.run(), Some("cat /dev/a"));
        let module = all.of_module("a_b").unwrap();
        assert_eq!(module.parameters(), ["start=40", "label=two words", "quiet"]);
        assert_eq!(module.arguments(), "start=40 label=\"two words\" quiet");
        assert_eq!(module.errno(), Some(Errno::ENODEV));
        let none = parsed("# nothing\n");
        assert!(none.kernels().is_empty() && none.run().is_none());
        assert!(none.of_module("a").is_none() && none.not_built(&[]).is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
        let said = refused("run = \"true\"\nkernel = [\"stock\"]\n");
        assert_eq!(said, ":2: unknown key `kernel`\nhint: did you mean `kernels`?");
        let said = refused("[modules.a]\nparamters = []\n");
        assert_eq!(said, ":2: unknown key `paramters`\nhint: did you mean `parameters`?");
        let said = refused("\"x`, expected `\\n\" = 1\n");
        assert!(
            said.starts_with(":1: unknown key `x`, expected `\\n`\nhint: its keys are "),
            "{said}"
        );
        assert_eq!(said.lines().count(), 2);
    }

    #[test]
    fn a_value_that_reaches_beyond_the_guest_or_is_no_such_thing_is_refused() {
        let cases = [
            ("kernels = [\"/\"]", ":1: no kernel of the archive has the name `/`"),
            ("kernels = [\"..\"]", "no kernel of the archive"),
            ("kernels = [\"stock:\"]", "no kernel of the archive"),
            ("kernels = \"stock\"", ":1: invalid type: string"),
            (
                "devices = [\"vfio-pci,host=01:00.0\"]",
                ":1: no guest may have the device `vfio-pci,",
            ),
            ("devices = [\"edu,addr=5\"]", "hint: did you mean `edu`? A device is named without"),
            ("devices = [\"e1000\\n-netdev\"]", "the device `e1000\\n-netdev`"),
            ("devices = [\"-edu\"]", "hint: did you mean `edu`?"),
            ("devices = [\"\"]", "hint: those that reach nothing of this machine are edu, "),
            ("run = \"a\\u0000b\"", "`a\\u{0}b` is no line of text"),
            ("run = \"a\\nb\"", "is no line of text"),
            ("run = \" \"", "is no line of text"),
            ("[modules.a]\nparameters = [\"-r\"]", ":2: `-r` is no parameter for modprobe"),
            ("[modules.a]\nparameters = [\"--\"]", "is no parameter"),
            ("[modules.a]\nparameters = [\"a=\\u0000-C\"]", "is no parameter"),
            ("[modules.a]\nparameters = [\"a=\\\"b\"]", "is no parameter"),
            ("[modules.a]\nparameters = [\"a=\u{a0}b\"]", "is no parameter"),
            ("[[log]]\nhas = \"\"\nreason = \"b\"", ":2: `` is no line of text"),
            ("[[log]]\nhas = \"a\"", ":1: missing field `reason`"),
            ("[[log]]\nhas = \"a\"\nreasons = \"b\"", "hint: did you mean `reason`?"),
            ("[modules.a]\nerrno = \"EFOO\"", "no error has the name `EFOO`"),
            ("[modules.a]\nerrno = \"ENODEW\"", "hint: did you mean `ENODEV`?"),
            ("[modules.a]\nerrno = \"ENOTSUPP\"", "ENOTSUPP is the kernel's own"),
            ("[modules.a]\nerrno = 19", ":2: invalid type: integer"),
            ("[modules.\"\\u001b[2J\"]\n", "no module has the name `\\u{1b}[2J`"),
            ("[modules.a-b]\n[modules.a_b]\n", "`a_b` is there twice"),
        ];
        for (text, says) in cases {
            let said = refused(text);
            assert!(said.contains(says), "{text}: {said}");
            assert!(said.contains("\nhint: ") && said.lines().count() == 2, "{text}: {said}");
        }
        let many = format!("kernels = [{}]", "\"stock\", ".repeat(KERNELS_MAX + 1));
        assert!(refused(&many).contains("more than 8"), "{}", refused(&many));
        let many = format!("devices = [{}]", "\"edu\", ".repeat(DEVICES_MAX + 1));
        assert!(refused(&many).contains("more than 8"), "{}", refused(&many));
        let deep = format!("run = {}", "[".repeat(BYTES_MAX as usize - 6));
        assert!(refused(&deep).starts_with(":1: "));
        let no_text = Expectations::parse(b"run = \"\xff\"").unwrap_err();
        assert_eq!(no_text.first_line(), ":1: no UTF-8");
    }

    #[test]
    fn the_file_is_a_small_regular_one_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(folder.path().join("Kbuild"), "obj-m := a.o\n").unwrap();
        let stack = Stack::in_folder(folder.path()).unwrap();
        assert!(!Expectations::of(&stack).unwrap().stated);
        fs::write(&path, "run = \"true\"\n").unwrap();
        let stated = Expectations::of(&stack).unwrap();
        assert!(stated.stated && stated.run() == Some("true"));
        let refused = |what: &str| {
            let problem = Expectations::of(&stack).unwrap_err();
            assert!(problem.fact.contains("/symstack.toml cannot be read"), "{what}: {problem}");
            assert!(problem.hint.is_some(), "{what}");
        };
        fs::write(&path, " ".repeat(BYTES_MAX as usize + 1)).unwrap();
        refused("too large");
        fs::rename(&path, folder.path().join("beside")).unwrap();
        for to in ["beside", "gone", "/etc/passwd"] {
            symlink(to, &path).unwrap();
            refused(to);
            fs::remove_file(&path).unwrap();
        }
        fs::create_dir(&path).unwrap();
        refused("a folder");
    }

    #[test]
    fn the_example_of_the_first_page_has_every_key() {
        let page = fs::read_to_string(project().join("README.md")).unwrap();
        let (_, rest) = page.split_once("```toml\n").expect("an example");
        let (example, _) = rest.split_once("```").unwrap();
        let all = parsed(example);
        assert!(!all.kernels.is_empty() && all.run.is_some() && !all.log.is_empty(), "{all:?}");
        assert!(!all.devices.is_empty());
        let modules = || all.modules.values();
        assert!(
            modules().any(|m| !m.parameters.is_empty()) && modules().any(|m| m.errno.is_some())
        );
    }
}
