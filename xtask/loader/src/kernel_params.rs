//! The kernel's command line: its words, and those that decide over modules.
//!
//! The rules are those of `parse_args()` (`kernel/params.c`), `next_arg()` (`lib/cmdline.c`) and
//! of each word's own handler, as 6.1, 6.12 and 7.3 have them.

use crate::{kernel_facts::KernelFacts, taints::Taints};

/// `COMMAND_LINE_SIZE` of x86 (`arch/x86/include/asm/setup.h`), less the NUL.
const LINE_BYTES: usize = 2048 - 1;
/// The longest value of `param_set_charp()` (`kernel/params.c`).
pub(crate) const CHARP_MAX: usize = 1024;
/// `TAINT_FLAGS_MAX` (`include/linux/panic.h`).
const TAINT_FLAGS_MAX: u32 = (1 << 20) - 1;

/// A word of the command line, or of a module's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word before `=`.
    pub name: Vec<u8>,
    /// The word behind it; none without `=`.
    pub value: Option<Vec<u8>>,
}

impl Word {
    /// `true` if nothing after it is read.
    pub(crate) fn is_end(&self) -> bool {
        self.value.is_none() && self.name == b"--"
    }
}

/// `isspace()` (`lib/ctype.c`): ASCII's, and the no-break space of Latin-1.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0xa0)
}

/// `skip_spaces()` (`lib/string_helpers.c`).
pub(crate) fn skip_spaces(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len())..]
}

/// `next_arg()` (`lib/cmdline.c`): a space within quotes does not end a word; quotes around the
/// whole word, or around its value, are taken off.
pub(crate) fn next_arg(args: &[u8]) -> (Word, &[u8]) {
    let is_quoted = args.first() == Some(&b'"');
    let text = &args[usize::from(is_quoted)..];
    let mut in_quote = is_quoted;
    let mut equals = 0;
    let mut end = text.len();
    for (at, &byte) in text.iter().enumerate() {
        if is_space(byte) && !in_quote {
            end = at;
            break;
        }
        if byte == b'=' && equals == 0 {
            equals = at;
        }
        in_quote ^= byte == b'"';
    }
    let (mut word, rest) = text.split_at(end);
    let rest = skip_spaces(rest.get(1..).unwrap_or_default());
    let mut value_at = equals + 1;
    let value_is_quoted = equals > 0 && word.get(value_at) == Some(&b'"');
    if value_is_quoted {
        value_at += 1;
    }
    if is_quoted || value_is_quoted {
        word = word.strip_suffix(b"\"").unwrap_or(word);
    }
    if equals == 0 {
        return (Word { name: word.to_vec(), value: None }, rest);
    }
    let value = word.get(value_at..).unwrap_or_default().to_vec();
    (Word { name: word[..equals.min(word.len())].to_vec(), value: Some(value) }, rest)
}

/// The words of a kernel's command line that the kernel itself reads: those before `--`.
pub fn words(line: &[u8]) -> impl Iterator<Item = Word> {
    // The boot loader's C string.
    let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut rest = skip_spaces(&line[..line.len().min(LINE_BYTES)]);
    std::iter::from_fn(move || {
        let (word, after) = (!rest.is_empty()).then(|| next_arg(rest))?;
        rest = after;
        (!word.is_end()).then_some(word)
    })
}

/// `parameq()` (`kernel/params.c`): a dash is an underscore.
pub(crate) fn is_same_name(a: &[u8], b: &[u8]) -> bool {
    let plain = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
    a.iter().map(plain).eq(b.iter().map(plain))
}

/// `kstrtobool()` (`lib/kstrtox.c`); none for what is no truth value.
pub(crate) fn kstrtobool(text: &[u8], knows_enabled: bool) -> Option<bool> {
    match (text.first()?, text.get(1)) {
        (b'e' | b'E', _) if knows_enabled => Some(true),
        (b'd' | b'D', _) if knows_enabled => Some(false),
        (b'y' | b'Y' | b't' | b'T' | b'1', _) => Some(true),
        (b'n' | b'N' | b'f' | b'F' | b'0', _) => Some(false),
        (b'o' | b'O', Some(b'n' | b'N')) => Some(true),
        (b'o' | b'O', Some(b'f' | b'F')) => Some(false),
        _ => None,
    }
}

/// Returns what `sysctl.NAME=` or `sysctl/NAME=` sets, as a path below `/proc/sys`
/// (`process_sysctl_arg()`, `fs/proc/proc_sysctl.c`): a dot in it is a slash, and a dash is itself.
fn sysctl_path(name: &[u8]) -> Option<Vec<&[u8]>> {
    let is_slash = |byte: &u8| matches!(byte, b'.' | b'/');
    let path = name.strip_prefix(b"sysctl").filter(|path| path.first().is_some_and(is_slash))?;
    // A path that ends in a slash names a folder.
    let is_file = path.last().is_some_and(|last| !is_slash(last));
    is_file.then(|| path.split(is_slash).filter(|part| !part.is_empty()).collect())
}

/// A number as `proc_get_long()` reads it (`kernel/sysctl.c`): decimal, octal or hexadecimal by its
/// beginning, with a blank or nothing behind it.
fn sysctl_number(text: &[u8]) -> Option<u64> {
    const DIGITS_MAX: usize = 22 - 2;
    let text = skip_spaces(text);
    let (radix, prefix) = match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, 2),
        [b'0', ..] => (8, 0),
        _ => (10, 0),
    };
    let digits = &text[prefix..];
    let count = digits.iter().take_while(|&&b| char::from(b).is_digit(radix)).count();
    let ends = digits.get(count).is_none_or(|next| b" \t\n".contains(next));
    if count == 0 || prefix + count > DIGITS_MAX || !ends {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(&digits[..count]).ok()?, radix).ok()
}

/// `panic_on_taint_setup()` (`kernel/panic.c`): hexadecimal bits, and what they are for.
fn taint_bits(value: &[u8]) -> Option<Taints> {
    let digits = std::str::from_utf8(value.split(|&byte| byte == b',').next()?).ok()?;
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bits = u64::from_str_radix(digits, 16).ok().filter(|_| is_number)?;
    Some(known_taints(bits))
}

fn known_taints(bits: u64) -> Taints {
    Taints(u32::try_from(bits & u64::from(TAINT_FLAGS_MAX)).unwrap_or(0))
}

/// The parts of a list; nothing follows its last comma.
fn list(value: &[u8]) -> Vec<String> {
    let value = value.strip_suffix(b",").unwrap_or(value);
    let names = value.split(|&byte| byte == b',').filter(|_| !value.is_empty());
    names.map(|name| String::from_utf8_lossy(name).into()).collect()
}

impl KernelFacts {
    /// Takes the words of a kernel's command line that decide over modules.
    #[must_use]
    pub fn with_command_line(self, line: impl AsRef<[u8]>) -> Self {
        let is_read = !self.options.fixed_command_line;
        self.with_own_command_line(if is_read { line.as_ref() } else { b"" })
    }

    /// Takes the words that the kernel was built with.
    pub(crate) fn with_own_command_line(mut self, line: impl AsRef<[u8]>) -> Self {
        let mut modules_disabled = false;
        for Word { name, value } in words(line.as_ref()) {
            self.take_parameter(&name, value.as_deref());
            let Some(value) = value else { continue };
            self.take_handler(&name, &value);
            let kernel = sysctl_path(&name).filter(|_| self.options.sysctl);
            match kernel.as_deref() {
                // `modules_disabled` may be set to 1 and to nothing else (`module_sysctl_table`,
                // `kernel/module/main.c`).
                Some([b"kernel", b"modules_disabled"]) => {
                    modules_disabled |= sysctl_number(&value) == Some(1);
                }
                // `proc_taint()` (`kernel/panic.c`) adds.
                Some([b"kernel", b"tainted"]) => {
                    self.boot_taints.add(known_taints(sysctl_number(&value).unwrap_or(0)));
                }
                _ => {}
            }
        }
        // These are set last (`do_sysctl_args()`).
        self.disabled |= modules_disabled;
        self
    }

    /// Sets a parameter of the kernel's own (`core_param()`, `module_param()`); one whose value is
    /// not understood stays as it is.
    fn take_parameter(&mut self, name: &[u8], value: Option<&[u8]>) {
        let knows_enabled = self.rules.enabled_is_true;
        // `param_set_bool()`: without a value it is true.
        let is_set = value.map_or(Some(true), |value| kstrtobool(value, knows_enabled));
        if is_same_name(name, b"module_blacklist") {
            // `param_set_charp()` has no meaning without a value.
            if let Some(value) = value.filter(|value| value.len() <= CHARP_MAX) {
                self.blacklist = list(value);
            }
        } else if is_same_name(name, b"module.sig_enforce") {
            // `param_set_bool_enable_only()`: what was set is not unset.
            self.signatures_enforced |= is_set == Some(true);
        } else if is_same_name(name, b"nomodule") {
            self.disabled = is_set.unwrap_or(self.disabled);
        }
    }

    /// Takes a word that has a handler (`early_param()`, `__setup()`).
    fn take_handler(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &str| is_same_name(name, known.as_bytes());
        if is("lockdown") {
            // `lockdown_param()` (`security/lockdown/lockdown.c`): a level is never lowered.
            let is_level = matches!(value, b"integrity" | b"confidentiality");
            self.locked_down |= self.options.lockdown && is_level;
        } else if is("lsm") {
            // `lsm_choose_lsm()` (`security/lsm_init.c`): the list stands in for CONFIG_LSM.
            let is_listed = list(value).iter().any(|name| name == "lockdown");
            self.lockdown_heeded = self.options.lockdown_early || is_listed;
        } else if is("initcall_blacklist") && self.options.kallsyms {
            // `initcall_blacklist()` (`init/main.c`).
            self.initcall_blacklist.extend(list(value));
        } else if is("panic_on_taint") {
            self.panic_on_taint = taint_bits(value).unwrap_or(self.panic_on_taint);
        } else if is("ima_policy") && self.options.ima_appraise {
            // `policy_setup()` (`security/integrity/ima/ima_policy.c`).
            let mut rules = value.split(|byte| b" |\n".contains(byte));
            self.ima_appraises |= rules.any(|r| matches!(r, b"secure_boot" | b"appraise_tcb"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lossy(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn words_are_cut_as_the_kernel_does() {
        let words = |args: &str| {
            let (word, rest) = next_arg(args.as_bytes());
            (lossy(&word.name), word.value.map(|value| lossy(&value)), lossy(rest))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(words("a=1 b"), ("a".into(), some("1"), "b".into()));
        assert_eq!(words("a=\"x y\" b"), ("a".into(), some("x y"), "b".into()));
        assert_eq!(words("\"a=x y\" b"), ("a".into(), some("x y"), "b".into()));
        assert_eq!(words("flag  "), ("flag".into(), None, String::new()));
        assert_eq!(words("\"\""), (String::new(), None, String::new()));
        assert_eq!(words("a=\""), ("a".into(), some(""), String::new()));
        assert_eq!(words("a=1\u{b}b"), ("a".into(), some("1"), "b".into()));
        // The second byte of à is 0xa0, a space of Latin-1.
        let (word, rest) = next_arg("a=à b".as_bytes());
        assert_eq!((word.value, rest), (Some(vec![0xc3]), &b"b"[..]));
    }

    /// The words of a line as C cuts them: in its place, by writing NULs.
    fn cut_in_place(line: &[u8]) -> Vec<Word> {
        let mut text = [line, b"\0\0"].concat();
        let string = |text: &[u8], at: usize| {
            text[at..].iter().take_while(|&&byte| byte != 0).copied().collect::<Vec<u8>>()
        };
        let blanks = |text: &[u8], at: usize| {
            at + text[at..].iter().take_while(|&&byte| is_space(byte)).count()
        };
        let (mut at, mut words) = (blanks(&text, 0), Vec::new());
        while text[at] != 0 {
            let quoted = text[at] == b'"';
            at += usize::from(quoted);
            let (mut inside, mut equals, mut end) = (quoted, None, at);
            while text[end] != 0 && (inside || !is_space(text[end])) {
                if text[end] == b'=' && end > at && equals.is_none() {
                    equals = Some(end);
                }
                inside ^= text[end] == b'"';
                end += 1;
            }
            let ends_in_quote = |text: &[u8]| end > at && text[end - 1] == b'"';
            let mut value = None;
            if let Some(equals) = equals {
                text[equals] = 0;
                value = Some(equals + 1);
                if text[equals + 1] == b'"' {
                    value = Some(equals + 2);
                    if ends_in_quote(&text) {
                        text[end - 1] = 0;
                    }
                }
            }
            if quoted && ends_in_quote(&text) {
                text[end - 1] = 0;
            }
            let next = end + usize::from(text[end] != 0);
            text[end] = 0;
            let name = string(&text, at);
            words.push(Word { name, value: value.map(|value| string(&text, value)) });
            at = blanks(&text, next);
        }
        words
    }

    proptest! {
        #[test]
        fn lines_of_quotes_and_blanks_are_cut_as_in_place(line in "[a=\"\\- \t.]{0,24}") {
            let all = cut_in_place(line.as_bytes());
            let before_end = all.into_iter().take_while(|word| !word.is_end());
            let wanted: Vec<Word> = before_end.collect();
            prop_assert_eq!(words(line.as_bytes()).collect::<Vec<_>>(), wanted);
        }
    }

    const CONFIG: &str = "CONFIG_SECURITY_LOCKDOWN_LSM=y\nCONFIG_SYSCTL=y\nCONFIG_KALLSYMS=y\n\
                          CONFIG_IMA_APPRAISE=y\n";

    fn with(line: &str) -> KernelFacts {
        KernelFacts::new("7.3.4", CONFIG).unwrap().with_command_line(line)
    }

    #[test]
    fn the_command_line_decides() {
        let words = "quiet module_blacklist=a,b module.sig_enforce lockdown=integrity";
        let kernel = with(words);
        assert_eq!(kernel.blacklist, ["a", "b"]);
        assert!(kernel.signatures_enforced && kernel.is_locked_down() && !kernel.disabled);
        // A word that is no option of the kernel's own does nothing.
        let other = KernelFacts::new("7.3.4", "").unwrap().with_command_line(words);
        assert!(!other.is_locked_down());
        // A truth value is the kernel's, and neither enforcement nor lockdown is ever taken back.
        assert!(!with("module.sig_enforce=off").signatures_enforced);
        assert!(!with("module.sig_enforce=maybe").signatures_enforced);
        assert!(with("module.sig_enforce=on module.sig_enforce=0").signatures_enforced);
        assert!(with("module.sig-enforce").signatures_enforced);
        assert!(with("lockdown=integrity lockdown=none").is_locked_down());
        assert!(with("nomodule").disabled && with("nomodule=1").disabled);
        assert!(!with("nomodule=0").disabled && !with("nomodule nomodule=off").disabled);
    }

    #[test]
    fn a_blacklist_is_the_last_that_has_a_value() {
        let blacklist = |line: &str| with(line).blacklist;
        assert_eq!(blacklist("module_blacklist=\"a b\""), ["a b"]);
        assert_eq!(blacklist("\"module-blacklist=a,b\""), ["a", "b"]);
        assert_eq!(blacklist("module_blacklist=a module_blacklist"), ["a"]);
        assert_eq!(blacklist("module_blacklist=a module_blacklist=b"), ["b"]);
        assert!(blacklist("module_blacklist=a module_blacklist=").is_empty());
        assert_eq!(blacklist("module_blacklist=,a,"), ["", "a"]);
        assert!(blacklist("quiet -- module_blacklist=a").is_empty());
        assert!(blacklist("modprobe.blacklist=a xmodule_blacklist=a").is_empty());
        let long = format!("module_blacklist={}", "a".repeat(CHARP_MAX + 1));
        assert!(blacklist(&long).is_empty());
        // The kernel's copy of the line is cut at its limit.
        assert!(blacklist(&format!("{} module_blacklist=a", "x".repeat(LINE_BYTES))).is_empty());
    }

    #[test]
    fn a_sysctl_is_a_path_and_a_number() {
        let is_disabled = |line: &str| with(line).disabled;
        for line in [
            "sysctl.kernel.modules_disabled=1",
            "sysctl/kernel/modules_disabled=01",
            "\"sysctl.kernel/modules_disabled= 0x1 2\"",
            "nomodule=0 sysctl.kernel.modules_disabled=1 nomodule=0",
        ] {
            assert!(is_disabled(line), "{line}");
        }
        for line in [
            "sysctl.kernel.modules-disabled=1",
            "sysctl.kernel.modules_disabled",
            "sysctl.kernel.modules_disabled=",
            "sysctl.kernel.modules_disabled=0",
            "sysctl.kernel.modules_disabled=1x",
            "sysctl.kernel.modules_disabled.=1",
            "sysctl_kernel.modules_disabled=1",
            "-- sysctl.kernel.modules_disabled=1",
        ] {
            assert!(!is_disabled(line), "{line}");
        }
        assert_eq!(with("sysctl.kernel.tainted=0x1000").boot_taints, Taints::OUT_OF_TREE);
    }

    #[test]
    fn lockdown_is_heeded_where_it_is_among_the_security_modules() {
        assert!(!with("lsm=landlock,yama lockdown=integrity").is_locked_down());
        assert!(with("lsm=yama,lockdown lockdown=integrity").is_locked_down());
        let early = format!("{CONFIG}CONFIG_SECURITY_LOCKDOWN_LSM_EARLY=y\n");
        let early = KernelFacts::new("7.3.4", &early).unwrap();
        assert!(early.with_command_line("lsm=yama lockdown=integrity").is_locked_down());
        let without = format!("{CONFIG}CONFIG_LSM=\"yama,landlock\"\n");
        let without = KernelFacts::new("7.3.4", &without).unwrap();
        assert!(!without.with_command_line("lockdown=integrity").is_locked_down());
    }

    #[test]
    fn a_kernel_has_words_of_its_own() {
        let built_in = |more: &str| {
            let config =
                format!("{CONFIG}CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"nomodule\"\n{more}");
            KernelFacts::new("7.3.4", &config).unwrap()
        };
        assert!(built_in("").disabled);
        assert!(!built_in("").with_command_line("nomodule=0").disabled);
        let fixed = built_in("CONFIG_CMDLINE_OVERRIDE=y\n");
        assert!(fixed.with_command_line("nomodule=0").disabled);
    }

    #[test]
    fn a_truth_value_may_be_a_word_in_newer_kernels() {
        assert_eq!(kstrtobool(b"enabled", true), Some(true));
        assert_eq!(kstrtobool(b"Disabled", true), Some(false));
        assert_eq!(kstrtobool(b"enabled", false), None);
        assert_eq!((kstrtobool(b"on", false), kstrtobool(b"of", false)), (Some(true), Some(false)));
        assert_eq!((kstrtobool(b"o", true), kstrtobool(b"", true)), (None, None));
    }

    #[test]
    fn taints_and_policies_that_end_a_load_are_known() {
        assert_eq!(with("panic_on_taint=1000").panic_on_taint, Taints::OUT_OF_TREE);
        assert_eq!(with("panic-on-taint=0x3000,nousertaint").panic_on_taint.0, 0x3000);
        assert_eq!(with("panic_on_taint=xyz").panic_on_taint.0, 0);
        assert!(with("ima_policy=tcb|secure_boot").ima_appraises);
        assert!(!with("ima_policy=tcb").ima_appraises);
        assert_eq!(with("initcall_blacklist=a,b").initcall_blacklist, ["a", "b"]);
    }
}
