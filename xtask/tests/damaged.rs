//! Damaged and hostile bytes: no parser may panic, hang, or hold more than twice what it is given,
//! or may be given.
//!
//! The ordinary run takes a few thousand cases; a million of each with
//! `HOSTILE_CASES=1000000 cargo test --release --test damaged`.
//!
//! It is long because it is a list: one test a parser.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::{
    cell::RefCell,
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ko::compression::{Compression, unpack};
use ko::kmod_facts::KmodFacts;
use ko::module::Module;
use ko::signature::MAGIC;
use loader::{
    btf::KernelBtf,
    check_id::CheckId,
    kernel_facts::{Export, KernelFacts},
    kernel_model::KernelModel,
    load_info::{COMPRESSED_FILE, IGNORE_MODVERSIONS, IGNORE_VERMAGIC, LoadRequest},
    signature::{
        certificate::{Certificate, find_certificates},
        efi,
    },
    verdict::Answer,
};
use peak_alloc::PeakAlloc;
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use rustix::time::{ClockId, clock_gettime};
use stack::{
    built_in::BuiltIn,
    dependency_info::DependencyInfo,
    depmod_config::DepmodConfig,
    graph::Graph,
    modprobe::Modprobe,
    modprobe_config::{ConfigFile, ModprobeConfig},
    modules_dep,
    modules_lists::alias_lines,
    symtype_parser,
    symtypes::Symtypes,
    symvers::Symvers,
    version_pattern::version_matches,
};
use xtask::guest::{
    protocol::Event,
    report::{REPORT_MAX, Recorder},
};

/// The real modules that are damaged.
const MODULES: [&[u8]; 3] = [
    include_bytes!("fixtures/exporter-6.12.ko"),
    include_bytes!("fixtures/exporter-7.3.ko"),
    include_bytes!("fixtures/hello-7.3.ko"),
];
const SIGNATURES: [&[u8]; 4] = [
    include_bytes!("../loader/tests/fixtures/p256-certificate.p7s"),
    include_bytes!("../loader/tests/fixtures/p256-attributes.p7s"),
    include_bytes!("../loader/tests/fixtures/rsa-sha256.p7s"),
    include_bytes!("../loader/tests/fixtures/rsa.der"),
];
/// The kind of a list of certificates, `EFI_CERT_X509_GUID`.
const X509_LIST: [u8; 16] = [
    0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72,
];
const SYMVERS: &[u8] = b"0x7855d74d\tprovider_add\tprovider\tEXPORT_SYMBOL_GPL\tPROVIDER\n\
    0x00000000\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n\
    0x12345678\tkvm_x\tarch/x86/kvm/kvm\tEXPORT_SYMBOL_GPL\tmodule:kvm-intel,kvm-*\n";
/// Lines of depmod.d and modprobe.d.
const CONFIGURATION: &[u8] = b"override a-b ^7\\.3(\\.[0-9]+){1,2}[^[:alpha:]]*$ extra\n\
    external (7|8)+?.* /outside\nsearch extra built-in\nalias a-* off\n\
    softdep a pre: b post: c\ninstall a \\\n b\noptions * x=1\n";
const SYMTYPES: &[u8] = include_bytes!("fixtures/types-old.symtypes");
/// The memory of a few small objects, whatever the file: a symbol index, an error's text.
const SMALL_BYTES: usize = 16 << 10;
/// A case takes microseconds; a second is a hang.
const CASE_TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
/// Enough to notice a mistake on each run, and few enough not to be noticed.
const CASES_DEFAULT: u32 = 3000;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The heap is counted for the whole process, so one case runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// This thread's processor time: a busy machine makes no case slower.
struct Clock(Duration);

impl Clock {
    fn now() -> Duration {
        clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
    }

    fn start() -> Self {
        Self(Self::now())
    }

    fn elapsed(&self) -> Duration {
        Self::now() - self.0
    }
}

/// Runs a parser over some bytes, and checks its time and what it held beside the bytes.
fn bounded<T>(size: usize, parse: impl FnOnce() -> T) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let begin = Clock::start();
    drop(parse());
    let took = begin.elapsed();
    let held = HEAP.peak_usage().saturating_sub(before);
    assert!(took < CASE_TIME_MAX, "{took:?}");
    assert!(held <= 2 * size + SMALL_BYTES, "{held} bytes held for {size}");
}

/// Everything that reads a module.
fn read_module(bytes: &[u8]) {
    bounded(bytes.len(), || Module::read(bytes).map(drop));
    bounded(bytes.len(), || DependencyInfo::read(bytes).map(drop));
    let _ = alias_lines(bytes, "name");
    let Ok(module) = Module::read(bytes) else { return };
    bounded(bytes.len(), || module.exports.iter().filter(Result::is_ok).count());
    bounded(bytes.len(), || module.versions.index());
    bounded(bytes.len(), || module.imports().map(drop));
    // The whole form is for printing: only that it ends, without a panic, is asked of it.
    let begin = Clock::start();
    let _ = module.facts();
    assert!(begin.elapsed() < CASE_TIME_MAX);
}

/// The kernels that damaged modules are loaded into: the old ELF checks and the new ones, with and
/// without CRCs; each exports what the modules import, so that relocations are come to.
fn kernels() -> Vec<KernelFacts> {
    let config = "CONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\nCONFIG_MODULE_UNLOAD=y\nCONFIG_X86_64=y\n\
                  CONFIG_MODULE_FORCE_LOAD=y\nCONFIG_STRICT_MODULE_RWX=y\nCONFIG_MODULE_SIG=y\n\
                  CONFIG_CRYPTO_SHA256=y\nCONFIG_DYNAMIC_FTRACE=y\nCONFIG_MODULE_DECOMPRESS=y\n\
                  CONFIG_DEBUG_INFO_BTF_MODULES=y\nCONFIG_XZ_DEC_X86=y\nCONFIG_CRYPTO_SHA1=y\n";
    let kernel = |release: &str, more: &str| {
        let mut kernel = KernelFacts::new(release, &format!("{config}{more}")).unwrap();
        for bytes in MODULES {
            for import in Module::read(bytes).unwrap().imports().unwrap() {
                kernel.exports.insert(import.symbol.0.bytes().to_vec(), Export::default());
            }
        }
        let crc = more.contains("MODVERSIONS").then_some(7);
        kernel.exports.insert(b"module_layout".to_vec(), Export { crc, ..Export::default() });
        kernel.btf = KernelBtf::new(&btf(0));
        kernel.with_certificates(vec![Certificate::parse(SIGNATURES[3]).unwrap()])
    };
    vec![
        kernel("7.3.4+deb13-amd64", "CONFIG_MODULE_COMPRESS_XZ=y\n"),
        kernel("7.3.4+deb13-amd64", "CONFIG_MODULE_COMPRESS_ZSTD=y\nCONFIG_MODVERSIONS=y\n"),
        kernel("6.12.107+deb13-amd64", "CONFIG_MODULE_COMPRESS_XZ=y\n"),
        kernel("6.12.117+deb13-amd64", "CONFIG_MODULE_COMPRESS_GZIP=y\nCONFIG_MODVERSIONS=y\n"),
        kernel("6.1.176", "CONFIG_MODULE_COMPRESS_XZ=y\n"),
        kernel("5.10.1", "CONFIG_MODVERSIONS=y\n"),
    ]
}

/// Types for BPF, one of each kind, whose names begin at an offset: those of a base come first.
fn btf(names_at: u32) -> Vec<u8> {
    const STRINGS: &[u8] = b"\0a\0";
    let name = names_at + 1;
    // Of each kind: whether it has a name, how many members, and what follows.
    let kinds: [(bool, u32, &[u32]); 19] = [
        (true, 0, &[4, 1 << 24 | 32]),
        (false, 0, &[1]),
        (false, 0, &[0, 1, 1, 4]),
        (true, 1, &[4, name, 1, 0]),
        (true, 1, &[4, name, 1, 0]),
        (true, 1, &[4, name, 7]),
        (true, 0, &[0]),
        (true, 0, &[1]),
        (false, 0, &[1]),
        (false, 0, &[1]),
        (false, 0, &[1]),
        (true, 1, &[13]),
        (false, 1, &[1, name, 1]),
        (true, 0, &[1, 1]),
        (true, 1, &[4, 14, 0, 4]),
        (true, 0, &[4]),
        (true, 0, &[1, u32::MAX]),
        (true, 0, &[1]),
        (true, 1, &[8, name, 7, 0]),
    ];
    let types = (1u32..).zip(kinds).flat_map(|(kind, (has_name, members, rest))| {
        [[u32::from(has_name) * name, kind << 24 | members].as_slice(), rest].concat()
    });
    let types: Vec<u8> = types.flat_map(u32::to_le_bytes).collect();
    let bytes = types.len() as u32;
    let header = [24, 0, bytes, bytes, STRINGS.len() as u32].map(u32::to_le_bytes).concat();
    [&[0x9f, 0xeb, 1, 0], header.as_slice(), &types, STRINGS].concat()
}

/// A module with further sections, and where their contents begin.
fn with_sections(module: &[u8], more: &[(&str, &[u8])]) -> (Vec<u8>, usize) {
    let number = |at: usize| u64::from_le_bytes(module[at..at + 8].try_into().unwrap());
    let short = |at: usize| u16::from_le_bytes(module[at..at + 2].try_into().unwrap());
    let (headers_at, count, names) = (number(40) as usize, short(60), usize::from(short(62)));
    let mut headers = module[headers_at..headers_at + 64 * usize::from(count)].to_vec();
    let names_header = headers_at + 64 * names;
    let names_at = number(names_header + 24) as usize;
    let names_bytes = number(names_header + 32) as usize;
    let mut strings = module[names_at..names_at + names_bytes].to_vec();
    let begin = module.len();
    let mut bytes = module.to_vec();
    for (name, contents) in more {
        let (name_at, at) = (strings.len() as u32, bytes.len() as u64);
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
        headers.extend_from_slice(&[name_at, 1].map(u32::to_le_bytes).concat());
        headers.extend([0, 0, at, contents.len() as u64, 0, 1, 0].map(u64::to_le_bytes).concat());
        bytes.extend_from_slice(contents);
    }
    let place = 64 * names + 24;
    let strings_place = [bytes.len() as u64, strings.len() as u64].map(u64::to_le_bytes).concat();
    headers[place..place + 16].copy_from_slice(&strings_place);
    bytes.extend_from_slice(&strings);
    let headers_at = bytes.len() as u64;
    bytes.extend_from_slice(&headers);
    bytes[40..48].copy_from_slice(&headers_at.to_le_bytes());
    let count = count + more.len() as u16;
    bytes[60..62].copy_from_slice(&count.to_le_bytes());
    (bytes, begin)
}

/// The number of the model's checks that must have decided over a damaged module.
const CHECKS_MIN: usize = 20;
/// The memory that the whole model may hold of a module: symbols, relocations and exports become
/// tables.
const MODEL_FACTOR: usize = 24;
/// The kernel's messages, which the model bounds.
const MODEL_BYTES: usize = 4 << 20;

/// The whole model of the loader, on one of the kernels and in one of the ways to load: the bytes
/// themselves tell which, so that a case is the same each time. Returns the check that decided.
fn load_module(bytes: &[u8], kernels: &[KernelFacts]) -> Option<CheckId> {
    const FLAGS: [u32; 3] = [0, IGNORE_VERMAGIC | IGNORE_MODVERSIONS, COMPRESSED_FILE];
    let dice = crc32fast::hash(bytes) as usize;
    let kernel = &kernels[dice % kernels.len()];
    // A compressed one is given as such, and nothing else is often.
    let is_packed = Compression::detect(bytes) != Compression::None;
    let flags = FLAGS[if is_packed || dice >> 8 & 0xf == 0 { 2 } else { dice >> 16 & 1 }];
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let begin = Clock::start();
    let request = LoadRequest { file: bytes, flags, args: b"a=1 b", ..LoadRequest::default() };
    let verdict = KernelModel::new(kernel).finit_module(request);
    assert_eq!(verdict.loads(), verdict.decisive().is_none());
    assert!(begin.elapsed() < CASE_TIME_MAX, "{:?}", begin.elapsed());
    let held = HEAP.peak_usage().saturating_sub(before);
    assert!(held <= MODEL_FACTOR * bytes.len() + MODEL_BYTES, "{held} for {}", bytes.len());
    let decisive = verdict.decisive()?;
    if let Answer::Unknown(reason) = &verdict.answer {
        assert!(reason.contains(": ") || !decisive.hint.is_empty(), "nothing to be done: {reason}");
    }
    Some(decisive.id)
}

fn read_text(bytes: &[u8]) {
    // A line of five bytes becomes an entry of a hundred; no line of a real file is that short.
    let parsed = Symvers::parse(bytes);
    if let Ok(symvers) = parsed {
        assert_eq!(Symvers::parse(symvers.to_text()).as_ref(), Ok(&symvers));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = modules_dep::parse(text);
        let begin = Clock::start();
        let _ = version_matches(text, "7.3.4+deb13-amd64");
        let _ = DepmodConfig::default().with_file(text, "7.3.4+deb13-amd64");
        let graph = Graph::new(Vec::new());
        let file = ConfigFile { path: "a.conf".into(), text: text.to_owned() };
        let config =
            ModprobeConfig::of(&graph, vec![file], KmodFacts::TRIXIE).with_command_line(text);
        let modprobe = Modprobe::new(&graph, config, BuiltIn::read(text, bytes)).unwrap();
        text.lines().take(8).for_each(|line| drop(modprobe.request(line, false)));
        assert!(begin.elapsed() < CASE_TIME_MAX);
    }
}

/// Its CRCs, and how it differs from what it was before the damage.
fn read_types(bytes: &[u8], original: &Symtypes) {
    let begin = Clock::start();
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(symtype_parser::as_c).for_each(drop);
    if let Ok(types) = Symtypes::parse(&text) {
        for symbol in ["provider_add", "provider_register", "printy", "table", "none"] {
            let _ = (types.crc(symbol), types.changes(original, symbol));
            let _ = original.changes(&types, symbol);
        }
    }
    assert!(begin.elapsed() < CASE_TIME_MAX);
}

fn read_packed(bytes: &[u8]) {
    const UNPACKED_MAX: usize = 1 << 20;
    let mut plain = Vec::new();
    let _ = unpack(Compression::detect(bytes), bytes, &mut plain, UNPACKED_MAX);
    assert!(plain.capacity() <= 2 * UNPACKED_MAX, "{}", plain.capacity());
}

/// One way to damage a file.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Word(Index, u64),
    Cut(Index),
    Copy(Index, Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Numbers at which arithmetic goes wrong, and small ones that are plausible offsets.
    let word = prop_oneof![
        Just(0u64),
        Just(u64::MAX),
        Just(u64::MAX - 7),
        Just(i64::MAX as u64),
        Just(u64::from(u32::MAX)),
        0..20_000u64,
        any::<u64>(),
    ];
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        6 => (any::<Index>(), word).prop_map(|(at, word)| Damage::Word(at, word)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), any::<Index>(), any::<u8>())
            .prop_map(|(from, to, length)| Damage::Copy(from, to, length)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage, aligned: bool) {
    if bytes.is_empty() {
        return;
    }
    let place = |at: &Index, length: usize| {
        let at = at.index(length);
        if aligned { at & !3 } else { at }
    };
    let length = bytes.len();
    match damage {
        Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Word(at, word) => {
            let at = place(at, length);
            for (to, from) in bytes[at..].iter_mut().zip(word.to_le_bytes()) {
                *to = from;
            }
        }
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Copy(from, to, count) => {
            let (from, to) = (place(from, length), place(to, length));
            let count = usize::from(*count).min(length - from.max(to));
            bytes.copy_within(from..from + count, to);
        }
    }
}

/// A file with a few damages; half of the time in its last part, where ELF keeps its tables.
fn damaged(originals: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let which = 0..originals.len();
    (which, vec(damage(), 1..6), any::<bool>(), any::<bool>()).prop_map(
        |(which, damages, in_tables, aligned)| {
            let mut bytes = originals[which].to_vec();
            let split = if in_tables { bytes.len() / 2 } else { 0 };
            let mut tail = bytes.split_off(split);
            damages.iter().for_each(|damage| apply(&mut tail, damage, aligned));
            bytes.append(&mut tail);
            bytes
        },
    )
}

/// The tables of a module whose fields are changed one by one: how long an entry is, and its fields
/// by their place and size.
type Table = (usize, &'static [(usize, usize)]);
const SECTIONS: Table =
    (64, &[(0, 4), (4, 4), (8, 8), (24, 8), (32, 8), (40, 4), (44, 4), (48, 8)]);
const SYMBOLS: Table = (24, &[(0, 4), (4, 1), (6, 2), (8, 8)]);
const RELOCATIONS: Table = (24, &[(0, 8), (8, 4), (12, 4), (16, 8)]);
/// The words of what else a section has, such as exports and parameters.
const WORDS: Table = (8, &[(0, 8), (0, 4), (4, 1)]);

/// Where the entries of each table begin in a module.
fn entries(module: &[u8]) -> [(Table, Vec<usize>); 4] {
    let elf = Module::read(module).unwrap().elf;
    let headers_at = u64::from_le_bytes(module[40..48].try_into().unwrap()) as usize;
    let headers: Vec<usize> = (0..elf.sections().count()).map(|n| headers_at + 64 * n).collect();
    let of = |table: Table, is: fn(u32) -> bool| {
        let wanted = elf.sections().filter(|section| is(section.kind));
        let places = wanted.flat_map(|section| {
            let begin = section.offset as usize;
            (begin..begin + section.size as usize).step_by(table.0)
        });
        let places: Vec<usize> = places.filter(|at| at + table.0 <= module.len()).collect();
        assert!(!places.is_empty());
        (table, places)
    };
    [
        (SECTIONS, headers),
        of(SYMBOLS, |kind| kind == 2),
        of(RELOCATIONS, |kind| kind == 4),
        of(WORDS, |kind| kind == 1),
    ]
}

/// The fate of a field.
#[derive(Clone, Debug)]
enum Value {
    Is(u64),
    Flips(u32),
    /// That of another entry of its table.
    Of(Index),
}

/// A module in which a few fields of its tables are changed.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        (0u64..32).prop_map(Value::Is),
        prop_oneof![Just(u64::MAX), Just(1 << 31), 0..40_000u64, any::<u64>()].prop_map(Value::Is),
        (0u32..64).prop_map(Value::Flips),
        any::<Index>().prop_map(Value::Of),
    ];
    let modules = MODULES.map(|module| (module, entries(module)));
    let change = (0..4usize, any::<Index>(), any::<Index>(), value);
    (0..modules.len(), vec(change, 1..4)).prop_map(move |(which, changes)| {
        let (module, tables) = &modules[which];
        let mut bytes = module.to_vec();
        for (table, entry, field, value) in changes {
            let ((_, fields), places) = &tables[table];
            let (offset, size) = fields[field.index(fields.len())];
            let number = |bytes: &[u8], entry: &Index| {
                let at = places[entry.index(places.len())] + offset;
                let field = &bytes[at..at + size];
                (at, field.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)))
            };
            let (at, old) = number(&bytes, &entry);
            let new = match value {
                Value::Is(new) => new,
                Value::Flips(bit) => old ^ 1 << (bit as usize % (8 * size)),
                Value::Of(other) => number(&bytes, &other).1,
            };
            bytes[at..at + size].copy_from_slice(&new.to_le_bytes()[..size]);
        }
        bytes
    })
}

fn config() -> Config {
    let cases = std::env::var("HOSTILE_CASES").ok().and_then(|cases| cases.parse().ok());
    Config {
        cases: cases.unwrap_or(CASES_DEFAULT),
        failure_persistence: None,
        max_shrink_iters: 10_000,
        ..Config::default()
    }
}

/// To be held by each test from its first line on.
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the cases of a strategy.
fn run<S: Strategy>(strategy: S, read: impl Fn(&S::Value)) {
    let result = TestRunner::new(config()).run(&strategy, |case| {
        read(&case);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_damaged_module() {
    let _alone = alone();
    run(damaged(&MODULES), |bytes| read_module(bytes));
}

#[test]
fn a_damaged_module_is_loaded() {
    let _alone = alone();
    let kernels = kernels();
    let decided = RefCell::new(HashSet::new());
    run(damaged(&MODULES), |bytes| {
        decided.borrow_mut().insert(load_module(bytes, &kernels));
    });
    // Not all of them end at the first checks.
    let decided = decided.into_inner();
    assert!(decided.len() >= CHECKS_MIN && decided.contains(&None), "{decided:?}");
}

/// Section types, flags, offsets and sizes, symbols, relocations and tables, field by field.
#[test]
fn a_module_with_changed_fields_is_loaded() {
    let _alone = alone();
    let kernels = kernels();
    let decided = RefCell::new(HashSet::new());
    run(changed(), |bytes| {
        read_module(bytes);
        decided.borrow_mut().insert(load_module(bytes, &kernels));
    });
    let decided = decided.into_inner();
    assert!(decided.len() >= CHECKS_MIN && decided.contains(&None), "{decided:?}");
}

/// A signature whose bytes are changed, over a module and in the place of one.
#[test]
fn a_damaged_signature_is_verified() {
    let _alone = alone();
    let kernels = kernels();
    run(damaged(&SIGNATURES), |message| {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let info = [&[0, 0, 2, 0, 0, 0, 0, 0], length.as_slice(), MAGIC].concat();
        let file = [MODULES[1], message, &info].concat();
        load_module(&file, &kernels[..1]);
        let _ = Certificate::parse(message);
        // As in a kernel's image, and as in a variable of the firmware.
        let begin = Clock::start();
        let _ = find_certificates(message);
        let bytes = u32::try_from(message.len() + 16).unwrap().to_le_bytes();
        let list_bytes = u32::try_from(message.len() + 44).unwrap().to_le_bytes();
        let list = [X509_LIST.as_slice(), &list_bytes, &[0; 4], &bytes, &[0; 16], message];
        let _ = efi::certificates(&list.concat());
        assert!(begin.elapsed() < CASE_TIME_MAX);
    });
}

/// Types for BPF beside the kernel's, with a base of their own and without, and as the kernel's.
#[test]
fn damaged_types_are_loaded() {
    let _alone = alone();
    let kernels = kernels();
    let base = btf(0);
    let beside = btf(3);
    let alone = with_sections(MODULES[2], &[(".BTF", &beside)]);
    let both = with_sections(MODULES[2], &[(".BTF", &beside), (".BTF.base", &base)]);
    for (whole, _) in [&alone, &both] {
        let request = LoadRequest { file: whole, flags: IGNORE_VERMAGIC, ..LoadRequest::default() };
        let verdict = KernelModel::new(&kernels[0]).finit_module(request);
        assert!(verdict.checks.iter().any(|check| check.id == CheckId::Btf), "{verdict:?}");
    }
    let types = &*Box::leak([beside.as_slice(), &base].concat().into_boxed_slice());
    let originals: &[&[u8]] = Box::leak(Box::new([types]));
    run(damaged(originals), |types| {
        for (whole, at) in [&alone, &both] {
            let mut bytes = whole.clone();
            let length = types.len().min(bytes.len() - at);
            bytes[*at..at + length].copy_from_slice(&types[..length]);
            load_module(&bytes, &kernels[..1]);
        }
        let begin = Clock::start();
        let _ = KernelBtf::new(types).map(|btf| btf.this_module());
        assert!(begin.elapsed() < CASE_TIME_MAX);
    });
}

#[test]
fn a_damaged_text() {
    let _alone = alone();
    run(damaged(&[SYMVERS, CONFIGURATION]), |bytes| read_text(bytes));
}

#[test]
fn damaged_symtypes() {
    let _alone = alone();
    let original = Symtypes::parse(std::str::from_utf8(SYMTYPES).unwrap()).unwrap();
    run(damaged(&[SYMTYPES]), |bytes| read_types(bytes, &original));
}

/// A structure of many members is compared in less than the square of their number.
#[test]
fn a_structure_of_very_many_members() {
    let _alone = alone();
    let with = |kind: &str| {
        let members = (0..200_000).map(|n| format!("member {kind} m{n} , "));
        format!("table variable s#a\ns#a structure_type a {{ {}}}\n", members.collect::<String>())
    };
    read_types(with("t#u8").as_bytes(), &Symtypes::parse(&with("t#s8")).unwrap());
}

#[test]
fn bytes_of_any_kind() {
    let _alone = alone();
    let kernels = kernels();
    run(vec(any::<u8>(), 0..300), |bytes| {
        read_module(bytes);
        load_module(bytes, &kernels[..1]);
        read_text(bytes);
        read_packed(bytes);
    });
}

fn packed() -> [Vec<u8>; 3] {
    use std::io::Write as _;
    let plain = MODULES[0];
    let mut xz = Vec::with_capacity(plain.len() + 4096);
    let mut stream =
        liblzma::stream::Stream::new_easy_encoder(1, liblzma::stream::Check::Crc32).unwrap();
    stream.process_vec(plain, &mut xz, liblzma::stream::Action::Finish).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain).unwrap();
    [xz, zstd::encode_all(plain, 3).unwrap(), gzip.finish().unwrap()]
}

#[test]
fn a_damaged_packed_module() {
    let _alone = alone();
    let originals: Vec<&'static [u8]> =
        packed().into_iter().map(|bytes| &*Box::leak(bytes.into_boxed_slice())).collect();
    let originals: &'static [&'static [u8]] = Box::leak(originals.into_boxed_slice());
    for packed in originals {
        let mut plain = Vec::new();
        unpack(Compression::detect(packed), packed, &mut plain, 1 << 20).unwrap();
        assert_eq!(plain, MODULES[0]);
    }
    let kernels = kernels();
    let [xz, zstd, _, gzip, ..] = kernels.as_slice() else { panic!("{}", kernels.len()) };
    let kernels = [xz, zstd, gzip].map(KernelFacts::clone);
    for kernel in &kernels {
        let is_read = |packed: &&[u8]| {
            let request =
                LoadRequest { file: packed, flags: COMPRESSED_FILE, ..LoadRequest::default() };
            let name = KernelModel::new(kernel).finit_module(request).name;
            name == Module::read(MODULES[0]).unwrap().name().unwrap().to_string()
        };
        assert_eq!(originals.iter().copied().filter(|packed| is_read(packed)).count(), 1);
    }
    run(damaged(originals), |bytes| {
        read_packed(bytes);
        load_module(bytes, &kernels);
    });
}

/// A symbol table in which every symbol has the same long name costs its square, unless names
/// have an end.
#[test]
fn one_long_name_for_every_symbol() {
    let _alone = alone();
    let original = MODULES[2];
    let mut bytes = original.to_vec();
    let module = Module::read(original).unwrap();
    let elf = module.elf;
    let symtab = elf.sections().find(|section| section.kind == 2).unwrap();
    let headers = u64::from_le_bytes(original[40..48].try_into().unwrap()) as usize;
    // A million bytes of names, and a table of forty thousand undefined symbols, at the end.
    let names_at = bytes.len();
    bytes.push(0);
    bytes.extend(std::iter::repeat_n(b'x', 1_000_000));
    bytes.push(0);
    let table_at = bytes.len();
    for _ in 0..40_000 {
        bytes.extend(1u32.to_le_bytes());
        bytes.extend([0x10, 0]);
        bytes.extend([0; 18]);
    }
    let mut set = |section: u32, offset: usize, size: usize| {
        let at = headers + 64 * section as usize;
        bytes[at + 24..at + 32].copy_from_slice(&(offset as u64).to_le_bytes());
        bytes[at + 32..at + 40].copy_from_slice(&(size as u64).to_le_bytes());
    };
    set(symtab.link, names_at, table_at - names_at);
    set(symtab.index, table_at, 40_000 * 24);
    read_module(&bytes);
    let error = Module::read(&bytes).unwrap().imports().unwrap_err();
    assert!(error.expected.contains("a name of at most 4096 bytes"), "{error}");
    assert!(DependencyInfo::read(&bytes).unwrap().needs.is_empty());
}

/// The records that a guest may send without end: small records of the log, and output.
#[test]
fn a_guest_that_never_stops_talking() {
    let _alone = alone();
    let talks: [fn(u64) -> Event; 2] = [
        |number| Event::Kernel(format!("6,{number},1,-;x\n").into_bytes()),
        |_| Event::Output { error: false, bytes: vec![b'x'; 100] },
    ];
    for talk in talks {
        let mut recorder = Recorder::default();
        recorder.begin("yes");
        recorder.take(&Event::Hello { release: "7.3".into(), tools: String::new() }).unwrap();
        recorder.take(&Event::Started).unwrap();
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let refused = (0..u64::MAX).find_map(|number| recorder.take(&talk(number)).err()).unwrap();
        assert!(refused.contains("more than 64 MiB"), "{refused}");
        // One string that grows holds its old half beside the new whole.
        let held = HEAP.peak_usage().saturating_sub(before);
        assert!(held <= 3 * REPORT_MAX, "{held} bytes held");
    }
}
