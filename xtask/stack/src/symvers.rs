//! Module.symvers: what a kernel, or a stack of modules, exports.
//!
//! The form is `write_dump()`'s and the rules of reading are `read_dump()`'s, both of
//! `scripts/mod/modpost.c`; 6.1, 6.12 and 7.x write it alike. What modpost refuses is refused
//! here, with the number of the line. A few things that modpost lets pass, though it never writes
//! them, are refused as well, because a reader after it would stumble: a CRC that is empty,
//! signed or wider than 32 bits, a control character, a NUL, a sixth column.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use ko::{license::License, seal::Seal};
use serde::Serialize;

use crate::{graph, line_error::LineError, module_name::ModuleName};

/// The module column of a symbol that the kernel itself exports.
pub const VMLINUX: &str = "vmlinux";

/// One line: one exported symbol. Its texts are its own, or borrowed from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SymversEntry<S = String> {
    /// The CRC of the symbol's type, or 0 from a kernel without MODVERSIONS.
    pub crc: u32,
    /// The symbol's name, as the linker sees it.
    pub symbol: S,
    /// The exporter: `vmlinux`, or the module's path without `.ko` as modpost was given it.
    /// 6.12 writes an absolute path for an external module, 7.x one relative to `M=`.
    pub module: S,
    /// The license that its users need.
    pub license: License,
    /// The namespace an importer has to name; empty for none.
    pub namespace: S,
}

impl SymversEntry {
    /// The name of the exporting module, as the running kernel would give it: the last part of
    /// the path, with `_` for `-`.
    pub fn module_name(&self) -> ModuleName {
        ModuleName::of_build_path(&self.module)
    }

    /// `true` if the symbol belongs to the crate of a Rust module: a mangled name, or a seal.
    pub fn is_of_a_crate(&self) -> bool {
        self.symbol.starts_with("_R") || Seal::parse(&self.symbol).is_some()
    }
}

impl SymversEntry<&str> {
    fn to_owned(self) -> SymversEntry {
        let Self { crc, symbol, module, license, namespace } = self;
        let (symbol, module, namespace) = (symbol.into(), module.into(), namespace.into());
        SymversEntry { crc, symbol, module, license, namespace }
    }
}

/// The line, as `write_dump()` writes it.
impl fmt::Display for SymversEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { crc, symbol, module, license, namespace } = self;
        writeln!(f, "0x{crc:08x}\t{symbol}\t{module}\t{license}\t{namespace}")
    }
}

/// A whole Module.symvers, in the order of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symvers {
    entries: Vec<SymversEntry>,
    /// The last line of each symbol: in an external build the last one loaded wins.
    by_symbol: HashMap<String, usize, graph::Hash>,
}

impl Symvers {
    /// Reads the text of a Module.symvers.
    ///
    /// # Errors
    /// The first line that modpost would refuse.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, LineError> {
        let mut symvers = Self::default();
        for (index, line) in symvers_lines(bytes.as_ref()).enumerate() {
            symvers.push(line?.to_owned()).map_err(|entry| LineError {
                line: index + 1,
                expected: "a symbol that no line before has exported from vmlinux or this module",
                found: format!("{} of {} again", entry.symbol, entry.module),
            })?;
        }
        Ok(symvers)
    }

    /// Adds one export after the others.
    ///
    /// # Errors
    /// The entry itself, when vmlinux or the same module exported the symbol before
    /// (`sym_add_exported()`, modpost.c; two external modules may export the same one).
    pub fn push(&mut self, entry: SymversEntry) -> Result<(), Box<SymversEntry>> {
        if let Some(before) = self.get(&entry.symbol) {
            if before.module == VMLINUX || before.module == entry.module {
                return Err(Box::new(entry));
            }
        }
        self.by_symbol.insert(entry.symbol.clone(), self.entries.len());
        self.entries.push(entry);
        Ok(())
    }

    /// Every line, in order.
    pub fn entries(&self) -> &[SymversEntry] {
        &self.entries
    }

    /// The export of this name; the last one, if two modules export it.
    pub fn get(&self, symbol: &str) -> Option<&SymversEntry> {
        self.by_symbol.get(symbol).map(|&index| &self.entries[index])
    }

    /// The symbols that several modules export, with those modules, by symbol.
    pub fn exported_twice(&self) -> Vec<(&str, Vec<&str>)> {
        let mut exporters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for entry in &self.entries {
            exporters.entry(&entry.symbol).or_default().push(&entry.module);
        }
        exporters.into_iter().filter(|(_, modules)| modules.len() > 1).collect()
    }

    /// `true` if any symbol has a CRC: a kernel without MODVERSIONS writes 0 for all.
    pub fn has_crcs(&self) -> bool {
        self.entries.iter().any(|entry| entry.crc != 0)
    }

    /// The same exports, sorted by symbol and then module, with the module column cut to the
    /// module's name: what can be compared between machines and kernels.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let mut entries = self.entries.clone();
        for entry in &mut entries {
            entry.module = entry.module_name().to_string();
        }
        entries.sort_by(|a, b| (&a.symbol, &a.module).cmp(&(&b.symbol, &b.module)));
        let by_symbol = entries.iter().enumerate().map(|(i, e)| (e.symbol.clone(), i)).collect();
        Self { entries, by_symbol }
    }

    /// The exports that can be blessed. A crate promises no ABI beyond one build: its names change
    /// with the compiler, its seal with every change of its code.
    #[must_use]
    pub fn without_crates(&self) -> Self {
        let mut kept = Self::default();
        for entry in self.entries.iter().filter(|entry| !entry.is_of_a_crate()) {
            // A subset holds no symbol twice that the whole does not.
            let _ = kept.push(entry.clone());
        }
        kept
    }

    /// The text, in the form of `write_dump()`: what was parsed from modpost's own file comes
    /// back byte for byte.
    pub fn to_text(&self) -> String {
        self.entries.iter().map(ToString::to_string).collect()
    }
}

/// Reads a Module.symvers line by line, as modpost's `get_line()` cuts them: the last line may lack
/// its newline. Whether a symbol occurs twice is not looked at.
pub fn symvers_lines(bytes: &[u8]) -> impl Iterator<Item = Result<SymversEntry<&str>, LineError>> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = whole.split(|&byte| byte == b'\n').filter(move |_| !bytes.is_empty());
    lines.enumerate().map(|(index, line)| parse_line(index + 1, line))
}

/// The form of a line.
const FIVE_COLUMNS: &str = "five columns with a tab between each, also before an empty last one";

fn parse_line(line: usize, bytes: &[u8]) -> Result<SymversEntry<&str>, LineError> {
    let refuse = |expected, found: &[u8]| LineError { line, expected, found: quote(found) };
    let text = std::str::from_utf8(bytes).map_err(|_| refuse("text in UTF-8", bytes))?;
    if text.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
        let expected = match bytes.last() {
            Some(b'\r') => "lines that end in a newline alone, not in CR and LF",
            _ => "no control character but the tab",
        };
        return Err(refuse(expected, bytes));
    }
    let mut columns = text.split('\t');
    let mut next = || columns.next();
    let (Some(crc), Some(symbol), Some(module), Some(license), Some(namespace), None) =
        (next(), next(), next(), next(), next(), next())
    else {
        return Err(refuse(FIVE_COLUMNS, bytes));
    };
    if symbol.is_empty() {
        return Err(refuse("a symbol in the second column", bytes));
    }
    if module.is_empty() {
        return Err(refuse("a module in the third column", bytes));
    }
    let crc = parse_crc(crc)
        .ok_or_else(|| refuse("a CRC of at most 32 bits in hexadecimal", crc.as_bytes()))?;
    let license = License::from_macro_name(license)
        .ok_or_else(|| refuse("EXPORT_SYMBOL or EXPORT_SYMBOL_GPL", license.as_bytes()))?;
    Ok(SymversEntry { crc, symbol, module, license, namespace })
}

/// Reads what `strtoul(…, 16)` reads to its end, without its leniency on signs, blanks, overflow.
fn parse_crc(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// Bytes for an error message: printable and short.
fn quote(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 80;
    let shown = &bytes[..bytes.len().min(SHOWN_MAX)];
    let rest = if shown.len() < bytes.len() { "…" } else { "" };
    format!("\"{}{rest}\"", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "0x7855d74d\tprovider_add\tprovider/provider\tEXPORT_SYMBOL_GPL\tPROVIDER\n\
                       0x00000000\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n";

    fn refused(text: &str) -> LineError {
        Symvers::parse(text).expect_err("modpost refuses this")
    }

    #[test]
    fn symvers_of_modpost_come_back_byte_for_byte() {
        assert_eq!(Symvers::parse(TWO).unwrap().to_text(), TWO);
        assert_eq!(Symvers::parse("").unwrap().to_text(), "");
    }

    #[test]
    fn the_columns_are_read() {
        let symvers = Symvers::parse(TWO).unwrap();
        let entry = symvers.get("provider_add").unwrap();
        assert_eq!((entry.crc, entry.license), (0x7855_d74d, License::GplOnly));
        assert_eq!(
            (entry.module.as_str(), entry.namespace.as_str()),
            ("provider/provider", "PROVIDER")
        );
        assert_eq!(&*entry.module_name(), "provider");
        assert!(symvers.has_crcs());
    }

    #[test]
    fn a_crates_exports_are_told_from_the_others() {
        let line = |symbol: &str| format!("0x00000001\t{symbol}\tprovider\tEXPORT_SYMBOL_GPL\t\n");
        let of_the_crate = ["_RNvCs1_8provider4sums", "provider_abi_0123456789abcdef"];
        let text: String =
            of_the_crate.map(line).into_iter().chain([line("provider_add")]).collect();
        let kept = Symvers::parse(text).unwrap().without_crates();
        assert_eq!(kept.to_text(), line("provider_add"));
    }

    #[test]
    fn a_last_line_without_a_newline_is_a_line() {
        assert_eq!(Symvers::parse(TWO.trim_end_matches('\n')).unwrap().entries().len(), 2);
    }

    #[test]
    fn symvers_that_modpost_refuses_are_refused_with_the_line() {
        let second = |line: &str| refused(&format!("{TWO}{line}\n"));
        let cases = [
            ("0x1\ta\tm\tEXPORT_SYMBOL", FIVE_COLUMNS),
            ("", FIVE_COLUMNS),
            ("0x1\t\tm\tEXPORT_SYMBOL\t", "a symbol in the second column"),
            ("0x1\ta\t\tEXPORT_SYMBOL\t", "a module in the third column"),
            ("0xfg\ta\tm\tEXPORT_SYMBOL\t", "a CRC of at most 32 bits in hexadecimal"),
            ("0x1\ta\tm\tEXPORT_SYMBOL_X\t", "EXPORT_SYMBOL or EXPORT_SYMBOL_GPL"),
        ];
        for (line, expected) in cases {
            let error = second(line);
            assert_eq!((error.line, error.expected), (3, expected), "{line:?}");
        }
    }

    #[test]
    fn damaged_symvers_are_refused() {
        for line in [
            "\ta\tm\tEXPORT_SYMBOL\t",
            "-1\ta\tm\tEXPORT_SYMBOL\t",
            "+1\ta\tm\tEXPORT_SYMBOL\t",
            "0x\ta\tm\tEXPORT_SYMBOL\t",
            "0x100000000\ta\tm\tEXPORT_SYMBOL\t",
            "0x1\ta\tm\tEXPORT_SYMBOL\tN\textra",
            "0x1\ta\tm\tEXPORT_SYMBOL\t\r",
            "0x1\ta\0\tm\tEXPORT_SYMBOL\t",
        ] {
            assert_eq!(refused(line).line, 1, "{line:?}");
        }
        assert!(Symvers::parse(b"0x1\t\xff\tm\tEXPORT_SYMBOL\t\n").is_err());
    }

    #[test]
    fn an_export_given_twice_is_refused_unless_by_two_modules() {
        let of = |module: &str| format!("0x1\ta\t{module}\tEXPORT_SYMBOL\t\n");
        assert_eq!(refused(&(of("m") + &of("m"))).line, 2);
        assert_eq!(refused(&(of("vmlinux") + &of("m"))).line, 2);
        let two = Symvers::parse(of("m") + &of("n")).unwrap();
        assert_eq!(two.get("a").unwrap().module, "n");
    }

    #[test]
    fn a_path_of_this_machine_is_not_compared() {
        let absolute = Symvers::parse("0x1\tb\t/home/me/p-q/p-q\tEXPORT_SYMBOL\t\n").unwrap();
        let relative = Symvers::parse("0x1\tb\tp-q\tEXPORT_SYMBOL\t\n").unwrap();
        assert_eq!(absolute.normalized(), relative.normalized());
        assert_eq!(relative.normalized().entries()[0].module, "p_q");
    }
}
