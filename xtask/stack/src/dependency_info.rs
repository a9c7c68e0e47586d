//! The facts in a module about other modules, small enough to be kept for a whole tree.

use object::elf::{SHT_REL, SHT_RELA};

use ko::{
    elf::{Elf, Section},
    error::Malformed,
    exports::{Export, Exports},
    kmod_elf::KmodElf,
    license::License,
    module::SoftDep,
    text::Text,
};

/// The dependency information of one module. A tree has two hundred thousand names, so each list
/// is one piece of bytes with a NUL after every name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencyInfo {
    /// The exported symbols.
    pub exports: Names,
    /// The exported symbols that are for GPL-compatible modules only.
    pub gpl_exports: Names,
    /// The namespaces of the exports, where depmod takes them for exported symbols, too.
    pub namespaces: Names,
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
    /// The aliases that soft dependencies name: all but those that [`is_apart`] says.
    pub aliases: Names,
}

impl DependencyInfo {
    /// Reads an unpacked module as depmod does: of a stripped or damaged one, what is there.
    ///
    /// # Errors
    /// libkmod takes the file for no ELF file; depmod then lists it without any dependency.
    pub fn read(data: &[u8]) -> Result<Self, Malformed> {
        let kmod = KmodElf::parse(data)?;
        let modinfo = kmod.modinfo().unwrap_or_default();
        let aliases = modinfo.all("alias").filter(|alias| !is_apart(alias.bytes()));
        let mut info = Self {
            depends: modinfo.list("depends").collect(),
            softdeps: modinfo.all("softdep").collect(),
            weakdeps: modinfo.all("weakdep").collect(),
            aliases: aliases.collect(),
            ..Self::default()
        };
        info.read_exports(&kmod);
        for need in kmod.needs() {
            info.needs.push(need.name.bytes());
            if need.weak {
                info.weak.push(need.name.bytes());
            }
        }
        Ok(info)
    }

    /// Takes what depmod takes as exported; the export tables tell what of it is a namespace, and
    /// what is for GPL-compatible modules only.
    fn read_exports(&mut self, kmod: &KmodElf<'_>) {
        let taken = kmod.exports();
        if taken.is_empty() {
            return;
        }
        let tables = Exports::parse(&kmod.elf).and_then(|tables| tables.iter().collect());
        let tables: Vec<Export<'_>> = tables.unwrap_or_default();
        let mut symbols: Vec<Text<'_>> = tables.iter().map(|export| export.symbol.0).collect();
        symbols.sort_unstable();
        let is_no_symbol = |name: &Text<'_>| symbols.binary_search(name).is_err();
        let mut namespaces: Vec<Text<'_>> = tables.iter().map(|export| export.namespace).collect();
        namespaces.retain(|name| !name.is_empty() && is_no_symbol(name));
        namespaces.sort_unstable();
        for symbol in taken {
            let is_namespace = namespaces.binary_search(&symbol).is_ok();
            let list = if is_namespace { &mut self.namespaces } else { &mut self.exports };
            list.push(symbol.bytes());
        }
        let gpl_only = tables.iter().filter(|export| export.license == License::GplOnly);
        self.gpl_exports = gpl_only.map(|export| export.symbol.0).collect();
    }

    /// `true` if [`DependencyInfo::read`] needs a section: those that libkmod reads, the export
    /// tables and their relocations.
    pub fn reads_section(elf: &Elf<'_>, section: &Section<'_>) -> bool {
        const TABLES: [&str; 5] =
            ["__ksymtab", "__ksymtab_gpl", "__kcrctab", "__kcrctab_gpl", "__kflagstab"];
        let is_table = |section: &Section<'_>| TABLES.iter().any(|name| section.is_named(name));
        match section.kind {
            kind if kind == SHT_REL.0 || kind == SHT_RELA.0 => {
                elf.section(section.info).is_some_and(|filled| is_table(&filled))
            }
            _ => KmodElf::reads(section) || is_table(section),
        }
    }

    /// All that depmod takes as exported.
    pub fn exported(&self) -> impl Iterator<Item = Text<'_>> {
        self.exports.iter().chain(self.namespaces.iter())
    }

    /// The soft dependencies, taken apart.
    pub fn soft(&self) -> impl Iterator<Item = SoftDep<'_>> {
        self.softdeps.iter().map(SoftDep::parse)
    }

    /// The weak dependencies, taken apart.
    pub fn weak_modules(&self) -> impl Iterator<Item = Text<'_>> {
        self.weakdeps.iter().flat_map(|value| value.pieces(b' '))
    }

    /// `true` if the module can do without this symbol.
    pub fn is_weak(&self, symbol: Text<'_>) -> bool {
        self.weak.iter().any(|weak| weak == symbol)
    }
}

/// Returns `true` for an alias of a bus whose aliases are not kept with a module, since they take
/// ten times as many bytes as everything else. Soft dependencies name the bus `platform`.
pub fn is_apart(alias: &[u8]) -> bool {
    let Some(end) = alias.iter().position(|&byte| byte == b':') else { return false };
    let bus = &alias[..end];
    bus != b"platform" && !bus.iter().any(|byte| b"*?[".contains(byte))
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

    /// `true` if there is none.
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
    pub fn lists(&self) -> [&Names; 9] {
        let Self {
            exports,
            gpl_exports,
            namespaces,
            needs,
            weak,
            depends,
            softdeps,
            weakdeps,
            aliases,
        } = self;
        [exports, gpl_exports, namespaces, needs, weak, depends, softdeps, weakdeps, aliases]
    }

    /// The same, to be filled.
    pub fn lists_mut(&mut self) -> [&mut Names; 9] {
        let Self {
            exports,
            gpl_exports,
            namespaces,
            needs,
            weak,
            depends,
            softdeps,
            weakdeps,
            aliases,
        } = self;
        [exports, gpl_exports, namespaces, needs, weak, depends, softdeps, weakdeps, aliases]
    }
}
