//! The parameters (`parse_args()`, `kernel/params.c`).

use std::collections::{HashMap, HashSet};

use super::{dyndbg, signature::log_lockdown};
use crate::{
    errno::Errno,
    kernel_params::{CHARP_MAX, Word, is_same_name, kstrtobool, next_arg, skip_spaces},
    load_info::LoadInfo,
    taints::Taints,
    verdict::Finding,
};

/// `sizeof(struct kernel_param)` (`include/linux/moduleparam.h`).
const ENTRY_BYTES: u64 = 40;
/// The offset of its member `ops`.
const OPS_AT: u64 = 16;
/// The offset of its member `flags`.
const FLAGS_AT: u64 = 27;
/// `KERNEL_PARAM_FL_UNSAFE`.
const UNSAFE: u8 = 1;
/// `KERNEL_PARAM_FL_HWPARAM`.
const HARDWARE: u8 = 2;

/// A parameter that the module takes.
struct Param {
    name: Vec<u8>,
    /// The symbol of its `struct kernel_param_ops`.
    ops: String,
    flags: u8,
}

impl Param {
    fn shown(&self) -> String {
        lossy(&self.name)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `parse_args()`: every word of the parameters in turn; the last error counts.
pub(super) fn params(load: &mut LoadInfo<'_>) -> Finding {
    let Some(known) = read(load) else {
        return Finding::unknown("its table of parameters cannot be followed");
    };
    let mut given = HashSet::new();
    // The kernel copies a C string.
    let args = load.request.args.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut rest = skip_spaces(args);
    let mut failed: Option<(Errno, String)> = None;
    while !rest.is_empty() {
        let (word, after) = next_arg(rest);
        rest = after;
        if word.is_end() {
            // `err ?: args`: an error hides the words that are left over.
            if failed.is_none() {
                let rest = lossy(rest);
                load.say(format!("{}: parameters '{rest}' after `--' ignored", load.name));
            }
            break;
        }
        let shown = lossy(word.value.as_deref().unwrap_or_default());
        let errno = match parse_one(load, &word, &known, &mut given) {
            Set::Done => continue,
            Set::Failed(errno) => errno,
            Set::Unknown(reason) => return Finding::unknown(reason),
        };
        let what = if errno == Errno::ENOSPC { "too large" } else { "invalid" };
        let name = lossy(&word.name);
        load.say(format!("{}: `{shown}' {what} for parameter `{name}'", load.name));
        failed = Some((errno, format!("{name}={shown}")));
    }
    match failed {
        None => Finding::pass(),
        Some((errno, have)) => {
            Finding::fail(errno).want("values that the parameters take").have(have)
        }
    }
}

/// The outcome for one parameter.
enum Set {
    Done,
    Failed(Errno),
    Unknown(String),
}

/// No file tells what a module's own code makes of a value.
fn set_by_own_code(param: &Param) -> Set {
    let param = param.shown();
    Set::Unknown(format!("{param} is set by the module's own code: only its load tells"))
}

/// `parse_one()`, with `param_check_unsafe()`.
fn parse_one(
    load: &mut LoadInfo<'_>,
    word: &Word,
    known: &[Param],
    given: &mut HashSet<Vec<u8>>,
) -> Set {
    let found = known.iter().find(|param| is_same_name(&param.name, &word.name));
    let Some(param) = found else { return unknown(load, word) };
    let without_value = ["param_ops_bool", "param_ops_bool_enable_only", "param_ops_bint"];
    if word.value.is_none() && !without_value.contains(&param.ops.as_str()) {
        if param.ops.starts_with("param_ops_") || is_rust(&param.ops) {
            return Set::Failed(Errno::EINVAL);
        }
        return set_by_own_code(param);
    }
    if param.flags & HARDWARE != 0 && load.kernel.is_locked_down() {
        log_lockdown(load, "unsafe module parameters");
        return Set::Failed(Errno::EPERM);
    }
    if param.flags & UNSAFE != 0 {
        let line = format!("Setting dangerous option {} - tainting kernel", param.shown());
        load.say(line);
        load.state.taints.add(Taints::USER);
    }
    let value = word.value.as_deref();
    if is_rust(&param.ops) {
        return set_rust(param, &lossy(value.unwrap_or_default()), given);
    }
    set(load, param, value)
}

/// `unknown_module_param_cb()`.
fn unknown(load: &mut LoadInfo<'_>, word: &Word) -> Set {
    let has_dynamic_debug = load.kernel.options.dynamic_debug;
    // `ddebug_dyndbg_param_cb()` (`lib/dynamic_debug.c`) cuts a name at its dot.
    let (module, name) = match word.name.iter().position(|&byte| byte == b'.') {
        Some(dot) if has_dynamic_debug => (&word.name[..dot], &word.name[dot + 1..]),
        _ => (&*word.name, &*word.name),
    };
    if name == b"dyndbg" {
        // `ddebug_dyndbg_module_param_cb()` (`include/linux/dynamic_debug.h`).
        if !has_dynamic_debug {
            load.say("dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds".into());
            return Set::Done;
        }
        let Some(lines) = dyndbg::complaints(word.value.as_deref().unwrap_or(b"+p")) else {
            return Set::Unknown("its dyndbg= has a format with an escape: write it once".into());
        };
        lines.into_iter().for_each(|line| load.say(line));
    } else if word.name != b"async_probe" {
        let name = lossy(module);
        let line = format!("{}: unknown parameter '{name}' ignored", load.name);
        load.say(line);
    }
    Set::Done
}

/// The `set` of the kernel's own types.
fn set(load: &mut LoadInfo<'_>, param: &Param, value: Option<&[u8]>) -> Set {
    let value_or_empty = value.unwrap_or_default();
    let text = lossy(value_or_empty);
    let number = |min: i128, max: i128| match kstrto(&text, min, max) {
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
        "param_ops_bool" | "param_ops_bint" | "param_ops_invbool" => {
            let knows_enabled = load.kernel.rules.enabled_is_true;
            if value.is_some_and(|value| kstrtobool(value, knows_enabled).is_none()) {
                return Set::Failed(Errno::EINVAL);
            }
            Set::Done
        }
        "param_ops_charp" if value_or_empty.len() > CHARP_MAX => {
            load.say(format!("{}: string parameter too long", param.shown()));
            Set::Failed(Errno::ENOSPC)
        }
        "param_ops_charp" => Set::Done,
        _ => set_by_own_code(param),
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

/// `set_param()` (`rust/kernel/module_param.rs`): a number that fits, and only once.
fn set_rust(param: &Param, text: &str, given: &mut HashSet<Vec<u8>>) -> Set {
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
        return Set::Unknown(format!(
            "{} is of a type that is not modeled: only its load tells",
            param.shown()
        ));
    };
    if rust_number(text).is_none_or(|number| number < min || number > max) {
        return Set::Failed(Errno::EINVAL);
    }
    if given.insert(param.name.clone()) { Set::Done } else { Set::Failed(Errno::EEXIST) }
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
    let Some(index) = load.find_sec("__param") else { return Some(Vec::new()) };
    let section = load.sections[index];
    let places: HashMap<u64, _> =
        load.relas_of(index).map(|relocation| (relocation.rela.offset, relocation.rela)).collect();
    let read = |entry: u64| {
        let at = entry * ENTRY_BYTES;
        let (name, ops) = (places.get(&at)?, places.get(&(at + OPS_AT))?);
        let symbol = load.symbol(u64::from(name.symbol))?;
        let strings = load.sections.get(usize::from(symbol.section))?;
        let in_strings = symbol.value.checked_add_signed(name.addend)?;
        let name = (strings.is_alloc() && in_strings < strings.size)
            .then(|| load.elf.name(strings.at(in_strings)))?;
        let ops = load.symbol_name(&load.symbol(u64::from(ops.symbol))?);
        Some(Param {
            name: name.bytes().to_vec(),
            ops: ops.lossy().into_owned(),
            flags: load.elf.u8(section.at(at + FLAGS_AT)),
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
    fn rusts_numbers_are_read_as_rust_does() {
        for (text, number) in [("12", 12), ("-0x10", -16), ("0b11", 3), ("017", 15), ("0", 0)] {
            assert_eq!(rust_number(text), Some(number), "{text:?}");
        }
        assert_eq!((rust_number(""), rust_number("x"), rust_number("--1")), (None, None, None));
    }
}
