//! The running kernel, as far as one load changes what the next one meets.

use std::collections::{HashMap, HashSet};

use ko::seal::Seal;

use crate::{
    gpl_only::is_visible,
    kernel_facts::{Export, KernelFacts},
    taints::Taints,
};

/// A symbol that a loaded module exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedExport {
    /// Its name.
    pub symbol: Vec<u8>,
    /// The conditions that a user of the symbol must meet.
    pub export: Export,
}

/// A module that is live.
#[derive(Clone, Debug, Default)]
pub struct LoadedModule {
    /// As `lsmod` shows it.
    pub name: String,
    /// The taints that it brings.
    pub taints: Taints,
    /// Its exports.
    pub exports: Vec<NamedExport>,
}

/// The lines that are logged once in a kernel's life (`pr_warn_once()` and its like).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnceMessage {
    /// `module verification failed: …`
    Unsigned,
    /// `tainting kernel with TAINT_LIVEPATCH`
    Livepatch,
    /// `no extended symbol version for …`
    NoExtendedVersion,
    /// `no symbol version for …`, of mainline
    NoVersion,
    /// `Kernel module BTF mismatch detected, …`
    BtfMismatch,
    /// `Disabling lock debugging due to kernel taint`
    LockDebugging,
}

/// The loaded modules, and what has been logged.
#[derive(Clone, Debug, Default)]
pub struct KernelState {
    /// The kernel's taints.
    pub taints: Taints,
    once: HashSet<OnceMessage>,
    loaded: Vec<LoadedModule>,
    by_name: HashMap<String, usize>,
    /// Each symbol's exporters, the latest last: the kernel puts a new module at the head of its
    /// list. A module and the place in its exports.
    by_symbol: HashMap<Vec<u8>, Vec<(usize, usize)>>,
    /// Modules of which it cannot be decided whether they load.
    doubtful: Vec<LoadedModule>,
    /// The first of those that would export a symbol.
    doubtful_by_symbol: HashMap<Vec<u8>, usize>,
    /// The seals of each crate that loaded modules export, and their modules.
    seals: HashMap<String, Vec<(String, usize)>>,
    /// The exports of modules of which no file is known, with their names.
    unread: HashMap<Vec<u8>, String>,
    /// A module whose exports are not known at all.
    unread_whole: Option<String>,
}

/// A symbol that was found, and its owner.
#[derive(Clone, Copy, Debug)]
pub struct FoundSymbol<'w> {
    /// The conditions that a user of the symbol must meet.
    pub export: &'w Export,
    /// The module that exports it; none for the kernel itself.
    pub owner: Option<&'w LoadedModule>,
}

impl KernelState {
    /// `true` if the line is logged for the first time; from now on it is not.
    pub fn is_first(&mut self, what: OnceMessage) -> bool {
        self.once.insert(what)
    }

    /// A module that is loaded.
    pub fn find_module(&self, name: &str) -> Option<&LoadedModule> {
        self.by_name.get(name).map(|&index| &self.loaded[index])
    }

    /// Returns the seal that a loaded module exports instead of this one: that of another build.
    pub fn other_seal(&self, wanted: &str) -> Option<String> {
        let seals = self.seals.get(Seal::parse(wanted)?.crate_name)?.iter();
        let mut there = seals.filter(|(_, module)| {
            let name = &self.loaded[*module].name;
            self.by_name.contains_key(name)
        });
        there.next().map(|(seal, _)| seal.clone())
    }

    /// Adds a module that went live.
    pub fn add_module(&mut self, module: LoadedModule) {
        let index = self.loaded.len();
        for (at, offered) in module.exports.iter().enumerate() {
            self.by_symbol.entry(offered.symbol.clone()).or_default().push((index, at));
            let name = std::str::from_utf8(&offered.symbol).ok();
            let Some((name, seal)) = name.and_then(|name| Some((name, Seal::parse(name)?))) else {
                continue;
            };
            self.seals.entry(seal.crate_name.to_string()).or_default().push((name.into(), index));
        }
        self.by_name.insert(module.name.clone(), index);
        self.loaded.push(module);
    }

    /// Adds a module of which it cannot be decided whether it went live. One without a name could
    /// not be read: it may export any symbol.
    pub fn doubt(&mut self, module: LoadedModule) {
        for offered in &module.exports {
            let first = self.doubtful_by_symbol.entry(offered.symbol.clone());
            first.or_insert(self.doubtful.len());
        }
        self.doubtful.push(module);
    }

    /// Takes the modules in doubt out, to leave them behind in another state.
    pub fn take_doubtful(&mut self) -> Vec<LoadedModule> {
        std::mem::take(&mut self.doubtful)
    }

    /// Decides about the modules in doubt, once the kernel has.
    pub fn settle(&mut self, is_live: impl Fn(&str) -> bool) {
        self.doubtful_by_symbol.clear();
        for module in std::mem::take(&mut self.doubtful) {
            if is_live(&module.name) {
                self.add_module(module);
            }
        }
    }

    /// The module in doubt that has this name or would export this symbol.
    pub fn doubtful(&self, name: &str, symbol: &[u8]) -> Option<&str> {
        let exporter = self.doubtful_by_symbol.get(symbol).copied();
        let named = self.doubtful.iter().take(exporter.unwrap_or(usize::MAX));
        let named = named.map(|module| module.name.as_str()).find(|known| *known == name);
        named.or_else(|| Some(self.doubtful.get(exporter?)?.name.as_str()))
    }

    /// Adds a module that is loaded from a file that is not known: of its exports the names are
    /// known at most.
    pub fn add_unread(&mut self, name: &str, taints: Taints, exports: Option<Vec<String>>) {
        let (name, exported) = (name.to_owned(), Vec::new());
        match exports {
            Some(symbols) => {
                let owned = symbols.into_iter().map(|symbol| (symbol.into_bytes(), name.clone()));
                self.unread.extend(owned);
            }
            None => self.unread_whole = Some(name.clone()),
        }
        self.add_module(LoadedModule { name, taints, exports: exported });
    }

    /// The module of which no file is known that exports this symbol, or may.
    pub fn unread_exporter(&self, symbol: &[u8]) -> Option<&str> {
        self.unread.get(symbol).or(self.unread_whole.as_ref()).map(String::as_str)
    }

    /// Takes a module away, as when its init failed.
    pub fn remove(&mut self, name: &str) {
        let Some(index) = self.by_name.remove(name) else { return };
        for offers in self.by_symbol.values_mut() {
            offers.retain(|&(module, _)| module != index);
        }
    }

    /// Takes every module away, as `rmmod` does. What was logged and tainted stays.
    pub fn unload_all(&mut self) {
        self.loaded.clear();
        self.by_name.clear();
        self.by_symbol.clear();
        self.doubtful.clear();
        self.doubtful_by_symbol.clear();
        self.seals.clear();
        self.unread.clear();
        self.unread_whole = None;
    }

    /// Looks a symbol up as `find_symbol()` (`kernel/module/main.c`) does: in the kernel, then in
    /// each module, the latest first. It skips GPL-only exports unless `gpl_ok`.
    pub fn find_symbol<'w>(
        &'w self,
        kernel: &'w KernelFacts,
        symbol: &[u8],
        gpl_ok: bool,
    ) -> Option<FoundSymbol<'w>> {
        let open = |export: &Export| is_visible(export, gpl_ok);
        if let Some(export) = kernel.exports.get(symbol).filter(|export| open(export)) {
            return Some(FoundSymbol { export, owner: None });
        }
        let offers = self.by_symbol.get(symbol)?;
        let mut offers = offers.iter().rev().map(|&(module, at)| {
            let owner = &self.loaded[module];
            FoundSymbol { export: &owner.exports[at].export, owner: Some(owner) }
        });
        offers.find(|found| open(found.export))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_module_is_asked_first_and_gpl_only_is_skipped() {
        let target = KernelFacts::default();
        let mut state = KernelState::default();
        let of = |name: &str, gpl_only| LoadedModule {
            name: name.into(),
            exports: vec![NamedExport {
                symbol: b"s".to_vec(),
                export: Export { gpl_only, ..Export::default() },
            }],
            ..LoadedModule::default()
        };
        state.add_module(of("a", false));
        state.add_module(of("b", true));
        let owner =
            |gpl_ok| state.find_symbol(&target, b"s", gpl_ok).unwrap().owner.unwrap().name.clone();
        assert_eq!((owner(true), owner(false)), ("b".into(), "a".into()));
        state.unload_all();
        assert!(
            state.find_symbol(&target, b"s", true).is_none() && state.find_module("a").is_none()
        );
    }
}
