//! Tables that lie over each other: no file of a few MiB costs its readers the square of its size.
//!
//! Each file is a module that a kernel wrote, with one table made hostile.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::time::Duration;

use ko::module::Module;
use loader::{
    btf::KernelBtf,
    kernel_facts::{Export, KernelFacts},
    kernel_model::KernelModel,
    kernel_state::{KernelState, LoadedModule, NamedExport},
    load_info::LoadRequest,
    verdict::{Answer, Verdict},
};
use rustix::time::{ClockId, clock_gettime};
use stack::{
    dependency_info::DependencyInfo,
    graph::{Graph, ScannedModule},
};

const MODULE: &[u8] = include_bytes!("fixtures/exporter-7.3.ko");
/// The processor time that reading a file of some MiB may take: a thousandth of what its square
/// would cost.
const TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 3 });
/// The size of a hostile table.
const BYTES: usize = 2 << 20;
const SHT_PROGBITS: u32 = 1;
const SHT_RELA: u32 = 4;
const STB_GLOBAL: u64 = 1;
const STB_WEAK: u64 = 2;

/// Ends within the time.
#[track_caller]
fn ends<T>(work: impl FnOnce() -> T) -> T {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let begin = now();
    let done = work();
    let took = now() - begin;
    assert!(took < TIME_MAX, "{took:?}");
    done
}

/// A module whose section headers are changed.
struct Hostile {
    bytes: Vec<u8>,
    /// `Elf64_Shdr`, each.
    headers: Vec<[u8; 64]>,
    names: Vec<u8>,
}

impl Hostile {
    fn new() -> Self {
        let number = |at: usize| u64::from_le_bytes(MODULE[at..at + 8].try_into().unwrap());
        let short = |at: usize| u16::from_le_bytes(MODULE[at..at + 2].try_into().unwrap());
        let headers = MODULE[number(40) as usize..].chunks_exact(64).take(short(60).into());
        let headers: Vec<[u8; 64]> = headers.map(|header| header.try_into().unwrap()).collect();
        let mut module = Self { bytes: MODULE.to_vec(), headers, names: Vec::new() };
        module.names = module.contents(short(62).into());
        module
    }

    fn field(&self, section: usize, at: usize) -> u64 {
        u64::from_le_bytes(self.headers[section][at..at + 8].try_into().unwrap())
    }

    fn contents(&self, section: usize) -> Vec<u8> {
        let [at, size] = [24, 32].map(|at| self.field(section, at) as usize);
        self.bytes[at..at + size].to_vec()
    }

    /// The index of a section by its name.
    fn index(&self, name: &str) -> usize {
        let is = |header: &[u8; 64]| {
            let at = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
            self.names[at..].starts_with(format!("{name}\0").as_bytes())
        };
        self.headers.iter().position(is).unwrap()
    }

    /// Appends bytes to the file, and returns their place and size.
    fn put(&mut self, bytes: &[u8]) -> (u64, u64) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        (at, bytes.len() as u64)
    }

    /// Gives a section other contents.
    fn replace(&mut self, section: usize, contents: &[u8]) {
        let (at, size) = self.put(contents);
        self.headers[section][24..32].copy_from_slice(&at.to_le_bytes());
        self.headers[section][32..40].copy_from_slice(&size.to_le_bytes());
    }

    /// Adds a section over bytes of the file.
    fn add(&mut self, name: &str, kind: u32, (at, size): (u64, u64), link: usize, info: usize) {
        let name_at = self.names.len() as u32;
        self.names.extend_from_slice(format!("{name}\0").as_bytes());
        let mut header = [name_at, kind].map(u32::to_le_bytes).concat();
        header.extend([0, 0, at, size].map(u64::to_le_bytes).concat());
        header.extend([link as u32, info as u32].map(u32::to_le_bytes).concat());
        header.extend([8u64, 24].map(u64::to_le_bytes).concat());
        self.headers.push(header.try_into().unwrap());
    }

    fn finish(mut self) -> Vec<u8> {
        let names = self.names.clone();
        let section = usize::from(u16::from_le_bytes(self.bytes[62..64].try_into().unwrap()));
        self.replace(section, &names);
        let headers = self.headers.concat();
        let (at, _) = self.put(&headers);
        self.bytes[40..48].copy_from_slice(&at.to_le_bytes());
        let count = u16::try_from(self.headers.len()).unwrap();
        self.bytes[60..62].copy_from_slice(&count.to_le_bytes());
        self.bytes
    }
}

fn kernel(config: &str) -> KernelFacts {
    let config = format!(
        "CONFIG_SMP=y\nCONFIG_X86_64=y\nCONFIG_PREEMPT_BUILD=y\n\
                          CONFIG_MODULE_UNLOAD=y\n{config}"
    );
    let mut kernel = KernelFacts::new("7.3.4+deb13-amd64", &config).unwrap();
    for import in Module::read(MODULE).unwrap().imports().unwrap() {
        kernel.exports.insert(import.symbol.0.bytes().to_vec(), Export::default());
    }
    kernel.exports.insert(b"module_layout".to_vec(), Export::default());
    kernel
}

/// Everything that reads a module's bytes, and the verdict of a kernel.
#[track_caller]
fn read(bytes: &[u8], kernel: &KernelFacts) -> Verdict {
    ends(|| Module::read_in_part(bytes).map(|module| drop(module.facts())).is_ok());
    ends(|| DependencyInfo::read(bytes).is_ok());
    let request = LoadRequest { file: bytes, ..LoadRequest::default() };
    ends(|| KernelModel::new(kernel).finit_module(request))
}

/// Records of 24 bytes, as symbols and relocations are.
fn records(count: usize, words: [u64; 3]) -> Vec<u8> {
    words.map(u64::to_le_bytes).concat().repeat(count)
}

#[test]
fn the_unchanged_module_loads() {
    let verdict = read(&Hostile::new().finish(), &kernel(""));
    assert_eq!(verdict.answer, Answer::Loads, "{verdict:?}");
}

#[test]
fn tables_of_relocations_over_each_other_are_unknown() {
    for target in [".text", ".return_sites"] {
        let mut module = Hostile::new();
        let (table, symbols) = (module.put(&vec![0; BYTES]), module.index(".symtab"));
        let target = module.index(target);
        (0..20_000).for_each(|_| module.add(".rela.x", SHT_RELA, table, symbols, target));
        let verdict = read(&module.finish(), &kernel(""));
        let Answer::Unknown(reason) = &verdict.answer else { panic!("{verdict:?}") };
        assert!(reason.contains("over each other"), "{reason}");
    }
}

/// Symbols of no section that all have one name, of this binding.
fn symbols_named(name: &[u8], bind: u64) -> Hostile {
    let mut module = Hostile::new();
    let (symbols, strings) = (module.index(".symtab"), module.index(".strtab"));
    let mut names = module.contents(strings);
    let begin = names.len() as u64;
    names.extend_from_slice(name);
    names.push(0);
    module.replace(strings, &names);
    let mut table = module.contents(symbols);
    table.extend(records(BYTES / 24, [begin | bind << 36, 0, 0]));
    module.replace(symbols, &table);
    module
}

#[test]
fn symbols_of_one_long_name_are_no_more_than_their_bytes() {
    let verdict = read(&symbols_named(&[b'n'; 4000], STB_WEAK).finish(), &kernel(""));
    let Answer::Unknown(reason) = &verdict.answer else { panic!("{:?}", verdict.answer) };
    assert!(reason.contains("over each other"), "{reason}");
}

#[test]
fn a_license_and_a_modinfo_without_end_are_read_once() {
    let mut kernel = kernel("");
    kernel.exports.insert(b"gpl".to_vec(), Export { gpl_only: true, ..Export::default() });
    for more in [b"a\0".repeat(BYTES / 2), [b"license=".as_slice(), &vec![b'x'; BYTES]].concat()] {
        let mut module = symbols_named(b"gpl", STB_GLOBAL);
        let info = module.index(".modinfo");
        let kept = String::from_utf8(module.contents(info)).unwrap();
        let kept = kept.replace("license=GPL", "license=No\0\0");
        let front = if more.starts_with(b"license") { more.clone() } else { Vec::new() };
        let contents = [front.as_slice(), b"\0", kept.as_bytes(), &more, b"\0"].concat();
        module.replace(info, &contents);
        let verdict = read(&module.finish(), &kernel);
        assert!(!verdict.loads(), "{:?}", verdict.answer);
    }
}

#[test]
fn a_name_without_end_is_not_formatted_for_every_symbol() {
    let mut kernel = kernel("CONFIG_MODVERSIONS=y\n");
    kernel.exports.insert(b"other".to_vec(), Export { crc: Some(1), ..Export::default() });
    let mut module = symbols_named(b"other", STB_GLOBAL);
    let info = module.index(".modinfo");
    let name = [b"name=".as_slice(), &vec![b'x'; BYTES], b"\0", &module.contents(info)].concat();
    module.replace(info, &name);
    let mut versions = 2u64.to_le_bytes().to_vec();
    versions.extend_from_slice(b"other");
    versions.resize(64, 0);
    let versions = module.put(&versions);
    module.add("__versions", SHT_PROGBITS, versions, 0, 0);
    let section = module.headers.len() - 1;
    module.headers[section][8] = 2; // SHF_ALLOC
    assert!(!read(&module.finish(), &kernel).loads());
}

#[test]
fn parameters_in_any_number_are_told_apart_by_name() {
    let mut module = Hostile::new();
    let info = module.index(".modinfo");
    let mut contents = module.contents(info);
    (0..200_000).for_each(|n| contents.extend(format!("parm=p{n:06}:x\0").bytes()));
    module.replace(info, &contents);
    read(&module.finish(), &kernel(""));
}

/// A `.BTF` of these words and strings.
fn btf(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
    let bytes = types.len() as u32;
    let header = [24, 0, bytes, bytes, strings.len() as u32].map(u32::to_le_bytes).concat();
    [&[0x9f, 0xeb, 1, 0], header.as_slice(), &types, strings].concat()
}

#[test]
fn types_of_one_long_name_and_chains_of_types_are_followed_once() {
    const INT: u32 = 1 << 24;
    const ARRAY: u32 = 3 << 24;
    const STRUCT: u32 = 4 << 24;
    let long = [b"\0".as_slice(), &vec![b'n'; BYTES], b"\0"].concat();
    let one = |name: u32| [name, INT, 4, 1 << 24 | 32];
    let named = btf(&one(1).repeat(BYTES / 16), &long);
    ends(|| KernelBtf::new(&named).is_some());
    let mut kernel = kernel("CONFIG_DEBUG_INFO_BTF_MODULES=y\n");
    kernel.btf = KernelBtf::new(&btf(&one(1), b"\0int\0"));
    // Each array is of the one before, and each member of the last.
    let count = (BYTES / 24) as u32;
    let mut types: Vec<u32> = vec![0, INT, 4, 1 << 24 | 32];
    (1..count).for_each(|before| types.extend([0, ARRAY, 0, before + 1, 2, 1]));
    types.extend([0, STRUCT | count, u32::MAX]);
    (0..count).for_each(|_| types.extend([0, count, 0]));
    for (own, base) in [(named, None), (btf(&types, b"\0"), Some(btf(&one(1), b"\0int\0")))] {
        let mut module = Hostile::new();
        let place = module.put(&own);
        module.add(".BTF", SHT_PROGBITS, place, 0, 0);
        if let Some(base) = base {
            let place = module.put(&base);
            module.add(".BTF.base", SHT_PROGBITS, place, 0, 0);
        }
        read(&module.finish(), &kernel);
    }
}

#[test]
fn exports_of_a_module_in_doubt_and_seals_are_found_by_name() {
    let exports = |of: fn(usize) -> String| LoadedModule {
        name: "m".into(),
        exports: (0..50_000)
            .map(|n| NamedExport { symbol: of(n).into_bytes(), export: Export::default() })
            .collect(),
        ..LoadedModule::default()
    };
    let mut state = KernelState::default();
    state.add_module(exports(|n| format!("c{n}_abi_{n:016x}")));
    state.doubt(exports(|n| format!("doubtful_{n}")));
    ends(|| {
        for n in 0..50_000 {
            let seal = state.other_seal(&format!("c{n}_abi_{:016x}", n + 1));
            assert_eq!(seal.unwrap(), format!("c{n}_abi_{n:016x}"));
            assert_eq!(state.doubtful("", format!("doubtful_{n}").as_bytes()), Some("m"));
            assert_eq!(state.doubtful("", format!("no_{n}").as_bytes()), None);
        }
    });
}

#[test]
fn a_module_that_needs_many_others_has_each_edge_once() {
    let symbol = |module: usize, n: usize| format!("s_{module}_{n}");
    let mut modules = Vec::new();
    let mut all = DependencyInfo::default();
    for module in 0..5_000 {
        let mut info = DependencyInfo::default();
        (0..20).for_each(|n| info.exports.push(symbol(module, n).as_bytes()));
        modules.push(ScannedModule::without_file(&format!("m{module}"), info));
    }
    (0..20).for_each(|n| (0..5_000).for_each(|m| all.needs.push(symbol(m, n).as_bytes())));
    modules.push(ScannedModule::without_file("top", all));
    let graph = ends(|| Graph::new(modules));
    assert_eq!(graph.edges(5_000).len(), 5_000);
    assert!(graph.edges(5_000).iter().all(|edge| edge.symbols == 20));
}
