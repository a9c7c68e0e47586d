//! The parameters (`parse_args()`, `kernel/params.c`).

use std::collections::{HashMap, HashSet};

use super::super::{
    errno::Errno,
    load_info::LoadInfo,
    raw_elf::{RELA_BYTES, Rela},
    taints::Taints,
    verdict::Finding,
};

/// `sizeof(struct kernel_param)` (`include/linux/moduleparam.h`).
const ENTRY_BYTES: u64 = 40;
/// Where its members stand.
const OPS_AT: u64 = 16;
const FLAGS_AT: u64 = 27;
/// `KERNEL_PARAM_FL_UNSAFE`.
const UNSAFE: u8 = 1;
/// `KERNEL_PARAM_FL_HWPARAM`.
const HARDWARE: u8 = 2;
const SHT_RELA: u32 = 4;

/// A parameter that the module takes.
struct Param {
    name: String,
    /// The `struct kernel_param_ops`, by its symbol.
    ops: String,
    flags: u8,
}

/// `parse_args()`: every word of the parameters in turn; the last error counts.
pub(super) fn params(load: &mut LoadInfo<'_>) -> Finding {
    let Some(known) = read(load) else {
        return Finding::unknown("its table of parameters cannot be followed");
    };
    let mut once = HashSet::new();
    let mut rest = load.request.args.trim_start();
    let mut failed: Option<(Errno, String)> = None;
    while !rest.is_empty() {
        let (word, after) = next_arg(rest);
        rest = after;
        if word.value.is_none() && word.name == "--" {
            // `err ?: args`: an error hides the words that were left over.
            if failed.is_none() {
                let line = format!("{}: parameters '{rest}' after `--' ignored", load.name);
                load.say(line);
            }
            break;
        }
        let shown = word.value.clone().unwrap_or_default();
        let errno = match parse_one(load, &word, &known, &mut once) {
            Set::Done => continue,
            Set::Failed(errno) => errno,
            Set::Unknown(reason) => return Finding::unknown(reason),
        };
        let what = if errno == Errno::ENOSPC { "too large" } else { "invalid" };
        let line = format!("{}: `{shown}' {what} for parameter `{}'", load.name, word.name);
        load.say(line);
        failed = Some((errno, format!("{}={shown}", word.name)));
    }
    match failed {
        None => Finding::pass(),
        Some((errno, have)) => {
            Finding::fail(errno).want("values that the parameters take").have(have)
        }
    }
}

/// A word of the parameters.
struct Word {
    name: String,
    value: Option<String>,
}

/// `next_arg()` (`lib/cmdline.c`).
fn next_arg(args: &str) -> (Word, &str) {
    let unquoted = args.strip_prefix('"');
    let text = unquoted.unwrap_or(args);
    let mut in_quote = unquoted.is_some();
    let mut equals = None;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        if c.is_ascii_whitespace() && !in_quote {
            end = at;
            break;
        }
        if c == '=' && at > 0 && equals.is_none() {
            equals = Some(at);
        }
        if c == '"' {
            in_quote = !in_quote;
        }
    }
    let (word, rest) = text.split_at(end);
    let word = match (unquoted.is_some(), word.strip_suffix('"')) {
        (true, Some(word)) if !word.is_empty() => word,
        _ => word,
    };
    let word = match equals {
        None => Word { name: word.into(), value: None },
        Some(at) => {
            let value = word.get(at + 1..).unwrap_or_default();
            let value = match value.strip_prefix('"') {
                Some(value) => value.strip_suffix('"').unwrap_or(value),
                None => value,
            };
            Word { name: word[..at].into(), value: Some(value.into()) }
        }
    };
    (word, rest.trim_start())
}

/// What became of one parameter.
enum Set {
    Done,
    Failed(Errno),
    Unknown(String),
}

/// `parse_one()`.
fn parse_one(
    load: &mut LoadInfo<'_>,
    word: &Word,
    known: &[Param],
    once: &mut HashSet<String>,
) -> Set {
    let dashless = |name: &str| name.replace('-', "_");
    let found = known.iter().find(|param| dashless(&param.name) == dashless(&word.name));
    let Some(param) = found else { return unknown(load, word) };
    let without_value = ["param_ops_bool", "param_ops_bool_enable_only", "param_ops_bint"];
    if word.value.is_none() && !without_value.contains(&param.ops.as_str()) {
        return match param.ops.starts_with("param_ops_") || is_rust(&param.ops) {
            true => Set::Failed(Errno::EINVAL),
            false => Set::Unknown(format!("{} is set by code of its own", param.name)),
        };
    }
    if param.flags & HARDWARE != 0 && load.kernel.locked_down {
        return Set::Failed(Errno::EPERM);
    }
    if param.flags & UNSAFE != 0 {
        let line = format!("Setting dangerous option {} - tainting kernel", param.name);
        load.say(line);
        load.state.taints.add(Taints(1 << 6));
    }
    let value = word.value.as_deref();
    match is_rust(&param.ops) {
        true => set_rust(param, value.unwrap_or_default(), once),
        false => set(load, param, value),
    }
}

/// `unknown_module_param_cb()`.
fn unknown(load: &mut LoadInfo<'_>, word: &Word) -> Set {
    if word.name == "dyndbg" {
        // `ddebug_dyndbg_module_param_cb()` (`include/linux/dynamic_debug.h`).
        if !load.kernel.options.dynamic_debug {
            load.say("dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds".into());
        }
    } else if word.name != "async_probe" {
        let line = format!("{}: unknown parameter '{}' ignored", load.name, word.name);
        load.say(line);
    }
    Set::Done
}

/// The `set` of the kernel's own types.
fn set(load: &mut LoadInfo<'_>, param: &Param, value: Option<&str>) -> Set {
    let text = value.unwrap_or_default();
    let number = |min: i128, max: i128| match kstrto(text, min, max) {
        Ok(()) => Set::Done,
        Err(errno) => Set::Failed(errno),
    };
    match param.ops.as_str() {
        "param_ops_byte" => number(0, u8::MAX.into()),
        "param_ops_short" => number(i16::MIN.into(), i16::MAX.into()),
        "param_ops_ushort" => number(0, u16::MAX.into()),
        "param_ops_int" => number(i32::MIN.into(), i32::MAX.into()),
        "param_ops_uint" | "param_ops_hexint" => number(0, u32::MAX.into()),
        "param_ops_long" => number(i64::MIN.into(), i64::MAX.into()),
        "param_ops_ulong" | "param_ops_ullong" => number(0, u64::MAX.into()),
        "param_ops_bool" | "param_ops_bint" | "param_ops_invbool" => match value.map(is_bool) {
            None | Some(true) => Set::Done,
            Some(false) => Set::Failed(Errno::EINVAL),
        },
        "param_ops_charp" if text.len() > CHARP_MAX => {
            load.say(format!("{}: string parameter too long", param.name));
            Set::Failed(Errno::ENOSPC)
        }
        "param_ops_charp" => Set::Done,
        _ => Set::Unknown(format!("{} is set by code of its own", param.name)),
    }
}

/// The longest value of `param_set_charp()`.
const CHARP_MAX: usize = 1024;

/// `kstrtobool()` (`lib/kstrtox.c`).
fn is_bool(text: &str) -> bool {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), _) if "eEyYtT1dDnNfF0".contains(c) => true,
        (Some('o' | 'O'), Some(c)) => "nNfF".contains(c),
        _ => false,
    }
}

/// `kstrtoull()` and its like (`lib/kstrtox.c`), with the bounds of the type.
fn kstrto(text: &str, min: i128, max: i128) -> Result<(), Errno> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) if min < 0 => (true, rest),
        _ => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, &digits[2..]),
        [b'0', ..] => (8, digits),
        _ => (10, digits),
    };
    let digits = digits.strip_suffix('\n').unwrap_or(digits);
    let count = digits.bytes().take_while(|&b| (b as char).is_digit(radix)).count();
    let number = digits[..count].chars().try_fold(0i128, |number, digit| {
        let digit = i128::from(digit.to_digit(radix)?);
        let number = number.checked_mul(radix.into())?.checked_add(digit)?;
        (number <= u64::MAX.into()).then_some(number)
    });
    let Some(number) = number else { return Err(Errno::ERANGE) };
    if count == 0 || count < digits.len() {
        return Err(Errno::EINVAL);
    }
    let number = if negative { -number } else { number };
    if number < min || number > max { Err(Errno::ERANGE) } else { Ok(()) }
}

fn is_rust(ops: &str) -> bool {
    ops.starts_with("_R") && ops.contains("PARAM_OPS_")
}

/// `set_param()` (`rust/kernel/module_param.rs`): a number that fits, and once.
fn set_rust(param: &Param, text: &str, once: &mut HashSet<String>) -> Set {
    let bounds = |name: &str| -> Option<(i128, i128)> {
        Some(match name {
            "I8" => (i8::MIN.into(), i8::MAX.into()),
            "U8" => (0, u8::MAX.into()),
            "I16" => (i16::MIN.into(), i16::MAX.into()),
            "U16" => (0, u16::MAX.into()),
            "I32" => (i32::MIN.into(), i32::MAX.into()),
            "U32" => (0, u32::MAX.into()),
            "I64" | "ISIZE" => (i64::MIN.into(), i64::MAX.into()),
            "U64" | "USIZE" => (0, u64::MAX.into()),
            _ => return None,
        })
    };
    let kind = param.ops.rsplit("PARAM_OPS_").next().unwrap_or_default();
    let Some((min, max)) = bounds(kind) else {
        return Set::Unknown(format!("{} is of a type that is not modelled", param.name));
    };
    if rust_number(text).is_none_or(|number| number < min || number > max) {
        return Set::Failed(Errno::EINVAL);
    }
    match once.insert(param.name.clone()) {
        true => Set::Done,
        false => Set::Failed(Errno::EEXIST),
    }
}

/// `ParseInt::from_str()` (`rust/kernel/str/parse_int.rs`).
fn rust_number(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if digits.starts_with('-') {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// Reads `__param`; none when an entry of it does not say its name or type.
fn read(load: &LoadInfo<'_>) -> Option<Vec<Param>> {
    let Some(index) = load.find("__param") else { return Some(Vec::new()) };
    let section = load.sections[index];
    let mut places = HashMap::new();
    let tables =
        load.sections.iter().filter(|table| table.kind == SHT_RELA && table.info as usize == index);
    for table in tables {
        for entry in 0..table.size / RELA_BYTES {
            let rela = Rela::read(&load.bytes, table.offset + entry * RELA_BYTES);
            places.insert(rela.offset, rela);
        }
    }
    let read = |entry: u64| {
        let at = entry * ENTRY_BYTES;
        let (name, ops) = (places.get(&at)?, places.get(&(at + OPS_AT))?);
        let symbol = load.symbol(u64::from(name.symbol))?;
        let strings = load.sections.get(usize::from(symbol.section))?;
        let in_strings = symbol.value.checked_add_signed(name.addend)?;
        let name = (strings.is_alloc() && in_strings < strings.size)
            .then(|| load.bytes.name(strings.offset + in_strings))?;
        let ops = load.symbol_name(&load.symbol(u64::from(ops.symbol))?);
        Some(Param {
            // Rust's end in a NUL of their own; C's likewise.
            name: name.lossy().into_owned(),
            ops: ops.lossy().into_owned(),
            flags: load.bytes.u8(section.offset + at + FLAGS_AT),
        })
    };
    (0..section.size / ENTRY_BYTES).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_kernel_does() {
        let int = |text| kstrto(text, i32::MIN.into(), i32::MAX.into());
        for good in ["0", "+7", "-8", "0x1f", "017", "2147483647", "-2147483648", "5\n"] {
            assert_eq!(int(good), Ok(()), "{good:?}");
        }
        for bad in ["", "x", "1x", "0x", "08", "--1", "1 "] {
            assert_eq!(int(bad), Err(Errno::EINVAL), "{bad:?}");
        }
        for large in ["2147483648", "99999999999999999999999"] {
            assert_eq!(int(large), Err(Errno::ERANGE), "{large:?}");
        }
        assert_eq!(kstrto("-1", 0, 255), Err(Errno::EINVAL));
    }

    #[test]
    fn words_are_cut_as_the_kernel_does() {
        let words = |args: &str| {
            let (word, rest) = next_arg(args);
            (word.name, word.value, rest.to_owned())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(words("a=1 b"), ("a".into(), some("1"), "b".into()));
        assert_eq!(words("a=\"x y\" b"), ("a".into(), some("x y"), "b".into()));
        assert_eq!(words("\"a=x y\" b"), ("a".into(), some("x y"), "b".into()));
        assert_eq!(words("flag  "), ("flag".into(), None, String::new()));
    }

    #[test]
    fn rusts_numbers_are_read_as_rust_does() {
        for (text, number) in [("12", 12), ("-0x10", -16), ("0b11", 3), ("017", 15), ("0", 0)] {
            assert_eq!(rust_number(text), Some(number), "{text:?}");
        }
        assert_eq!((rust_number(""), rust_number("x"), rust_number("--1")), (None, None, None));
    }
}
