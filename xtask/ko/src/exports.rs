//! The export tables of a module, in the layout of 7.1 and later and in the one before.
//!
//! A table is an array of `struct kernel_symbol` (`kernel/module/internal.h`): where the symbol
//! is, where its name is, where its namespace is. In the file all three are relocations, either
//! of 32 bits relative to the place (x86, arm64, …) or of a word (32-bit arm, …). The name and
//! namespace lie in `__ksymtab_strings`. Beside the table lie the CRCs (`__kcrctab`, 32 bits
//! each) and, since 7.1, the flags (`__kflagstab`, a byte each, `include/linux/module_symbol.h`);
//! before, a table of its own named `…_gpl` held what is for GPL-compatible modules only.

use object::elf::{STT_FUNC, STT_OBJECT};
use serde::Serialize;

use super::{
    elf::{Elf, Relocation, Relocations, Section, Symbols, name_in},
    error::Malformed,
    license::License,
    text::{SymbolName, Text},
};

/// `KSYM_FLAG_GPL_ONLY` of `include/linux/module_symbol.h`.
const FLAG_GPL_ONLY: u8 = 1;

/// More than any module has: an entry is 12 bytes, so a hostile table could hold millions.
const EXPORTS_MAX: usize = 1 << 20;

/// The kind of an exported symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum SymbolKind {
    /// A function (`STT_FUNC`).
    Function,
    /// A variable (`STT_OBJECT`).
    Data,
    /// The symbol does not say: hand-written assembly, or one defined elsewhere.
    Unknown,
}

/// The word for it in text and in JSON.
impl From<SymbolKind> for &'static str {
    fn from(kind: SymbolKind) -> Self {
        match kind {
            SymbolKind::Function => "function",
            SymbolKind::Data => "data",
            SymbolKind::Unknown => "unknown",
        }
    }
}

/// The layout of a module's export tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportLayout {
    /// One `__ksymtab` with `__kflagstab`: 7.1 and later.
    Flags,
    /// `__ksymtab` and `__ksymtab_gpl`: before 7.1.
    Split,
}

/// One exported symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Export<'a> {
    /// The symbol's name, as others ask for it, and its Rust path.
    #[serde(flatten)]
    pub symbol: SymbolName<'a>,
    /// The license that its users need.
    pub license: License,
    /// The namespace an importer has to name; empty for none.
    pub namespace: Text<'a>,
    /// The CRC of its type; none without MODVERSIONS.
    pub crc: Option<u32>,
    /// Function or data.
    pub kind: SymbolKind,
}

/// The export tables of a module.
#[derive(Clone, Debug, Default)]
pub struct Exports<'a> {
    /// Their layout; `None` when there is no table.
    pub layout: Option<ExportLayout>,
    tables: Vec<KsymTable<'a>>,
}

impl<'a> Exports<'a> {
    /// Finds the tables and checks that each entry has its relocations, CRC and flags.
    ///
    /// # Errors
    /// A table whose parts do not fit together.
    pub fn parse(elf: &Elf<'a>) -> Result<Self, Malformed> {
        let has_flags = elf.section_named("__kflagstab").is_some();
        let mut tables = Vec::new();
        for (name, crcs, license) in [
            ("__ksymtab", "__kcrctab", License::Any),
            // 7.1 and later ignore it ("ignoring obsolete section"): a module with flags has none.
            ("__ksymtab_gpl", "__kcrctab_gpl", License::GplOnly),
        ] {
            if let Some(section) = elf.section_named(name).filter(|section| section.size > 0) {
                tables.push(KsymTable::read(elf, section, crcs, license)?);
            }
        }
        let layout = match (has_flags, tables.is_empty()) {
            (_, true) => None,
            (true, false) => Some(ExportLayout::Flags),
            (false, false) => Some(ExportLayout::Split),
        };
        Ok(Self { layout, tables })
    }

    /// Every export, in the order of the tables (which the linker sorts by name).
    pub fn iter(&self) -> impl Iterator<Item = Result<Export<'a>, Malformed>> {
        self.tables.iter().flat_map(|table| (0..table.count).map(|index| table.export(index)))
    }
}

/// One `__ksymtab…` with what belongs to it.
#[derive(Clone, Debug)]
struct KsymTable<'a> {
    elf: Elf<'a>,
    section: Section<'a>,
    symbols: Symbols<'a>,
    fills: Fills<'a>,
    field_bytes: usize,
    count: usize,
    crcs: Option<&'a [u8]>,
    flags: Option<&'a [u8]>,
    license: License,
}

/// The fields of `struct kernel_symbol`.
#[derive(Clone, Copy)]
enum Field {
    Value,
    Name,
    Namespace,
}

impl<'a> KsymTable<'a> {
    fn read(
        elf: &Elf<'a>,
        section: Section<'a>,
        crcs: &str,
        license: License,
    ) -> Result<Self, Malformed> {
        let refuse =
            |expected: String, found: String| Malformed::new(section.offset, expected, found);
        let lacks = |what: &str| refuse(what.into(), "none".into());
        let symbols =
            elf.symbols()?.ok_or_else(|| lacks("a symbol table beside the export table"))?;
        let relocations = elf.relocations(&section);
        let fills =
            Fills::new(relocations.ok_or_else(|| lacks("relocations that fill the export table"))?);
        // The distance between the first two relocated places is the size of a field.
        let field_bytes = match (fills.nth(0).map(|r| r.offset), fills.nth(1).map(|r| r.offset)) {
            (Some(0), Some(4)) => 4,
            (Some(0), Some(8)) => 8,
            found => {
                let expected = "an export table filled at 0 and at 4 or 8";
                return Err(refuse(expected.into(), format!("{found:?}")));
            }
        };
        let entry_bytes = 3 * field_bytes as u64;
        let count = section.size / entry_bytes;
        if section.size % entry_bytes != 0 || count > EXPORTS_MAX as u64 {
            return Err(refuse(
                format!("at most {EXPORTS_MAX} exports of {entry_bytes} bytes each"),
                format!("{} bytes", section.size),
            ));
        }
        let count = count as usize;
        Ok(Self {
            elf: *elf,
            section,
            symbols,
            fills,
            field_bytes,
            count,
            crcs: column(elf, crcs, count, 4)?,
            flags: column(elf, "__kflagstab", count, 1)?,
            license,
        })
    }

    /// The relocation that fills a field of an entry. Every field has one, so the place in the
    /// sorted table is known.
    fn field(&self, index: usize, field: Field) -> Result<Relocation, Malformed> {
        let n = 3 * index + field as usize;
        let place = (n * self.field_bytes) as u64;
        let offset = self.section.offset.saturating_add(place);
        let found = match self.fills.nth(n) {
            Some(relocation) if relocation.offset == place => return Ok(relocation),
            Some(other) => {
                format!("the next one at {}", self.section.offset.saturating_add(other.offset))
            }
            None => "none".into(),
        };
        Err(Malformed::new(offset, "a relocation for each field of the export table", found))
    }

    /// The string that a field points to.
    fn string(&self, index: usize, field: Field) -> Result<Text<'a>, Malformed> {
        let relocation = self.field(index, field)?;
        let place = self.section.offset.saturating_add(relocation.offset);
        let refuse = |found: String| Malformed::new(place, "a pointer to a string", found);
        let symbol = self
            .symbols
            .get(relocation.symbol as usize)
            .ok_or_else(|| refuse(format!("symbol {}", relocation.symbol)))?;
        let strings = self
            .elf
            .section(u32::from(symbol.section))
            .ok_or_else(|| refuse(format!("section {}", symbol.section)))?;
        let addend = relocation.addend.unwrap_or_else(|| self.addend_at(relocation.offset));
        let bytes = self.elf.bytes_of(&strings);
        let at = symbol.value.checked_add_signed(addend);
        let rest = at.and_then(|at| bytes.get(usize::try_from(at).ok()?..));
        let rest = rest.ok_or_else(|| refuse(format!("byte {at:?} of {}", bytes.len())))?;
        name_in(rest, strings.offset.saturating_add(at.unwrap_or_default()))
    }

    /// The addend of a REL entry stands at the place itself.
    fn addend_at(&self, offset: u64) -> i64 {
        let bytes = self.elf.bytes_of(&self.section);
        let value = self.elf.u32_at(bytes, usize::try_from(offset).unwrap_or(usize::MAX));
        i64::from(value.unwrap_or(0) as i32)
    }

    fn export(&self, index: usize) -> Result<Export<'a>, Malformed> {
        let value = self.field(index, Field::Value)?;
        let kind = match self.symbols.get(value.symbol as usize).map(|symbol| symbol.kind) {
            Some(kind) if kind == STT_FUNC.0 => SymbolKind::Function,
            Some(kind) if kind == STT_OBJECT.0 => SymbolKind::Data,
            _ => SymbolKind::Unknown,
        };
        let license = match self.flags.and_then(|flags| flags.get(index)) {
            Some(flags) if flags & FLAG_GPL_ONLY != 0 => License::GplOnly,
            Some(_) => License::Any,
            None => self.license,
        };
        Ok(Export {
            symbol: SymbolName(self.string(index, Field::Name)?),
            license,
            namespace: self.string(index, Field::Namespace)?,
            crc: self.crcs.and_then(|crcs| self.elf.u32_at(crcs, 4 * index)),
            kind,
        })
    }
}

/// A section that has so many bytes for each of so many exports.
fn column<'a>(
    elf: &Elf<'a>,
    name: &str,
    count: usize,
    bytes_each: usize,
) -> Result<Option<&'a [u8]>, Malformed> {
    let Some(section) = elf.section_named(name) else { return Ok(None) };
    let bytes = elf.bytes_of(&section);
    let wanted = count.saturating_mul(bytes_each);
    if bytes.len() == wanted {
        return Ok(Some(bytes));
    }
    Err(Malformed::new(
        section.offset,
        format!("{name} with {count} exports in {wanted} bytes"),
        format!("{} bytes", bytes.len()),
    ))
}

/// The relocations of a table, by the places that they fill.
#[derive(Clone, Debug)]
struct Fills<'a> {
    relocations: Relocations<'a>,
    /// Their order by place; `None` when they are in it already, as linkers leave them.
    sorted: Option<Vec<u32>>,
}

impl<'a> Fills<'a> {
    fn new(relocations: Relocations<'a>) -> Self {
        let offsets = || relocations.iter().map(|relocation| relocation.offset);
        let sorted = (!offsets().is_sorted()).then(|| {
            let mut order: Vec<(u64, u32)> = offsets().zip(0..).collect();
            order.sort();
            order.into_iter().map(|(_, index)| index).collect()
        });
        Self { relocations, sorted }
    }

    /// The relocation that fills the n-th place.
    fn nth(&self, n: usize) -> Option<Relocation> {
        match &self.sorted {
            None => self.relocations.get(n),
            Some(order) => self.relocations.get(*order.get(n)? as usize),
        }
    }
}
