//! What a module says about other modules. It is small enough to be kept for a whole tree.

use object::elf::{SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB};

use ko::{
    elf::{Elf, Section},
    error::Malformed,
    exports::Exports,
    imports::undefined,
    license::License,
    modinfo::Modinfo,
    module::SoftDep,
    text::Text,
    versions::{VersionTable, Versions},
};

/// The dependency information of one module. A tree has two hundred thousand names, so each list
/// is one piece of bytes with a NUL after every name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencyInfo {
    /// The exported symbols.
    pub exports: Names,
    /// The exported symbols that are for GPL-compatible modules only.
    pub gpl_exports: Names,
    /// The undefined symbols, strong and weak, in the order of the symbol table; then the symbols
    /// that only `__versions` names.
    pub needs: Names,
    /// The weak ones among the undefined symbols.
    pub weak: Names,
    /// The modules that modpost found as exporters (`depends=`).
    pub depends: Names,
    /// The values of `softdep=`, as they stand.
    pub softdeps: Names,
    /// The values of `weakdep=`, as they stand.
    pub weakdeps: Names,
    /// The aliases that a softdep can name: those without a bus (`:`).
    pub aliases: Names,
}

impl DependencyInfo {
    /// Reads an unpacked module.
    ///
    /// # Errors
    /// The first part of the file that is not what its form asks for.
    pub fn read(data: &[u8]) -> Result<Self, Malformed> {
        let elf = Elf::parse(data)?;
        let modinfo = Modinfo::parse(&elf);
        let aliases = modinfo.all("alias").filter(|alias| !alias.bytes().contains(&b':'));
        let mut info = Self {
            depends: modinfo.list("depends").collect(),
            softdeps: modinfo.all("softdep").collect(),
            weakdeps: modinfo.all("weakdep").collect(),
            aliases: aliases.collect(),
            ..Self::default()
        };
        for export in Exports::parse(&elf)?.iter() {
            let export = export?;
            info.exports.push(export.symbol.0.bytes());
            if export.license == License::GplOnly {
                info.gpl_exports.push(export.symbol.0.bytes());
            }
        }
        info.read_needs(&elf)?;
        Ok(info)
    }

    /// Whether [`DependencyInfo::read`] needs a section: the export tables and their relocations,
    /// the versions, the symbols with their names, and `.modinfo`.
    pub fn reads_section(elf: &Elf<'_>, section: &Section<'_>) -> bool {
        const NAMES: [&str; 9] = [
            ".modinfo",
            "__versions",
            "__version_ext_crcs",
            "__version_ext_names",
            "__ksymtab",
            "__ksymtab_gpl",
            "__ksymtab_strings",
            "__kcrctab",
            "__kflagstab",
        ];
        let named = |section: &Section<'_>| NAMES.iter().any(|name| section.is_named(name));
        match section.kind {
            kind if kind == SHT_SYMTAB.0 || kind == SHT_STRTAB.0 => true,
            kind if kind == SHT_REL.0 || kind == SHT_RELA.0 => {
                elf.section(section.info).is_some_and(|filled| named(&filled))
            }
            _ => named(section),
        }
    }

    fn read_needs(&mut self, elf: &Elf<'_>) -> Result<(), Malformed> {
        for symbol in undefined(elf)? {
            let symbol = symbol?;
            self.needs.push(symbol.name.bytes());
            if symbol.weak {
                self.weak.push(symbol.name.bytes());
            }
        }
        // `module_layout` stands in no symbol table; depmod counts such entries as needed
        // (`kmod_elf_get_dependency_symbols()`, `libkmod/libkmod-elf.c`).
        let versions = Versions::parse(elf)?;
        if !versions.has(VersionTable::Basic) && !versions.has(VersionTable::Extended) {
            return Ok(());
        }
        let mut known: Vec<&[u8]> = self.needs.iter().map(Text::bytes).collect();
        known.sort_unstable();
        let is_new =
            |name: &Text<'_>| !name.is_empty() && known.binary_search(&name.bytes()).is_err();
        let names = versions.basic().chain(versions.extended()).map(|version| version.symbol);
        let more: Names = names.filter(is_new).collect();
        self.needs.0.extend_from_slice(&more.0);
        Ok(())
    }

    /// The soft dependencies, taken apart.
    pub fn soft(&self) -> impl Iterator<Item = SoftDep<'_>> {
        self.softdeps.iter().map(SoftDep::parse)
    }

    /// The weak dependencies, taken apart.
    pub fn weak_modules(&self) -> impl Iterator<Item = Text<'_>> {
        self.weakdeps.iter().flat_map(|value| value.pieces(b' '))
    }

    /// Whether the module can do without this symbol.
    pub fn is_weak(&self, symbol: Text<'_>) -> bool {
        self.weak.iter().any(|weak| weak == symbol)
    }
}

/// Names, one after the other in one piece of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<u8>);

impl Names {
    /// Adds a name. A NUL in it, which no name has, would cut it in two.
    pub fn push(&mut self, name: &[u8]) {
        self.0.extend_from_slice(name);
        self.0.push(0);
    }

    /// Every name, in order.
    pub fn iter(&self) -> impl Iterator<Item = Text<'_>> {
        let whole = self.0.strip_suffix(&[0]).unwrap_or_default();
        let none = self.0.is_empty();
        whole.split(|&byte| byte == 0).filter(move |_| !none).map(Text)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back room that is not used.
    pub fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl<'a> FromIterator<Text<'a>> for Names {
    fn from_iter<I: IntoIterator<Item = Text<'a>>>(names: I) -> Self {
        let mut all = Self::default();
        names.into_iter().for_each(|name| all.push(name.bytes()));
        all
    }
}

impl DependencyInfo {
    /// All its lists, in the order of its fields.
    pub fn lists(&self) -> [&Names; 8] {
        let Self { exports, gpl_exports, needs, weak, depends, softdeps, weakdeps, aliases } = self;
        [exports, gpl_exports, needs, weak, depends, softdeps, weakdeps, aliases]
    }

    /// The same, to be filled.
    pub fn lists_mut(&mut self) -> [&mut Names; 8] {
        let Self { exports, gpl_exports, needs, weak, depends, softdeps, weakdeps, aliases } = self;
        [exports, gpl_exports, needs, weak, depends, softdeps, weakdeps, aliases]
    }
}
